# Copyright 2026 The hasrd authors
# Apache-2.0
"""Every kind of bad data directory, and the line that is said about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hasrd.data.kaldi import read_table
from hasrd.data.validate import validate
from hasrd.errors import UserError

soundfile = pytest.importorskip("soundfile")


def check(*folders: Path, **options):
    return validate(folders, 16000, 784, **options)


def audio_of(data: Path, index: int) -> Path:
    return Path(read_table(data / "wav.scp")[f"{data.name}-{index:04d}"])


def drop_line(table: Path, number: int) -> None:
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[: number - 1] + lines[number:]))


def contents(data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in data.iterdir()}


def test_good_data_gets_its_sample_counts(make_data_dir):
    data = make_data_dir("train", [4000, 784])
    (report,), warnings = check(data)
    assert not warnings and not report.rejected
    assert (data / "utt2num_samples").read_text() == "train-0000 4000\ntrain-0001 784\n"
    assert (data / "spk2utt").read_text() == "train train-0000 train-0001\n"
    assert not (data / "rejected").exists()


def write_nan(path: Path) -> None:
    wave = np.zeros(4000, dtype=np.float32)
    wave[10] = np.nan
    soundfile.write(path, wave, 16000, subtype="FLOAT")


# What is done to the audio of utterance 1 (line 2), and what is said of it.
BAD_AUDIO = {
    "corrupt": (lambda path: path.write_bytes(b"no audio at all"), "corrupt"),
    "empty": (lambda path: path.write_bytes(b""), "empty file"),
    "missing": (lambda path: path.unlink(), "no such audio file"),
    "rate": (lambda path: soundfile.write(path, np.zeros(4000), 8000), "8000 Hz, but 16000 Hz is needed"),
    "stereo": (lambda path: soundfile.write(path, np.zeros((4000, 2)), 16000), "2 channels"),
    "short": (lambda path: soundfile.write(path, np.zeros(783), 16000), "783 samples, but one token needs 784"),
    "no samples": (lambda path: soundfile.write(path, np.zeros(0), 16000), "no samples"),
    "nan": (write_nan, "1 samples are NaN"),
}


@pytest.mark.parametrize("kind", BAD_AUDIO)
def test_bad_audio_is_named_with_its_line_and_nothing_is_written(make_data_dir, kind: str):
    spoil, said = BAD_AUDIO[kind]
    data = make_data_dir("train", [4000, 5000, 6000])
    spoil(audio_of(data, 1))
    before = contents(data)
    with pytest.raises(UserError, match=rf"^{data}/wav.scp:2: utterance 'train-0001': .*{said}"):
        check(data, check_audio=True)
    assert contents(data) == before


@pytest.mark.parametrize("kind", BAD_AUDIO)
def test_bad_audio_is_dropped_on_demand_with_the_reason(make_data_dir, kind: str):
    spoil, said = BAD_AUDIO[kind]
    data = make_data_dir("train", [4000, 5000, 6000])
    spoil(audio_of(data, 1))
    (report,), _ = check(data, check_audio=True, drop_bad=True)
    assert list(report.rejected) == ["train-0001"]
    for name in ("wav.scp", "text", "utt2spk", "utt2num_samples"):
        assert list(read_table(data / name)) == ["train-0000", "train-0002"]
    assert (data / "rejected").read_text().startswith("train-0001 ") and said in (data / "rejected").read_text()
    # What is left is fine.
    check(data, check_audio=True)


def test_nan_needs_the_audio_to_be_read(make_data_dir):
    data = make_data_dir("train", [4000, 5000])
    write_nan(audio_of(data, 1))
    check(data)
    with pytest.raises(UserError, match="NaN"):
        check(data, check_audio=True)


def test_processes_find_the_same(make_data_dir):
    data = make_data_dir("train", [800] * 60)
    write_nan(audio_of(data, 55))
    with pytest.raises(UserError, match="wav.scp:56: .*NaN"):
        check(data, check_audio=True, nj=2)


@pytest.mark.parametrize("name", ["text", "utt2spk"])
def test_a_missing_line(make_data_dir, name: str):
    data = make_data_dir()
    drop_line(data / name, 2)
    with pytest.raises(UserError, match=f"wav.scp:2: utterance 'train-0001': has no line in {data}/{name}"):
        check(data)
    check(data, drop_bad=True)
    assert list(read_table(data / "wav.scp")) == ["train-0000", "train-0002"]


@pytest.mark.parametrize("name", ["text", "utt2spk"])
def test_a_missing_table(make_data_dir, name: str):
    data = make_data_dir()
    (data / name).unlink()
    with pytest.raises(UserError, match=f"{data}/{name}: no such file"):
        check(data)


def test_an_empty_transcript(make_data_dir):
    data = make_data_dir()
    (data / "text").write_text("train-0000 A\ntrain-0001\ntrain-0002 B\n")
    with pytest.raises(UserError, match="wav.scp:2: .*transcript in .*text is empty"):
        check(data)
    check(data, require_text=False)


def test_audio_alone_is_enough_where_no_text_is_needed(make_data_dir):
    data = make_data_dir()
    (data / "text").unlink()
    check(data, require_text=False)


def test_a_line_without_audio(make_data_dir):
    data = make_data_dir()
    drop_line(data / "wav.scp", 1)
    with pytest.raises(UserError, match=f"{data}/text:1: utterance 'train-0000': has no line in .*wav.scp"):
        check(data)


def test_ten_problems_are_shown_and_the_rest_counted(make_data_dir):
    data = make_data_dir("train", [100] * 25)
    with pytest.raises(UserError) as caught:
        check(data)
    message = str(caught.value)
    assert message.count("wav.scp:") == 10 and "... and 15 more" in message and "--drop_bad true" in message


def test_nothing_left_is_an_error(make_data_dir):
    data = make_data_dir("train", [100, 100])
    with pytest.raises(UserError, match="no utterance is left"):
        check(data, drop_bad=True)


def test_no_utterances(make_data_dir):
    data = make_data_dir()
    (data / "wav.scp").write_text("")
    with pytest.raises(UserError, match="wav.scp: no utterances"):
        check(data)


def test_a_command_in_wav_scp(make_data_dir):
    data = make_data_dir("train", [4000])
    (data / "wav.scp").write_text("train-0000 flac -dc x.flac |\n")
    with pytest.raises(UserError, match="wav.scp:1: .*is a command, not a file"):
        check(data)


def test_a_speaker_in_two_sets(make_data_dir):
    train, test = make_data_dir("train", speaker="anna"), make_data_dir("test", speaker="anna")
    with pytest.raises(UserError, match=f"{test}/utt2spk:1: speaker 'anna' is in {train} too"):
        check(train, test)
    check(train, test, single_speaker=True)


def test_an_utterance_in_two_sets(make_data_dir):
    train, test = make_data_dir("train"), make_data_dir("test", [4000])
    for name in ("wav.scp", "text", "utt2spk"):
        line = (train / name).read_text().splitlines(keepends=True)[1]
        (test / name).write_text((test / name).read_text() + line)
    with pytest.raises(UserError, match=f"{test}/wav.scp:2: utterance 'train-0001' is in {train} too"):
        check(train, test, single_speaker=True)


def test_one_text_in_two_sets_of_one_voice_is_a_warning(make_data_dir):
    train, test = make_data_dir("train"), make_data_dir("test", [4000, 4000])
    (test / "text").write_text("test-0000 NEW\ntest-0001 TEXT 2 OF train\n")
    _, warnings = check(train, test, single_speaker=True)
    assert len(warnings) == 1 and warnings[0].startswith(f"{test}/text:2: the text of utterance 'test-0001'")


def test_a_directory_named_twice(make_data_dir):
    data = make_data_dir()
    with pytest.raises(UserError, match="named twice"):
        check(data, data)
