# Copyright 2026 The hasrd authors
# Apache-2.0
"""hasrd encode, decode and pack: files, folders and tables; going on; what fails is named and the rest is done."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
import time
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
import torch

import hasrd
from hasrd.bin import decode, encode, pack, tokenize
from hasrd.data import file_work
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError, explain
from hasrd.frontend.loudness import loudness

LENGTHS = {"a": 4000, "b": 16000, "sub/c": 160, "sub/d e": 20011}


@pytest.fixture
def run(monkeypatch):
    def call(module, *words) -> None:
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
        module.main()

    return call


@pytest.fixture(scope="module")
def packed(codec_dir, tmp_path_factory) -> Path:
    from hasrd.models.package import pack as write
    from hasrd.report.card import card_scores

    return write(codec_dir, tmp_path_factory.mktemp("packed") / "model", scores=card_scores)


@pytest.fixture
def audio(tmp_path) -> Path:
    folder = tmp_path / "audio"
    for index, (name, length) in enumerate(LENGTHS.items()):
        path = folder / f"{name}.{'flac' if index % 2 else 'WAV'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        wave = np.random.default_rng(index).uniform(-0.5, 0.5, length)
        soundfile.write(path, wave, 16000, subtype="PCM_16", format=path.suffix[1:].upper())
    (folder / "notes.txt").write_text("not audio")
    # Of older files the times are trusted, and the hash is not taken again.
    time.sleep(0.2)
    (folder / ".hidden.wav").write_text("not audio either")
    return folder


def read(folder: Path, name: str) -> np.ndarray:
    return soundfile.read(next(folder.glob(f"{name}.*")), dtype="float32")[0]


def error_of(run, *words) -> str:
    with pytest.raises(UserError) as error:
        run(*words)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file(run, packed, audio, tmp_path):
    model = hasrd.load(packed)
    run(encode, packed, audio / "b.flac", tmp_path / "b.npz")
    expected = model.encode(read(audio, "b"), 16000)
    assert torch.equal(model.load_tokens(tmp_path / "b.npz").codes, expected.codes)
    for name in ("b.wav", "b.flac"):
        run(decode, packed, tmp_path / "b.npz", tmp_path / name)
        wave, rate = soundfile.read(tmp_path / name, dtype="float32")
        assert rate == 16000 and np.abs(wave - model.decode(expected)[0].clamp(-1, 1).numpy()).max() < 1e-4
    # Into a folder that is there; and nothing is written over.
    (tmp_path / "there").mkdir()
    run(encode, packed, audio / "b.flac", tmp_path / "there")
    assert (tmp_path / "there/b.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["b.npz"]
    before = (tmp_path / "b.wav").read_bytes()
    assert "is there already" in error_of(run, decode, packed, tmp_path / "b.npz", tmp_path / "b.wav")
    assert "is there already" in error_of(run, encode, packed, audio / "b.flac", tmp_path / "there")
    assert (tmp_path / "b.wav").read_bytes() == before
    assert "named .npz" in error_of(run, encode, packed, audio / "b.flac", tmp_path / "b.tokens")
    assert ".wav or .flac" in error_of(run, decode, packed, tmp_path / "b.npz", tmp_path / "b.mp3")


def test_a_folder(run, packed, audio, tmp_path, capsys):
    model, out = hasrd.load(packed), tmp_path / "tokens"
    run(encode, packed, audio, out)
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.npz")} == {f"{name}.npz" for name in LENGTHS}
    for name, length in LENGTHS.items():
        tokens = model.load_tokens(out / f"{name}.npz")
        assert torch.equal(tokens.codes, model.encode(read(audio, name), 16000).codes)
        assert tokens.num_samples.tolist() == [length]
    run(decode, packed, out, tmp_path / "speech", "--format", "flac", "--streams", "semantic")
    for name, length in LENGTHS.items():
        wave = read(tmp_path / "speech", name)
        expected = model.decode(model.load_tokens(out / f"{name}.npz"), ["semantic"])[0].clamp(-1, 1).numpy()
        assert len(wave) == length and np.abs(wave - expected).max() < 1e-4
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    # Again; with one missing, as an interruption leaves it; and with a changed input.
    run(encode, packed, audio, out)
    assert "4 of 4 files are there already, nothing to do" in capsys.readouterr().err
    (out / "a.npz").unlink()
    run(encode, packed, audio, out)
    assert "3 of 4 files are there already, going on with the rest" in capsys.readouterr().err
    soundfile.write(audio / "b.flac", np.zeros(900), 16000)
    run(encode, packed, audio, out)
    assert model.load_tokens(out / "b.npz").num_samples.tolist() == [900]
    assert {p for p, t in before.items() if p.stat().st_mtime_ns != t} == {out / "a.npz", out / "b.npz"}


def test_several_processes_give_the_same(run, packed, audio, tmp_path, monkeypatch):
    monkeypatch.setattr(file_work, "GROUP", 1)
    run(encode, packed, audio, tmp_path / "one")
    run(encode, packed, audio, tmp_path / "two", "--nj", 2)
    for path in (tmp_path / "one").rglob("*.npz"):
        assert (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes() == path.read_bytes()


def test_what_fails_is_named_and_the_rest_is_done(run, packed, audio, tmp_path, capsys):
    (audio / "empty.wav").touch()
    (audio / "sub/text.flac").write_text("this is no audio")
    soundfile.write(audio / "slow.wav", np.zeros(900), 8000)
    soundfile.write(audio / "stereo.wav", np.zeros((900, 2)), 16000)
    soundfile.write(audio / "loud.wav", np.full(900, 100.0), 16000, subtype="FLOAT")
    out = tmp_path / "tokens"
    assert "5 of 9 files failed" in error_of(run, encode, packed, audio, out, "--strict_rate")
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    for name in ("empty.wav", "sub/text.flac", "slow.wav", "stereo.wav", "loud.wav"):
        assert len([line for line in lines if f"{audio}/{name}: " in line]) == 1
    assert len(lines) == 5 and {path.stem for path in out.rglob("*.npz")} == {"a", "b", "c", "d e"}
    # The same command goes on where they were repaired.
    for name in ("empty.wav", "sub/text.flac", "stereo.wav", "loud.wav"):
        (audio / name).unlink()
    soundfile.write(audio / "slow.wav", np.zeros(900), 16000)
    run(encode, packed, audio, out)
    assert (out / "slow.npz").is_file()
    # Decoding: damaged tokens, and tokens of another model.
    (out / "a.npz").write_bytes((out / "a.npz").read_bytes()[:-40])
    with np.load(out / "b.npz") as file:
        np.savez(out / "b.npz", **{**file, "model": "0" * 64})
    assert "2 of 5 files failed" in error_of(run, decode, packed, out, tmp_path / "speech")
    errors = capsys.readouterr().err
    assert f"failed: {out}/a.npz: not a file of tokens" in errors
    assert f"failed: {out}/b.npz: tokens of another model" in errors
    assert len(list((tmp_path / "speech").rglob("*.wav"))) == 3


def test_linked_folders_and_a_link_to_nothing(run, packed, audio, tmp_path, capsys):
    (audio / "sub").rename(tmp_path / "elsewhere")
    (audio / "sub").symlink_to(tmp_path / "elsewhere")
    (audio / "sub" / "loop").symlink_to(audio)
    out = tmp_path / "tokens"
    run(encode, packed, audio, out)
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.npz")} == {f"{name}.npz" for name in LENGTHS}
    (audio / "gone.wav").symlink_to("nowhere.wav")
    assert "1 of 5 files failed" in error_of(run, encode, packed, audio, out)
    assert f"failed: {audio}/gone.wav: no such audio file" in capsys.readouterr().err


@pytest.mark.parametrize("nj", [1, 2])
def test_names_that_cannot_be_and_files_that_cannot_be_read(run, packed, audio, tmp_path, capsys, monkeypatch, nj):
    """The others of the batch are done, in this process and in workers."""
    wave = (audio / "a.WAV").read_bytes()
    (audio / os.fsdecode(b"latin-\xe9.wav")).write_bytes(wave)
    (audio / "locked.wav").write_bytes(wave)
    (audio / f"{'x' * 251}.aif").write_bytes(wave)
    (audio / "link.wav").symlink_to("link.wav")
    table = tmp_path / "wav.scp"
    names = {"a": "a.WAV", "gone": "gone.wav", "b": "b.flac", "r": "."}
    table.write_text("".join(f"{name} {audio / path}\n" for name, path in names.items()))
    monkeypatch.setattr(file_work, "GROUP", 2)
    assert "files failed" in error_of(run, encode, packed, audio, tmp_path / "tokens", "--nj", nj)
    done = {path.stem for path in (tmp_path / "tokens").rglob("*.npz")}
    assert {"a", "b", "c", "d e", "locked"} <= done
    assert "Traceback" not in capsys.readouterr().err
    assert "2 of 4 files failed" in error_of(run, encode, packed, table, tmp_path / "named", "--nj", nj)
    assert {path.stem for path in (tmp_path / "named").glob("*.npz")} == {"a", "b"}


def test_a_file_that_the_memory_does_not_hold(run, packed, audio, tmp_path, monkeypatch):
    whole = hasrd.codec.tokenizer.Tokenizer.encode

    def encode_some(self, waves, *rest, **options):
        if any(len(wave) == 16000 for wave in waves):
            raise MemoryError("Unable to allocate 1 TiB")
        return whole(self, waves, *rest, **options)

    monkeypatch.setattr(hasrd.codec.tokenizer.Tokenizer, "encode", encode_some)
    assert "1 of 4 files failed" in error_of(run, encode, packed, audio, tmp_path / "tokens")
    assert len(list((tmp_path / "tokens").rglob("*.npz"))) == 3


def test_a_full_disk_ends_the_batch(run, packed, audio, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "x.npz")

    monkeypatch.setattr(hasrd.codec.tokenizer.Tokenizer, "save_tokens", full)
    with pytest.raises(OSError) as error:
        run(encode, packed, audio, tmp_path / "tokens")
    assert explain(error.value).startswith("the disk is full: x.npz")


def test_resampling(run, packed, tmp_path):
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio/x.wav", 0.1 * np.random.default_rng(0).standard_normal(8000), 8000)
    words = (packed, tmp_path / "audio/x.wav", tmp_path / "x.npz", "--strict_rate")
    assert "8000 Hz, but 16000 Hz" in error_of(run, encode, *words)
    run(encode, packed, tmp_path / "audio", tmp_path / "out", "--resample")
    assert hasrd.load(packed).load_tokens(tmp_path / "out/x.npz").num_samples.tolist() == [16000]


def test_windows(run, packed, audio, tmp_path, monkeypatch):
    """Of long files only; the same as from Python, for any number of processes; a folder has one length of windows."""
    model, long, windows = hasrd.load(packed), [], hasrd.codec.tokenizer.encode_windows
    monkeypatch.setattr(
        hasrd.codec.tokenizer, "encode_windows", lambda *args: long.append(len(args[1])) or windows(*args)
    )
    for name, words in (
        ("one", ["--window", "1"]),
        ("nj", ["--window", "1", "--nj", "2"]),
        ("whole", ["--window", "none"]),
    ):
        monkeypatch.setattr(file_work, "GROUP", 2)
        run(encode, packed, audio, tmp_path / name, *words)
    assert long == [20011], "in this process, once"
    for name in LENGTHS:
        wave = read(audio, name)
        one, nj, whole = ((tmp_path / folder / f"{name}.npz").read_bytes() for folder in ("one", "nj", "whole"))
        assert one == nj and (one == whole or len(wave) > 16000)
        tokens = model.load_tokens(tmp_path / "one" / f"{name}.npz")
        assert torch.equal(tokens.codes, model.encode(wave, 16000, window=1).codes)
    assert "window 1.0, not 30.0" in error_of(run, encode, packed, audio, tmp_path / "one")
    assert "window None, not 1.0" in error_of(run, encode, packed, audio, tmp_path / "whole", "--window", "1")
    assert "at least 1 second" in error_of(run, encode, packed, audio, tmp_path / "new", "--window", "0.2")
    assert "--window soon: give seconds" in error_of(run, encode, packed, audio, tmp_path / "new", "--window", "soon")


def test_long_files_that_fail_are_named(run, packed, tmp_path, capsys):
    folder = tmp_path / "audio"
    folder.mkdir()
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 50000)
    for name in ("a", "b", "c", "d"):
        soundfile.write(folder / f"{name}.flac", wave, 16000)
    (folder / "b.flac").write_bytes((folder / "b.flac").read_bytes()[:60000])
    soundfile.write(folder / "n.wav", np.append(wave, np.nan), 16000, subtype="FLOAT")
    assert "2 of 5 files failed" in error_of(run, encode, packed, folder, tmp_path / "tokens", "--window", "1")
    assert {path.stem for path in (tmp_path / "tokens").glob("*.npz")} == {"a", "c", "d"}
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert len(lines) == 2 and all(line.count(str(folder)) == 1 for line in lines)
    assert f"failed: {folder}/n.wav: 1 samples are NaN" in lines[1]


def loudness_of(path) -> float:
    return float(loudness(torch.from_numpy(soundfile.read(path, dtype="float32")[0])[None], 16000))


def test_tables(run, packed, codec_dir, make_data_dir, tmp_path, capsys):
    data, out = make_data_dir("test", (4000, 784, 9000)), tmp_path / "tokens"
    run(encode, packed, data, out, "--kaldi")
    entries = read_table(out / "tokens.scp")
    assert list(entries) == list(read_table(data / "wav.scp"))
    codes = kaldiio.load_scp(str(out / "codes.scp"))
    for name, path in entries.items():
        assert np.array_equal(codes[name], np.load(path)["codes"])
    for number, source in enumerate((out / "tokens.scp", out / "codes.scp", out)):
        speech = tmp_path / f"speech{number}"
        run(decode, packed, source, speech)
        table = read_table(speech / "wav.scp")
        assert [soundfile.info(table[name]).frames for name in entries] == [4000, 784, 9000]
        for name, path in read_table(data / "wav.scp").items():
            assert abs(loudness_of(path) - loudness_of(table[name])) < 0.5
    # Those of a recipe's stage 6, which know no lengths in samples, but the loudness.
    run(tokenize, "--exp_dir", codec_dir, "--data", data, "--out", tmp_path / "stage6")
    run(decode, packed, tmp_path / "stage6/codes.scp", tmp_path / "speech6")
    first = read_table(tmp_path / "speech6/wav.scp")["test-0000"]
    assert soundfile.info(first).frames == 512 * len(codes["test-0000"])
    # What the table beside the codes says counts, also when it has changed.
    table = tmp_path / "stage6/utt2loudness"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(["test-0000 -33.0\n", *lines[1:]]))
    capsys.readouterr()
    run(decode, packed, tmp_path / "stage6/codes.scp", tmp_path / "speech6")
    assert abs(loudness_of(first) + 33) < 0.5 and "2 of 3 files are there already" in capsys.readouterr().err
    table.write_text("".join(lines[1:]))
    assert "1 of 3" in error_of(run, decode, packed, tmp_path / "stage6/codes.scp", tmp_path / "speech6")
    assert "utterance 'test-0000' of codes.scp is missing" in capsys.readouterr().err
    table.write_text("".join([*lines[:2], "test-0002 loud\n"]))
    assert "utt2loudness:3: 'loud' is no number" in error_of(
        run, decode, packed, tmp_path / "stage6/codes.scp", tmp_path / "speech6"
    )
    table.unlink()
    assert "utt2loudness: no such file" in error_of(
        run, decode, packed, tmp_path / "stage6/codes.scp", tmp_path / "speech6"
    )
    table.write_text("".join(lines))
    facts = tmp_path / "stage6/codes.json"
    facts.write_text(facts.read_text().replace(hasrd.load(packed).model_sha256, "0" * 64))
    assert "another model" in error_of(run, decode, packed, tmp_path / "stage6/codes.scp", tmp_path / "speech7")
    facts.unlink()
    assert "3 of 3" in error_of(run, decode, packed, tmp_path / "stage6/codes.scp", tmp_path / "speech7")


def test_loud_files_are_not_clipped(run, packed, tmp_path, capsys):
    """A file holds [-1, 1]: what is as loud only with higher peaks is written quieter, and that is said."""
    time = np.arange(16000) / 16000
    soundfile.write(tmp_path / "loud.wav", 9.0 * np.sin(1200 * time) * np.sin(5 * time) ** 8, 16000, subtype="FLOAT")
    run(encode, packed, tmp_path / "loud.wav", tmp_path / "loud.npz")
    run(decode, packed, tmp_path / "loud.npz", tmp_path / "decoded.wav")
    err = capsys.readouterr().err
    assert "decoded.wav" in err and "dB quieter" in err
    wave, _ = soundfile.read(tmp_path / "decoded.wav")
    highest = np.abs(wave) > 0.999
    assert highest.any() and not (highest[1:] & highest[:-1]).any(), "no flat tops"
    assert loudness_of(tmp_path / "decoded.wav") < loudness_of(tmp_path / "loud.wav") - 0.5


def test_what_something_else_made_is_left_alone(run, packed, audio, tmp_path):
    tokens = tmp_path / "tokens"
    run(encode, packed, audio, tokens)
    assert "made with streams all, not semantic" in error_of(
        run, encode, packed, audio, tokens, "--streams", "semantic"
    )
    # Speech is not decoded over the audio that it came from.
    shutil.copy(tokens / "a.npz", audio / "a.npz")
    (audio / "a.WAV").rename(audio / "a.wav")
    before = (audio / "a.wav").read_bytes()
    assert "a.wav: is there already" in error_of(run, decode, packed, tokens, audio)
    assert (audio / "a.wav").read_bytes() == before
    with open(tokens / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process" in error_of(run, encode, packed, audio, tokens)


def test_bad_input(run, packed, audio, tmp_path):
    out = tmp_path / "out"
    assert "no such file or folder" in error_of(run, encode, packed, tmp_path / "none", out)
    (tmp_path / "empty").mkdir()
    assert "no files with .wav" in error_of(run, encode, packed, tmp_path / "empty", out)
    assert "this model has semantic, acoustic" in error_of(run, encode, packed, audio, out, "--streams", "speaker")
    assert "give one as input" in error_of(run, encode, packed, audio, out, "--kaldi")
    assert "give a packed model" in error_of(run, encode, audio, audio, out)
    shutil.copy(audio / "b.flac", audio / "b.wav")
    assert "the same output" in error_of(run, encode, packed, audio, out)
    for name in ("../x", "sub/x", ".x"):
        (tmp_path / "wav.scp").write_text(f"{name} {audio}/b.flac\n")
        assert f"wav.scp:1: '{name}' cannot be an" in error_of(run, encode, packed, tmp_path / "wav.scp", out)
    (tmp_path / "wav.scp").write_text(f"x {audio}/b.flac\nx {audio}/b.flac\n")
    assert "wav.scp:2" in error_of(run, encode, packed, tmp_path / "wav.scp", out)
    assert not list(out.rglob("*.*z")) and not list(tmp_path.glob("*.npz"))
    assert "is a file" in error_of(run, encode, packed, audio / "sub", tmp_path / "wav.scp")
    (tmp_path / "wav.scp").write_text(f"x {audio}/b.flac\ny sox in.wav - |\n")
    assert "1 of 2 files failed" in error_of(run, encode, packed, tmp_path / "wav.scp", out)
    assert list(read_table(out / "tokens.scp")) == ["x"]


def test_pack(run, codec_dir, packed, tmp_path, capsys):
    run(pack, codec_dir, tmp_path / "other", "--window", "none")
    assert hasrd.load(tmp_path / "other").codec.window is None
    capsys.readouterr()
    run(pack, codec_dir, tmp_path / "model")
    assert capsys.readouterr().out == f"{tmp_path}/model: packed\n"
    for name in ("config.yaml", "model.safetensors", "README.md"):
        assert (tmp_path / "model" / name).read_bytes() == (packed / name).read_bytes()
