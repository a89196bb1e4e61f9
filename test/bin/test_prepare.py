# Copyright 2026 The hasrd authors
# Apache-2.0
"""The entry point that prepares corpora."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hasrd.bin.prepare import main
from hasrd.errors import run_main

soundfile = pytest.importorskip("soundfile")


def run(*arguments: object) -> None:
    run_main(lambda: main([str(argument) for argument in arguments]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part, speakers in {"train": 20, "test-clean": 1}.items():
        for speaker in range(speakers):
            name = f"{part[:2]}{speaker:02d}"
            folder = tmp_path / "LibriSpeech" / part / name / "1"
            folder.mkdir(parents=True)
            soundfile.write(folder / f"{name}-1-0000.flac", np.zeros(16000), 16000)
            (folder / f"{name}-1.trans.txt").write_text(f"{name}-1-0000 HELLO\n")
    return tmp_path


def test_librispeech(root: Path, tmp_path: Path, capsys):
    out = tmp_path / "data"
    run("librispeech", "--root", root, "--train", "train", "--test", "test-clean", "--valid_from_train", 0.1,
        "--out", out)  # fmt: skip
    assert sorted(path.name for path in out.iterdir()) == ["left_out", "licence", "test-clean", "train", "valid"]
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["train", "18", "0.3", "18"] in table and ["valid", "2", "0.0", "2"] in table


def test_alignments_beside_the_corpus_are_taken(root: Path, tmp_path: Path, capsys):
    folder = root / "LibriSpeech" / "alignments"
    folder.mkdir()
    (folder / "words.ctm").write_text("te00-1-0000 1 0.2 0.5 HELLO(2)\nxx-1 1 0 1 A\n")
    options = ["librispeech", "--root", root, "--train", "train", "--test", "test-clean", "--out"]
    run(*options, tmp_path / "data")
    printed = capsys.readouterr().out
    assert f"{tmp_path}/data/test-clean/words.ctm: 1 of 1 utterances aligned" in printed
    assert f"{tmp_path}/data/train/words.ctm: no utterance aligned" in printed
    assert f"{folder}: left out 1 utterances" in printed
    assert (tmp_path / "data/test-clean/words.ctm").read_text() == "te00-1-0000 1 0.2000 0.5000 hello\n"
    assert not (tmp_path / "data/train/words.ctm").exists()
    other = tmp_path / "te00-1.alignment.txt"
    other.write_text('te00-1-0000 ",HELLO" "0.5,2.0"\n')
    with pytest.raises(SystemExit, match="end at 2 s, but its audio at 1 s"):
        run(*options, tmp_path / "bad", "--alignments", other)
    assert not (tmp_path / "bad").exists()


def test_a_missing_part_is_one_line_and_writes_nothing(root: Path, tmp_path: Path):
    with pytest.raises(SystemExit, match="error: .*train-other-500: no such part"):
        run("librispeech", "--root", root, "--train", "train-other-500", "--out", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_languages_may_stand_in_one_word(tmp_path: Path):
    with pytest.raises(SystemExit, match="error: --langs: no prompts in 'xx'"):
        run("asterisk", "--langs", "en xx", "--out", tmp_path)
    with pytest.raises(SystemExit, match="error: --langs: name at least one"):
        run("asterisk", "--langs", "", "--out", tmp_path)


@pytest.mark.parametrize("arguments", [[], ["nothing"]])
def test_the_corpus_must_be_named(arguments: list[str]):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
