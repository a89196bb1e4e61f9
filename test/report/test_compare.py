# Copyright 2026 The hasrd authors
# Apache-2.0
import json
from pathlib import Path

import numpy as np
import pytest

from hasrd.bin.compare import main
from hasrd.jobs.origin import Origin
from hasrd.metrics.measure import Result, ScoreJob
from hasrd.metrics.scores import MEASURES
from hasrd.metrics.scoring import job
from hasrd.report.compare import compare, render

COUNT = 40
RECORD = Origin().record()


def write(measure, system, test_set, folder, result):
    job.write(ScoreJob(MEASURES[measure], system, test_set, folder, "", {}, RECORD), result)


def write_wer(folder, errors, system="tokens_all", test_set="test", ref="some words", skip=0, **details):
    """A WER as `hasrd score` writes it, of utterances with 20 words each."""
    rows = {f"utt{i:02d}": (int(value), 20, ref) for i, value in enumerate(errors) if i >= skip}
    ratio = ("errors", "length")
    write("wer", system, test_set, folder, Result.of_ratio((*ratio, "ref"), rows, ratio, 100.0, source="x", **details))


def write_mel(folder, values, system="combined", test_set="test", **details):
    values = {f"utt{i:02d}": float(value) for i, value in enumerate(values)}
    write("mel", system, test_set, folder, Result.of_mean(values, source="x", **details))


@pytest.fixture
def two(tmp_path):
    """Two experiments: the second has a clearly better WER, and a mel distance that is the same but for noise."""
    generator = np.random.default_rng(0)
    hard = generator.integers(2, 10, COUNT)
    mel = generator.uniform(1, 3, COUNT)
    folders = tmp_path / "codec_one", tmp_path / "codec_two"
    for index, folder in enumerate(folders):
        errors = hard - index * generator.integers(1, 3, COUNT)
        write_wer(folder / "probe_tokens_all_abc/scores/test", errors)
        write_wer(folder / "probe_tokens_all_abc_seed2/scores/test", errors + 5, run="seed2")
        write_mel(folder / "scores/test/combined", mel + generator.normal(0, 0.01, COUNT))
        write_mel(folder / "scores/other/combined", mel, test_set="other")
        rate = Result(3.1, (3.1, 3.1), ("tokens",), {"utt00": (9,)})
        write("bitrate", "combined", "test", folder / "scores/test/combined", rate)
    return folders


def test_what_both_have_is_compared(two):
    found = compare(two)
    assert found.names == ("codec_one", "codec_two")
    lines = {line.key: line for line in found.lines}
    assert set(lines) == {("wer", "test", "tokens_all"), ("mel", "test", "combined"), ("mel", "other", "combined")}
    wer = lines["wer", "test", "tokens_all"]
    assert wer.verdict(found.names) == "codec_two better" and wer.paired.count == COUNT
    assert wer.paired.difference == pytest.approx(wer.second.mean - wer.first.mean)
    assert wer.paired.ci95[1] < 0 and wer.paired.p < wer.p_holm < 0.05
    assert lines["mel", "test", "combined"].verdict(found.names) == "no difference shown"
    assert lines["mel", "other", "combined"].paired.p == 1
    assert found.left_out == [(("bitrate", "test", "combined"), "it has no value an utterance")]


def test_table_and_options(two, capsys, one_line):
    names = list(map(str, two))
    capsys.readouterr()
    main([*names, "--test_set", "test", "--measures", "wer,bitrate", "--out_md", str(two[0] / "out.md")])
    printed = capsys.readouterr().out
    assert "codec_two better" in printed and "Mel" not in printed and "Holm" in printed and "resamples" in printed
    lines = (two[0] / "out.md").read_text().splitlines()
    assert lines[0].startswith("| test set | system | measure | codec_one | codec_two | difference |")
    assert lines[2].startswith("| test | tokens_all | WER % |") and lines[3] == ""
    assert all(line.startswith("- ") for line in lines[4:])
    for option, value in (("--measures", "weer"), ("--test_set", "tset")):
        one_line(f"{option} {value}: neither experiment has a score of it", main, [*names, option, value])


