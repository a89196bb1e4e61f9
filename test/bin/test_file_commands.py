# Copyright 2026 The hasrd authors
# Apache-2.0
"""Command lines of hasrd encode, decode, resynth and tokens: inputs and OUT, pipes, other audio, shards."""

from __future__ import annotations

import fcntl
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import hasrd
from hasrd.bin import decode, encode, resynth, tokens
from hasrd.data import file_work
from hasrd.data.kaldi import read_table
from hasrd.data.resample import resample
from hasrd.errors import UserError


@pytest.fixture(scope="module")
def packed(codec_dir, tmp_path_factory) -> Path:
    from hasrd.models.package import pack
    from hasrd.report.card import card_scores

    return pack(codec_dir, tmp_path_factory.mktemp("packed") / "model", scores=card_scores)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder to stand in, with three recordings."""
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate(("one.wav", "two.flac", "in/three.wav")):
        Path(name).parent.mkdir(exist_ok=True)
        soundfile.write(name, np.random.default_rng(index).uniform(-0.3, 0.3, 3000 + 1000 * index), 16000)
    return tmp_path


def files(folder: Path, suffix: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob(f"*{suffix}")}


def error_of(module, *words) -> str:
    with pytest.raises(UserError) as error:
        module.main([*map(str, words)])
    assert "\n" not in str(error.value)
    return str(error.value)


def run(module, *words) -> None:
    module.main([*map(str, words)])


def hasrd_command(*words, stdin: bytes = b"") -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "hasrd.bin.main", *map(str, words)], input=stdin, capture_output=True)


def test_several_files_beside_and_in_a_folder(packed, place, capsys):
    model = hasrd.load(packed)
    run(encode, packed, "one.wav", "two.flac", "in/three.wav")
    assert files(place, ".npz") == {"one.npz", "two.npz", "in/three.npz"}
    for name in ("one.wav", "two.flac", "in/three.wav"):
        wave, rate = soundfile.read(name, dtype="float32")
        found = model.load_tokens(Path(name).with_suffix(".npz"))
        assert torch.equal(found.codes, model.encode(wave, rate).codes)
    run(encode, packed, "one.wav", "in", "out")
    run(encode, packed, "-o", "out2", "one.wav", "in")
    for out in (place / "out", place / "out2"):
        assert files(out, ".npz") == {"one.npz", "in/three.npz"}
        assert (out / "in/three.npz").read_bytes() == (place / "in/three.npz").read_bytes()
    # The same command goes on, and tokens of another kind go elsewhere, as the message says.
    capsys.readouterr()
    Path("one.npz").unlink()
    run(encode, packed, "one.wav", "two.flac", "in/three.wav")
    err = capsys.readouterr().err
    assert "1 of 2 files are there already, going on" in err and "1 of 1 files are there already, nothing" in err
    words = (packed, "one.wav", "two.flac", "--streams", "semantic")
    assert "made with streams all, not semantic: name another place with -o" in error_of(encode, *words)
    run(encode, *words, "-o", "semantic")
    assert files(place / "semantic", ".npz") == {"one.npz", "two.npz"}


def test_two_commands_beside_the_same_files(packed, place, capsys):
    before = {path: path.read_bytes() for path in place.rglob("*.*") if path.is_file()}
    run(encode, packed, "in", "--streams", "semantic", "acoustic")
    # The audio that the tokens came from is never written over; the remedy is one of this command.
    message = error_of(decode, packed, "in")
    assert "in/three.wav: is there already" in message and "-o" in message
    run(decode, packed, "in", "-o", "speech")
    run(decode, packed, "in", "--format", "flac")
    assert files(place / "in", ".flac") == {"three.flac"} and files(place / "speech", ".wav") == {"three.wav"}
    assert all(path.read_bytes() == content for path, content in before.items())
    # What is put there later is not this package's, whatever its name.
    np.savez("in/four.npz", **np.load("in/three.npz"))
    shutil.copy("two.flac", "in/four.flac")
    assert "in/four.flac: is there already" in error_of(decode, packed, "in", "--format", "flac")
    assert Path("in/four.flac").read_bytes() == before[place / "two.flac"]


def test_a_file_beside(packed, place):
    run(encode, packed, "one.wav")
    assert files(place, "json") == set(), "one file leaves no records"
    assert "one.npz: is there already" in error_of(encode, packed, "one.wav")
    assert "one.wav: is there already" in error_of(decode, packed, "one.npz")
    run(decode, packed, "one.npz", "-o", "again.flac")
    assert soundfile.info("again.flac").frames == 3000
    assert "named .npz" in error_of(encode, packed, "one.wav", "-o", "one.x")


def test_tables_beside_leave_tables_alone(packed, place):
    Path("data").mkdir()
    Path("data/wav.scp").write_text("u1 one.wav\nu2 two.flac\n")
    Path("data/utt2num_samples").write_text("u1 3000\nu2 4000\n")
    run(encode, packed, "data")
    assert read_table("data/tokens.scp") == {"u1": "data/u1.npz", "u2": "data/u2.npz"}
    # Decoding would write a wav.scp.
    assert "data/wav.scp: is there already" in error_of(decode, packed, "data")
    assert "data/utt2num_samples: is there already" in error_of(encode, packed, "data", "--kaldi")
    run(encode, packed, "data", "-o", "kaldi", "--kaldi")
    run(decode, packed, "kaldi/codes.scp", "-o", "speech")
    assert [soundfile.info(path).frames for path in read_table("speech/wav.scp").values()] == [3000, 4000]
    assert read_table("data/wav.scp") == {"u1": "one.wav", "u2": "two.flac"}


def test_streams_and_codebooks(packed, place):
    model = hasrd.load(packed)
    whole = model.encode(*soundfile.read("one.wav", dtype="float32"))
    count = model.num_codebooks
    assert count > 2
    run(encode, packed, "one.wav", "-o", "two.npz", "--codebooks", 2)
    assert torch.equal(model.load_tokens("two.npz").codes, whole.codes[..., :2])
    run(encode, packed, "one.wav", "-o", "a.npz", "--streams", "acoustic", "--codebooks", 1)
    assert torch.equal(model.load_tokens("a.npz").codes, whole.select(["acoustic"]).codes[..., :1])
    # All forms of a list, before and after the paths.
    for number, words in enumerate((
        ("--streams", "semantic,acoustic", packed, "one.wav", "s0.npz"),
        (packed, "--streams", "semantic", "acoustic", "--nj", 1, "one.wav", "s1.npz"),
        (packed, "one.wav", "--nj", 1, "s2.npz", "--streams", "acoustic", "semantic"),
        (packed, "one.wav", "-o", "s3.npz", "--streams", "semantic,", "acoustic"),
    )):  # fmt: skip
        run(encode, *words)
        assert torch.equal(model.load_tokens(f"s{number}.npz").codes, whole.codes)
    run(encode, "--streams", "semantic", packed, "one.wav", "s4.npz")
    assert torch.equal(model.load_tokens("s4.npz").codes, whole.select(["semantic"]).codes)
    run(encode, packed, "one.wav", "all.npz")
    run(decode, packed, "all.npz", "c.wav", "--codebooks", 2)
    run(decode, packed, "two.npz", "d.wav")
    assert Path("c.wav").read_bytes() == Path("d.wav").read_bytes()
    assert f"--codebooks {count + 1}: this model has {count}" in error_of(
        encode, packed, "one.wav", "x.npz", "--codebooks", count + 1
    )
    assert "this model has 1 in semantic" in error_of(
        encode, packed, "one.wav", "x.npz", "--codebooks", 2, "--streams", "semantic"
    )
    assert "two.npz: the first 3 codebooks: there are 2" in error_of(
        decode, packed, "two.npz", "x.wav", "--codebooks", 3
    )
    assert "--streams ,: this model has semantic, acoustic" in error_of(encode, packed, "one.wav", "--streams", ",")


def test_resynth_is_encode_and_decode(packed, place):
    run(encode, packed, "in", "tokens")
    run(decode, packed, "tokens", "speech")
    run(resynth, packed, "in", "both")
    assert Path("both/three.wav").read_bytes() == Path("speech/three.wav").read_bytes()
    run(resynth, packed, "one.wav", "again.wav")
    run(resynth, packed, "one.wav", "two.flac", "in", "many", "--format", "flac", "--streams", "semantic")
    assert files(place / "many", ".flac") == {"one.flac", "two.flac", "in/three.flac"}
    assert "name OUT after it, or with -o" in error_of(resynth, packed, "one.wav")
    assert "again.wav: is there already" in error_of(resynth, packed, "two.flac", "again.wav")


def other_audio(speech: np.ndarray, path: Path) -> np.ndarray:
    """Write speech at 44.1 kHz in two channels of different level, as 16 bits; return it as it is read."""
    wave = resample(speech, 16000, 44100)
    soundfile.write(path, np.stack([0.9 * wave, 0.5 * wave], axis=1), 44100)
    return soundfile.read(path, dtype="float32")[0]


def test_other_rates_and_channels_of_real_speech(packed, place, speech, capsys, monkeypatch):
    stereo = other_audio(speech, place / "in/stereo.wav")
    soundfile.write("in/slow.flac", speech[::2], 8000)
    monkeypatch.setattr(file_work, "GROUP", 1)
    run(encode, packed, "in", "out", "--nj", 2)
    err = capsys.readouterr().err
    assert err.count("note: 2 of 3 files resampled to 16000 Hz") == 1
    assert err.count("note: 1 of 3 files mixed down to one channel") == 1
    model = hasrd.load(packed)
    found = model.load_tokens("out/stereo.npz")
    expected = model.encode(stereo.mean(axis=1), 44100, resample=True)
    assert torch.equal(found.codes, expected.codes) and torch.equal(found.num_samples, expected.num_samples)
    assert abs(int(found.num_samples) - len(speech)) <= 1
    run(encode, packed, "in", "out")
    assert "resampled" not in capsys.readouterr().err, "nothing was done"
    assert "2 of 3 files failed" in error_of(encode, packed, "in", "strict", "--strict_rate", "--nj", 2)
    err = capsys.readouterr().err
    assert "stereo.wav: 44100 Hz, but 16000 Hz is needed: without --strict_rate" in err
    soundfile.write("stereo.wav", stereo[:8000], 16000)
    assert "2 channels, but one is needed: without --strict_rate" in error_of(
        encode, packed, "stereo.wav", "--strict_rate"
    )
    with pytest.raises(SystemExit):
        run(encode, packed, "one.wav", "--strict_rate", "--resample")
    # What a message advises works in the same folder: what was refused is converted, the rest stays. Not the other way.
    run(encode, packed, "in", "strict")
    assert files(place / "strict", ".npz") == files(place / "out", ".npz")
    err = capsys.readouterr().err
    assert "1 of 3 files are there already" in err and "2 of 3 files resampled" in err
    assert "made with resample True, not False: name another place with -o" in error_of(
        encode, packed, "in", "strict", "--strict_rate"
    )


def test_a_file_that_failed_leaves_its_name_to_others(packed, place):
    Path("in/bad.wav").write_text("no audio")
    assert "1 of 2 files failed" in error_of(encode, packed, "in")
    Path("in/bad.npz").write_text("somebody's")
    assert "in/bad.npz: is there already" in error_of(encode, packed, "in")
    assert Path("in/bad.npz").read_text() == "somebody's"


def test_pipes(packed, place, speech):
    other_audio(speech, place / "speech.wav")
    audio = Path("speech.wav").read_bytes()
    run(encode, packed, "speech.wav", "-o", "file.npz")
    run(decode, packed, "file.npz", "-o", "file.wav")
    made = hasrd_command("encode", packed, "-", stdin=audio)
    assert made.returncode == 0 and made.stdout == Path("file.npz").read_bytes()
    assert "standard output: tokens of 1 file" in made.stderr.decode() and "resampled" in made.stderr.decode()
    spoken = hasrd_command("decode", packed, "-", "-", stdin=made.stdout)
    assert spoken.returncode == 0 and spoken.stdout == Path("file.wav").read_bytes()
    assert hasrd_command("resynth", packed, "speech.wav", "-").stdout == spoken.stdout
    flac = hasrd_command("decode", packed, "file.npz", "-o", "-", "--format", "flac").stdout
    assert soundfile.info(io.BytesIO(flac)).format == "FLAC"
    # What a program that streams writes: a header that does not know the length.
    streamed = bytearray(audio)
    streamed[4:8] = streamed[40:44] = b"\xff" * 4
    assert hasrd_command("encode", packed, "-", "-o", "streamed.npz", stdin=bytes(streamed)).returncode == 0
    assert Path("streamed.npz").read_bytes() == made.stdout
    for words, stdin, message in (
        (("encode", packed, "-"), b"", "error: standard input: empty file"),
        (("encode", packed, "-", "-"), b"no audio at all", "error: standard input: corrupt"),
        (("decode", packed, "-"), b"no tokens", "error: standard input: not a file of tokens"),
        (("encode", packed, "in", "-"), b"", "error: '-' stands for one file"),
        (("encode", packed, "-", "one.wav"), audio, "error: '-' stands for one file"),
    ):
        bad = hasrd_command(*words, stdin=stdin)
        assert bad.returncode == 1 and bad.stdout == b""
        assert bad.stderr.decode().splitlines()[-1].startswith(message) and b"/tmp" not in bad.stderr
    shown = hasrd_command("tokens", "-", "--json", stdin=made.stdout)
    assert json.loads(shown.stdout)["codes"] == np.load("file.npz")["codes"].tolist()


def test_tokens(packed, place, capsys):
    run(encode, packed, "one.wav", "two.flac")
    np.savez("bare.npz", codes=np.array([[1, 70000], [3, 4]]))
    capsys.readouterr()
    run(tokens, "one.npz", "bare.npz")
    lines = capsys.readouterr().out.splitlines()
    codes = np.load("one.npz")["codes"]
    assert lines[0].startswith(
        f"one.npz: {len(codes)} tokens of {codes.shape[1]} codebooks, 31.25 a second, 3000 samples"
    )
    assert lines[1].split()[:3] == ["frame", "seconds", "semantic"]
    assert [[int(word) for word in line.split()[2:]] for line in lines[2 : 2 + len(codes)]] == codes.tolist()
    assert lines[3].split()[:2] == ["1", "0.032"]
    assert [line.split() for line in lines[-2:]] == [["0", "1", "70000"], ["1", "3", "4"]]
    Path("bad.npz").write_text("x")
    assert "2 of 4 files failed" in error_of(tokens, "one.npz", "bad.npz", "gone.npz", "bare.npz", "--json")
    out, err = capsys.readouterr()
    first, second = map(json.loads, out.splitlines())
    assert first["file"] == "one.npz" and first["codes"] == codes.tolist() and first["num_samples"] == 3000
    assert first["stream_names"][0] == "semantic" and first["model"] == hasrd.load(packed).model_sha256
    assert second == {**dict.fromkeys(first), "file": "bare.npz", "codes": [[1, 70000], [3, 4]], "model": ""}
    assert "failed: bad.npz: not a file of tokens" in err and "failed: gone.npz: no such" in err
    assert error_of(tokens, "bad.npz").startswith("bad.npz: not a file of tokens")


@pytest.mark.parametrize("table", [True, False])
def test_shards(packed, place, capsys, table):
    source, count = Path("many"), 7
    source.mkdir()
    for number in range(count):
        shutil.copy("one.wav", source / f"u{number}.wav")
    if table:
        Path("many/wav.scp").write_text("".join(f"u{number} many/u{number}.wav\n" for number in range(count)))
    words = (packed, "many", "out", *(["--kaldi"] if table else []))
    run(encode, *words, "--shard", "2/3")
    assert files(Path("out"), ".npz") == {"u1.npz", "u4.npz"}
    assert ("is written when all shards are done" in capsys.readouterr().out) == table
    # The lock of a shard keeps the same shard out, and no other.
    with open("out/.lock.2.3", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process" in error_of(encode, *words, "--shard", "2/3")
        run(encode, *words, "--shard", "1/3")
        assert not Path("out/tokens.scp").exists()
        run(encode, *words, "--shard", "3/3")
    run(encode, packed, "many", "whole", *words[3:])
    assert files(Path("out"), "") - {".lock.2.3"} == files(Path("whole"), "")
    for name in files(Path("whole"), ".npz"):
        assert Path("out", name).read_bytes() == Path("whole", name).read_bytes()
    if table:
        assert list(read_table("out/tokens.scp")) == [f"u{number}" for number in range(count)]
        assert Path("out/codes.ark").read_bytes() == Path("whole/codes.ark").read_bytes()
    # Whatever the shards were, all is done.
    capsys.readouterr()
    run(encode, *words)
    assert "7 of 7 files are there already, nothing to do" in capsys.readouterr().err
    run(decode, packed, "out", "speech", "--shard", "1/2")
    assert len(files(Path("speech"), ".wav")) == 4 and not Path("speech/wav.scp").exists()
    run(decode, packed, "out", "speech", "--shard", "2/2")
    assert Path("speech/wav.scp").exists() == table
    # A changed source takes its table away until it is made again.
    soundfile.write("many/u0.wav", np.zeros(900), 16000)
    soundfile.write("many/u1.wav", np.zeros(900), 16000)
    run(encode, *words, "--shard", "1/2")
    assert not Path("out/tokens.scp").exists()
    run(encode, *words, "--shard", "2/2")
    assert Path("out/tokens.scp").exists() == table
    assert "give i/n with i from 1 to n" in error_of(encode, *words, "--shard", "0/2")
    assert "one file is not shared" in error_of(encode, packed, "one.wav", "--shard", "1/2")
    assert "made with dtype float32, not bfloat16" in error_of(encode, *words, "--shard", "1/2", "--dtype", "bfloat16")


def test_shards_at_once(packed, place):
    Path("data").mkdir()
    names = [f"u{number:02d}" for number in range(40)]
    Path("data/wav.scp").write_text("".join(f"{name} one.wav\n" for name in names))
    command = [sys.executable, "-m", "hasrd.bin.main", "encode", str(packed), "data", "out", "--shard"]
    running = [subprocess.Popen([*command, f"{part}/3"], stderr=subprocess.PIPE) for part in (1, 2, 3)]
    assert [process.communicate() and process.returncode for process in running] == [0, 0, 0]
    assert list(read_table("out/tokens.scp")) == names
    lines = Path("out/.sources.jsonl").read_text().splitlines()
    assert {json.loads(line)[0] for line in lines if json.loads(line)[1]} == set(names)
