# Copyright 2026 The hasrd authors
# Apache-2.0
import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

import hasrd
from hasrd.jobs.origin import Origin
from hasrd.metrics import dnsmos, ecapa_similarity, measure, pesq, speaker_similarity, stoi, visqol
from hasrd.metrics.measure import Inputs, Result
from hasrd.metrics.scores import MEASURES, Score, check_finite, read_rows, read_score, why_stale, write_score

SCORE = Score("mel", "combined", "test", 1.5, (1.0, 2.0), 2, "", False, {"fingerprint": "f"}, {"torch": "2"})


def test_round_trip(tmp_path):
    path = write_score(tmp_path / "a", SCORE, ("value", "hyp"), {"u2": (1.0, "b\tc"), "u1": (2.0, "")})
    assert read_score(path) == SCORE
    assert read_rows(path) == {"u1": {"value": "2", "hyp": ""}, "u2": {"value": "1", "hyp": "b c"}}
    names = "measure system test_set mean ci95 count unit higher_is_better details versions"
    assert set(json.loads(path.read_text())) == set(names.split())


def test_a_ratio_is_one_of_sums():
    rows = {"b": (0, 99, "x"), "a": (1, 1, "y")}
    found = Result.of_ratio(("errors", "length", "ref"), rows, ("errors", "length"), 100.0, more=3)
    assert found.mean == 1.0 and found.details == {"more": 3} and found.ci95[0] <= 1 <= found.ci95[1]
    with pytest.raises(ValueError, match="all zero"):
        Result.of_ratio(("errors", "length"), {"a": (2, 0)}, ("errors", "length"))


def test_only_a_whole_score_of_the_same_input_is_up_to_date(tmp_path):
    record, other = (Origin({"n": n}).record() for n in (1, 2))
    path = write_score(tmp_path, replace(SCORE, details={"origin": record}), ("value",), {"u": (1.0,)})
    assert why_stale(path, record) == "" and why_stale(path, other) == "n was 1 and is 2"
    (tmp_path / "mel.tsv").unlink()
    assert why_stale(path, record) == "its table is not there"
    (tmp_path / "mel.tsv").touch()
    for details in ({}, {"origin": []}, {"fingerprint": "f"}):
        write_score(tmp_path, replace(SCORE, details=details), ("value",), {"u": (1.0,)})
        assert why_stale(path, record) == "it does not say what it was made from"
    path.write_text('{"measure": "mel"')
    assert why_stale(path, record) == "it is damaged"


def test_no_nan_is_written_or_read(tmp_path, one_line):
    one_line("'u2'", check_finite, {"u1": 1.0, "u2": float("nan")}, "mel")
    bad = json.dumps({**SCORE.__dict__, "mean": float("nan")})
    (tmp_path / "mel.json").write_text(bad)
    one_line("mel.json", read_score, tmp_path / "mel.json")
    one_line("no such file", read_score, tmp_path / "wer.json")


@pytest.mark.parametrize(
    "call, name, advice",
    [
        (pesq.wide_band, "pesq", "tools/install.sh --extras pesq, or pip install 'hasrd[pesq]'"),
        (stoi.intelligibility, "stoi", "pip install 'hasrd[eval]'"),
        (visqol.quality, "visqol", "pip install 'hasrd[eval]'"),
        (lambda wave, _: dnsmos.opinion(wave), "dnsmos", "pip install 'hasrd[eval]'"),
        (lambda wave, _: speaker_similarity.embed(wave), "speaker_similarity", "pip install 'hasrd[eval]'"),
        (lambda wave, _: ecapa_similarity.embed(wave, "x"), "ecapa_similarity", "pip install 'hasrd[eval]'"),
    ],
)
def test_a_missing_package_is_said(call, name, advice, monkeypatch, voice, one_line):
    monkeypatch.setattr(measure, "find_spec", lambda name: None)
    for kept in (visqol._api, dnsmos._model, speaker_similarity._encoder, ecapa_similarity._encoder):
        kept.cache_clear()
    assert not MEASURES[name].available()
    one_line(rf"^{re.escape(MEASURES[name].label)}: .*is not installed: {re.escape(advice)}", call, voice, voice)


def test_measures_declare_themselves():
    docs = (Path(hasrd.__file__).parents[1] / "docs/measures.md").read_text(encoding="utf-8")
    inputs = {field.name for field in fields(Inputs)}
    for name, known in MEASURES.items():
        assert known.name == name and f"`{name}`" in docs
        assert known.label and known.source and known.table and known.taken_of
        assert known.inputs and set(known.inputs) <= inputs
        assert bool(known.modules) == bool(known.missing)
    # In the order that comparisons and model cards list them in.
    assert list(MEASURES)[:4] == ["cer", "wer", "ctc_loss", "mel"] and list(MEASURES)[-1] == "masked_accuracy"