def test_higher_can_be_better_and_names_can_be_equal(tmp_path):
    folders = tmp_path / "a/codec", tmp_path / "b/codec"
    for index, folder in enumerate(folders):
        values = {f"utt{i}": i / COUNT + 0.1 * index for i in range(COUNT)}
        write("stoi", "combined", "test", folder / "scores/test/combined", Result.of_mean(values))
    found = compare(folders)
    assert found.lines[0].verdict(found.names) == f"{folders[1]} better"


def test_a_single_probe_can_be_named(two, one_line):
    probes = tuple(folder / "probe_tokens_all_abc" for folder in two)
    assert [line.key for line in compare(probes).lines] == [("wer", "test", "tokens_all")]
    write_wer(two[0] / "probe_tokens_all_other/scores/test", range(COUNT))
    one_line("stands for the same as .*: name the folders", compare, two)


def test_utterances_in_common(tmp_path, one_line):
    one, two = tmp_path / "one", tmp_path / "two"
    write_wer(one / "scores/test/s", range(COUNT))
    write_wer(two / "scores/test/s", range(COUNT), skip=10)
    found = compare((one, two))
    assert found.lines[0].paired.count == COUNT - 10 and found.lines[0].paired.difference == 0
    assert f"{COUNT - 10} utterances are common to both, of {COUNT} and {COUNT - 10}" in render(found)
    write_wer(two / "scores/test/s", range(60), skip=COUNT)
    one_line("wer, test, tokens_all: they have no utterance in common", compare, (one, two))
    write_wer(two / "scores/test/s", range(60), skip=30)
    found = compare((one, two))
    assert found.lines[0].verdict(found.names) == "too few utterances"


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"ref": "other words"}, "their references differ"),
        ({"sample_rate": 8000}, r"not measured alike \(sample_rate\)"),
        ({"recogniser": {"model": "b", "sha256": "2"}}, r"not measured alike \(recogniser\)"),
    ],
)
def test_scores_of_different_things_are_refused(tmp_path, change, reason, one_line):
    one, two = tmp_path / "one", tmp_path / "two"
    write_wer(one / "scores/test/s", range(COUNT), recogniser={"model": "a", "sha256": "1"})
    write_wer(two / "scores/test/s", range(COUNT), **{"recogniser": {"model": "c", "sha256": "1"}, **change})
    one_line(reason, compare, (one, two))


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: path.write_text("{"), "mel.json: not JSON .* not a score file"),
        (lambda path: path.with_suffix(".tsv").unlink(), "mel.tsv: missing or empty: remove .* and score again"),
        (lambda path: path.with_suffix(".tsv").write_text("utt\tvalue\n"), "mel.tsv: missing or empty"),
        (lambda path: path.with_suffix(".tsv").write_bytes(b"utt\tvalue\n\xff\t1\n"), "mel.tsv: can't be read"),
        (lambda path: path.with_suffix(".tsv").write_text("utt\tvalue\nutt00\tnan\n"), "'utt00' has no finite value"),
        (lambda path: path.with_suffix(".tsv").write_text("utt\tvalue\nutt00\t1\n"), "not the table of mel.json"),
        (lambda path: edit_json(path, mean=9.0), "not the table of mel.json"),
        (lambda path: edit_json(path, test_set="dev"), "holds a score of 'dev'"),
    ],
)
def test_damaged_files_are_named(two, damage, message, one_line):
    damage(two[1] / "scores/test/combined/mel.json")
    one_line(message, compare, two)


def test_folders_without_scores(two, tmp_path, one_line):
    one_line("missing: no such experiment folder", main, [str(two[0]), str(tmp_path / "missing")])
    Path(tmp_path / "empty").mkdir()
    one_line("empty: no scores below", main, [str(two[0]), str(tmp_path / "empty")])
    write_wer(tmp_path / "third/scores/test/s", range(COUNT), system="latent")
    one_line("no score that both have", main, [str(two[0]), str(tmp_path / "third")])
