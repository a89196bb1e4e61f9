# Copyright 2026 The hasrd authors
# Apache-2.0
import json

import pytest

from hasrd.errors import UserError
from hasrd.metrics.scores import Score, check_finite, is_current, read_rows, read_score, write_score

SCORE = Score(
    "mel", "combined", "test", 1.5, (1.0, 2.0), 2, "", False, {"fingerprint": "f"}, {"torch": "2"}
)


def test_round_trip(tmp_path):
    path = write_score(
        tmp_path / "a", SCORE, ("value", "hyp"), {"u2": (1.0, "b\tc"), "u1": (2.0, "")}
    )
    assert read_score(path) == SCORE
    assert read_rows(path) == {"u1": {"value": "2", "hyp": ""}, "u2": {"value": "1", "hyp": "b c"}}
    assert set(json.loads(path.read_text())) == {
        "measure",
        "system",
        "test_set",
        "mean",
        "ci95",
        "count",
        "unit",
        "higher_is_better",
        "details",
        "versions",
    }


def test_only_a_whole_score_of_the_same_input_is_current(tmp_path):
    write_score(tmp_path, SCORE, ("value",), {"u": (1.0,)})
    assert is_current(tmp_path, "mel", "f") and not is_current(tmp_path, "mel", "other")
    (tmp_path / "mel.tsv").unlink()
    assert not is_current(tmp_path, "mel", "f")
    (tmp_path / "mel.tsv").touch()
    (tmp_path / "mel.json").write_text('{"measure": "mel"')
    assert not is_current(tmp_path, "mel", "f")


def test_no_nan_is_written_or_read(tmp_path):
    with pytest.raises(UserError, match="'u2'"):
        check_finite({"u1": 1.0, "u2": float("nan")}, "mel")
    bad = json.dumps({**SCORE.__dict__, "mean": float("nan")})
    (tmp_path / "mel.json").write_text(bad)
    with pytest.raises(UserError, match="mel.json"):
        read_score(tmp_path / "mel.json")
    with pytest.raises(UserError, match="no such file"):
        read_score(tmp_path / "wer.json")
