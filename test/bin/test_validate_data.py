# Copyright 2026 The hasrd authors
# Apache-2.0
"""The entry point that checks data directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from hasrd.bin.validate_data import main
from hasrd.errors import run_main


def run(*arguments: object) -> None:
    run_main(lambda: main([str(argument) for argument in arguments]))


def test_good_data(make_data_dir, capsys):
    train, test = make_data_dir("train", [16000, 32000]), make_data_dir("test", [8000])
    run(train, test)
    out = capsys.readouterr().out
    assert f"{train}: 2 utterances, 0.1 minutes" in out and f"{test}: 1 utterances" in out


def test_bad_data_is_one_line_and_a_non_zero_exit(make_data_dir):
    data = make_data_dir("train", [16000, 100])
    with pytest.raises(SystemExit) as caught:
        run(data)
    assert str(caught.value.code).startswith(f"error: {data}/wav.scp:2: utterance 'train-0001': ")
    assert "Traceback" not in str(caught.value.code)


def test_bad_data_is_dropped_on_demand(make_data_dir, capsys):
    data = make_data_dir("train", [16000, 100])
    run(data, "--drop_bad", "true")
    assert f"1 utterances, 0.0 minutes; 1 left out, reasons in {data}/rejected" in capsys.readouterr().out


def test_single_speaker_and_other_rates(make_data_dir, capsys):
    train, test = make_data_dir("train", speaker="a"), make_data_dir("test", speaker="a")
    with pytest.raises(SystemExit, match="speaker 'a' is in"):
        run(train, test)
    run(train, test, "--single_speaker", "true")
    with pytest.raises(SystemExit, match="24000 Hz is needed"):
        run(train, "--sample_rate", 24000)


def test_warnings_are_one_line_a_kind(make_data_dir, capsys):
    train, test = make_data_dir("train", [4000] * 12), make_data_dir("test", [4000] * 12)
    (test / "text").write_text("".join(f"test-{i:04d} TEXT {i} OF train\n" for i in range(12)))
    run(train, test, "--single_speaker", "true")
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    # The texts here have both cases, too.
    assert len(lines) == 3
    assert lines[0].startswith(f"warning: {test}/text: 12 utterances (test-0000 as train-0000 in {train}, test-0001 as")


@pytest.mark.parametrize("arguments", [["--single_speaker", "perhaps"], []])
def test_wrong_options(arguments: list[str], tmp_path: Path):
    with pytest.raises(SystemExit) as caught:
        run(*([tmp_path, *arguments] if arguments else []))
    assert caught.value.code == 2


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    assert "one voice in all sets is right" in capsys.readouterr().out
