# Copyright 2026 The hasrd authors
# Apache-2.0
"""TIMIT's .phn and .wrd files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasrd.bin import import_alignments
from hasrd.data.alignments.timit import read_timit, utterance_of
from hasrd.data.alignments.tracks import Rules, load_ctm
from hasrd.data.problems import Problems
from hasrd.errors import UserError

# In the layout of the corpus; the words overlap, as some of it do.
PHN = "0 1600 h#\n1600 3200 sh\n3200 3360 q\n3360 4800 ix\n4800 6400 dcl\n6400 8000 ax-h\n8000 16000 h#\n"
WRD = "1600 4800 she\n4000 8000 had\n"


@pytest.fixture
def corpus(tmp_path: Path, make_data_dir) -> tuple[Path, Path]:
    folder = tmp_path / "timit" / "TRAIN" / "DR1" / "FCJF0"
    folder.mkdir(parents=True)
    (folder / "SA1.PHN").write_text(PHN)
    (folder / "SA1.WRD").write_text(WRD)
    data = make_data_dir("train", [16000, 16000])
    (data / "wav.scp").write_text("FCJF0_SA1 a.wav\nother b.wav\n")
    (data / "utt2num_samples").write_text("FCJF0_SA1 16000\nother 16000\n")
    for name in ("text", "utt2spk"):
        (data / name).unlink()
    return tmp_path / "timit", data


def run(source: Path, data: Path, *options: str) -> None:
    import_alignments.main(["--data", str(data), "--alignments", str(source), *options])


def test_phones_and_words_of_a_corpus(corpus):
    source, data = corpus
    with pytest.raises(UserError, match=r"SA1.WRD:2: it starts at 0.25 s, but .*--trim_overlaps true"):
        run(source, data)
    run(source, data, "--trim_overlaps", "true")
    assert list(load_ctm(data / "words.ctm", "words")["FCJF0_SA1"]) == [(0.1, 0.3, "she"), (0.3, 0.5, "had")]
    phones = load_ctm(data / "phones.ctm", "phones")["FCJF0_SA1"]
    assert phones.labels == ("SIL", "sh", "q", "ix", "dcl", "ax-h", "SIL")
    assert phones.ends.tolist() == [0.1, 0.2, 0.21, 0.3, 0.4, 0.5, 1.0]


def test_phones_are_folded_on_demand(corpus):
    source, data = corpus
    run(source, data, "--kind", "phones", "--fold_timit", "true")
    phones = load_ctm(data / "phones.ctm", "phones")["FCJF0_SA1"]
    assert phones.labels == ("SIL", "sh", "ih", "SIL", "ah", "SIL")
    # The glottal stop leaves its time empty.
    assert phones.starts.tolist() == [0.0, 0.1, 0.21, 0.3, 0.4, 0.5]
    assert not (data / "words.ctm").exists()


def test_linked_speakers_and_those_that_the_data_lacks(corpus, capsys):
    source, data = corpus
    speaker = source / "TRAIN/DR1/FCJF0"
    speaker.rename(source.parent / "elsewhere")
    speaker.symlink_to(source.parent / "elsewhere")
    (source / "TRAIN/DR1/MXYZ0").mkdir()
    (source / "TRAIN/DR1/MXYZ0/SA1.PHN").write_text("no alignment at all")
    run(source, data, "--kind", "phones")
    out = capsys.readouterr().out
    assert "phones.ctm: 1 of 2 utterances aligned" in out and "left out 1 utterances that are not in the data" in out


def test_how_utterances_may_be_called():
    path = Path("dr1/fcjf0/sa1.phn")
    for name in ("sa1", "fcjf0_sa1", "fcjf0-sa1"):
        assert utterance_of(path, {name}) == name
    assert utterance_of(path, set()) == "fcjf0_sa1"


@pytest.mark.parametrize(
    "content, message",
    [
        ("0 10 a\n10 20 b", ":2: the last line has no end: the file was cut off"),
        ("0 10 a\n10 20\n", ":2: a line needs 'begin end label'"),
        ("0 10 a\n10.5 20 b\n", ":2: a line needs"),
        ("0 10 a\n-1 20 b\n", ":2: a line needs"),
        ("0 10 a\n30 20 b\n", ":2: it ends at"),
        ("0 10 a\n0 2\x0b0 b\n", ":2: U\\+000B"),
        ("", ": no line in it"),
        (f"0 {'9' * 5000} a\n", ":1: '9{50}...' is no time"),
    ],
)
def test_what_is_wrong(tmp_path: Path, content: str, message: str):
    (tmp_path / "u.phn").write_text(content)
    problems = Problems()
    assert read_timit(tmp_path / "u.phn", "phones", problems, {"u"}) == ({}, set())
    with pytest.raises(UserError, match=f"u.phn{message}"):
        problems.raise_if_any()


def test_a_phone_that_is_none_of_timits(tmp_path: Path):
    (tmp_path / "u.phn").write_text("0 10 AA1\n")
    problems = Problems()
    assert not read_timit(tmp_path / "u.phn", "phones", problems, {"u"}, Rules(fold_timit=True))[0]
    assert ":1: 'AA1' is none of TIMIT's 61 phones" in problems.lines[0]


@given(st.binary(max_size=60))
def test_whatever_the_file_holds_there_is_a_track_or_clear_lines(tmp_path_factory, content: bytes):
    path = tmp_path_factory.mktemp("timit") / "u.wrd"
    path.write_bytes(content)
    problems = Problems()
    tracks, _ = read_timit(path, "words", problems, {"u"})
    assert (not tracks) == bool(problems.lines)
    assert all(line.startswith(f"{path}:") for line in problems.lines)
