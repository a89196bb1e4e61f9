# Copyright 2026 The hasrd authors
# Apache-2.0
"""Every kind of bad data directory, and the line that is said about it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from hasrd.data.kaldi import DataDir, read_table
from hasrd.data.validate import check_overlap, validate
from hasrd.errors import UserError
from hasrd.jobs.origin import table_facts

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
    (data / "text").write_text("train-0000 ONE\ntrain-0001 TWO\n")
    (report,), warnings = check(data, check_audio=True)
    assert not warnings and not report.rejected
    assert (data / "utt2num_samples").read_text() == "train-0000 4000\ntrain-0001 784\n"
    assert (data / "spk2utt").read_text() == "train train-0000 train-0001\n"
    assert not (data / "rejected").exists()


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


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
    "cut off": (cut_off, "cut off: 9900 of 10000 bytes"),
    "integers": (lambda path: soundfile.write(path, np.full(4000, 99.0), 16000, subtype="FLOAT"), "samples up to 99"),
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


# What is done to the tables of three utterances, and what is said of it; `{}` is the directory.
BAD_TABLES = {
    "no text": (lambda data: (data / "text").unlink(), "{}/text: no such file"),
    "no speakers": (lambda data: (data / "utt2spk").unlink(), "{}/utt2spk: no such file"),
    "no audio of a line": (
        lambda data: drop_line(data / "wav.scp", 1), "{}/text:1: utterance 'train-0000': has no line in .*wav.scp"
    ),
    "no utterances": (lambda data: (data / "wav.scp").write_text(""), "wav.scp: no utterances"),
    "a command": (
        lambda data: (data / "wav.scp").write_text("train-0000 flac -dc x.flac |\n"),
        "wav.scp:1: .*is a command, not a file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_bad_tables(make_data_dir, kind: str):
    spoil, said = BAD_TABLES[kind]
    data = make_data_dir()
    spoil(data)
    with pytest.raises(UserError, match=said.format(data)):
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
    (train / "text").write_text("train-0000 A\ntrain-0001 B\ntrain-0002 C\n")
    (test / "text").write_text("test-0000 NEW\ntest-0001 C\n")
    _, warnings = check(train, test, single_speaker=True)
    assert warnings == [
        f"{test}/text: 1 utterances (test-0001 as train-0002 in {train}) have the text of one in another set"
    ]
    assert not check(train, test)[1]


def test_what_is_odd_is_counted_with_the_first_names(make_data_dir):
    train, test = make_data_dir("train", [20000] * 7), make_data_dir("test", [4000] * 3)
    (train / "text").write_text("".join(f"train-{i:04d} {'word' if i < 5 else 'MORE.'}\n" for i in range(7)))
    (test / "text").write_text("".join(f"test-{i:04d} words of {i}\n" for i in range(3)))
    for index, wave in enumerate([np.zeros(20000), np.full(20000, 0.1), np.full(20000, 0.9)]):
        soundfile.write(audio_of(train, index), wave, 16000)
    for index in range(3):
        audio_of(test, index).write_bytes(audio_of(train, 6).read_bytes())
    _, warnings = check(train, test, check_audio=True)
    told = [warning.partition(":")[0] for warning in warnings]
    assert all(len(warning.splitlines()) == 1 for warning in warnings) and told == sorted(told, reverse=True)
    for line, part in [
        (f"{train}/wav.scp: 1 utterances (train-0000)", "silence"),
        (f"{train}/wav.scp: 2 utterances (train-0001, train-0002)", "DC offset"),
        (f"{train}/wav.scp: 1 utterances (train-0002)", "clipped"),
        (f"{train}/text: 2 utterances (train-0005, train-0006)", "another case"),
        (f"{train}/text: 2 utterances (train-0005, train-0006)", "punctuation"),
        (
            f"{test}/wav.scp: 3 utterances (test-0000 as train-0006 in {train}, test-0001 as train-0006 in {train}, ",
            "the audio of another",
        ),
        (f"{test}/wav.scp: one clip repeated is 3 of the 3 utterances (train-0006)", "is the table right"),
    ]:
        assert len([warning for warning in warnings if warning.startswith(line) and part in warning]) == 1, line
    assert len(warnings) == 7
    # Of the headers alone, only a file that is named twice is seen.
    (test / "wav.scp").write_text("".join(f"test-{i:04d} {audio_of(test, 0)}\n" for i in range(2)))
    for name in ("text", "utt2spk"):
        drop_line(test / name, 3)
    assert [w for w in check(test)[1]] == [
        f"{test}/wav.scp: 1 utterances (test-0001 as test-0000) have the audio of another: keep one of each"
    ]


def test_all_that_is_wrong_with_tables_is_told_at_once(make_data_dir):
    train, test = make_data_dir("train"), make_data_dir("test")
    (train / "text").write_text("train-0000 A\xa0B\ntrain-0000 A\ntrain-0000 B\n")
    (test / "wav.scp").write_text("/x/y a.wav\n../y b.wav\ntest-0000\n")
    (test / "utt2spk").unlink()
    with pytest.raises(UserError) as caught:
        check(train, test, drop_bad=True)
    lines = str(caught.value).split("\n  ")
    assert [line.partition(": ")[0] for line in lines] == [
        f"{train}/text:1",
        f"{train}/text:3",
        f"{test}/wav.scp:1",
        f"{test}/wav.scp:2",
        f"{test}/wav.scp:3",
        f"{test}/utt2spk",
    ]


def test_stage_1_writes_tables_that_all_programs_read_alike(make_data_dir):
    data = make_data_dir("train", [4000, 5000])
    for name in ("wav.scp", "text", "utt2spk"):
        (data / name).write_bytes((data / name).read_bytes().replace(b" ", b"  \t", 1).replace(b"\n", b" \r\n").strip())
    check(data)
    for name in ("wav.scp", "text", "utt2spk"):
        content = (data / name).read_bytes()
        assert content.endswith(b"\n") and not set(b"\r\t") & set(content) and b"  " not in content


def test_a_hundred_thousand_errors_take_seconds():
    names = [f"utterance-{index:06d}" for index in range(100_000)]
    tables = {name: {utterance: utterance for utterance in names} for name in ("wav.scp", "utt2spk", "text")}
    sets = [DataDir(Path(name), tables) for name in ("train", "test")]
    started = time.process_time()
    errors, _ = check_overlap(sets, single_speaker=False)
    _, warnings = check_overlap(sets, single_speaker=True)
    assert len(errors) == 200_000 and len(warnings) == 1
    assert errors[99_999].startswith("test/wav.scp:100000: utterance 'utterance-099999' is in train too")
    assert errors[-1].startswith("test/utt2spk:100000: speaker 'utterance-099999' is in train too (1 and 1 ")
    assert time.process_time() - started < 10


def test_lines_are_the_files_where_utterances_are_left_out(make_data_dir):
    train, test = make_data_dir("train", speaker="a"), make_data_dir("test", [100, 4000], speaker="a")
    with pytest.raises(UserError, match=f"{test}/utt2spk:2: speaker 'a' is in {train} too"):
        check(train, test, drop_bad=True)


def test_a_directory_named_twice(make_data_dir):
    data = make_data_dir()
    with pytest.raises(UserError, match="named twice"):
        check(data, data)


def test_audio_that_was_read_is_not_read_again_to_know_what_is_in_it(make_data_dir, monkeypatch):
    data = make_data_dir()
    time.sleep(0.2)  # Newer files could change without a sign.
    check(data, check_audio=True)
    monkeypatch.setattr("hasrd.jobs.origin.sha256", lambda path: pytest.fail(f"{path} was read again"))
    facts = table_facts(data / "wav.scp")
    check(data, check_audio=True)
    monkeypatch.undo()
    (data / ".wav.scp.facts").unlink()
    assert table_facts(data / "wav.scp") == facts
    soundfile.write(audio_of(data, 1), np.ones(8000) / 2, 16000, subtype="PCM_16")
    check(data, check_audio=True)
    assert table_facts(data / "wav.scp") != facts


def test_headers_alone_say_nothing_of_the_content(make_data_dir):
    data = make_data_dir()
    check(data)
    assert not (data / ".wav.scp.facts").exists()
