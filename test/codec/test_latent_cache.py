# Copyright 2026 The hasrd authors
# Apache-2.0
"""The layers of whole utterances on disk: as the encoder gives them, for segments, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hasrd.bin.dump_latents import main
from hasrd.codec.latent_cache import FACTS, TABLE, VALUES, CachedLatents
from hasrd.data.audio import read_audio
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.frontend.loudness import to_loudness
from hasrd.jobs.digest import sha256
from hasrd.models.checkpoint import load_encoder
from hasrd.tasks.preprocess import Segment

LENGTHS = (4000, 16000, 784, 23456)


@pytest.fixture
def data(make_data_dir) -> Path:
    return make_data_dir("train", LENGTHS, counted=True)


def dump(encoder_file: Path, data: Path, out: Path, *more: object) -> Path:
    main(list(map(str, ["--encoder_file", encoder_file, "--data", data, "--out", out, *more])))
    return out / data.name


@pytest.mark.parametrize("loudness", [None, -16.0, -30.0])
def test_they_are_those_of_the_whole_utterance_at_its_level(loudness, encoder_file, data, tmp_path):
    """Half precision keeps 11 bits of a value."""
    folder = dump(encoder_file, data, tmp_path / "out", *([] if loudness is None else [f"--loudness={loudness}"]))
    latents = CachedLatents([folder])
    latents.check(sha256(encoder_file), loudness)
    _, front = load_encoder(encoder_file)
    assert latents.frame_shift == front.frontend.frame_shift * front.encoder.stride
    for name, path in read_table(data / "wav.scp").items():
        wave = torch.from_numpy(read_audio(path, 16000))[None]
        levelled = wave if loudness is None else to_loudness(wave, 16000, loudness)[0]
        assert torch.allclose(wave * latents.gain(name), levelled, rtol=1e-5, atol=1e-7)
        with torch.no_grad():
            layers = front(levelled, torch.tensor([wave.shape[1]])).layers
        expected = torch.cat(layers, -1)[0]
        found = latents(name, 0, 10**6)
        assert found.dtype == np.float16 and found.shape == expected.shape
        assert np.allclose(found, expected, rtol=2**-11, atol=1e-6)
        for first in (0, len(expected) - 1, len(expected) + 5):
            assert np.array_equal(latents(name, first, 3), found[min(first, len(found) - 1) :][:3])


@given(length=st.integers(1, 30000), random=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_segments_begin_with_a_token_and_have_its_latents(length, random, seed, encoder_file, data, tmp_path):
    folder = tmp_path / "out" / data.name
    if not (folder / FACTS).exists():
        dump(encoder_file, data, tmp_path / "out", "--loudness=-20")
    latents = CachedLatents([folder])
    np.random.seed(seed)
    for name, path in read_table(data / "wav.scp").items():
        wave = read_audio(path, 16000)
        targets = {"x": lambda uid, start, stop: {"place": np.array([start, stop])}}
        cut = Segment(length, "audio", random, 16000, targets, latents)(name, {"audio": wave})
        start, stop = np.round(cut["x_place"] * 16000).astype(int)
        first, rest = divmod(start, latents.frame_shift)
        assert rest == 0 and stop - start == len(cut["audio"]) == min(length, len(wave))
        assert np.allclose(cut["audio"], wave[start:stop] * latents.gain(name), atol=1e-7)
        whole = latents(name, 0, 10**6)
        wanted = whole[first : first + -(-len(cut["audio"]) // latents.frame_shift)]
        assert np.array_equal(cut["encoder_layers"], wanted if len(wanted) else whole[-1:])


def test_what_would_take_too_much_is_not_kept(encoder_file, data, tmp_path, capsys):
    folder = dump(encoder_file, data, tmp_path / "out")
    assert CachedLatents([folder])
    dump(encoder_file, data, tmp_path / "out", "--max_gb", "1e-6")
    assert "more than --max_gb 1e-06: they are not kept" in capsys.readouterr().err
    assert not (folder / FACTS).exists()


def test_they_are_kept_and_follow_their_inputs(encoder_file, data, tmp_path, capsys):
    folder = dump(encoder_file, data, tmp_path / "out")
    file = folder / "data/000000" / VALUES
    before = file.stat()
    dump(encoder_file, data, tmp_path / "out")
    assert file.stat().st_mtime_ns == before.st_mtime_ns and "nothing to compute" in capsys.readouterr().err
    dump(encoder_file, data, tmp_path / "out", "--loudness=-20")
    assert "removed 1 of an earlier run's parts" in capsys.readouterr().err
    assert CachedLatents([folder]).facts["loudness"] == -20


def test_what_is_refused(encoder_file, data, make_data_dir, tmp_path):
    folder = dump(encoder_file, data, tmp_path / "out")
    latents = CachedLatents([folder])
    with pytest.raises(UserError, match="no latents of utterance 'nobody'"):
        latents("nobody", 0, 1)
    with pytest.raises(UserError, match="the latents are of encoder_sha256 .*, the codec has abc"):
        latents.check("abc", None)
    with pytest.raises(UserError, match="the latents are of loudness None, the codec has -16"):
        latents.check(sha256(encoder_file), -16.0)
    other = dump(encoder_file, data, tmp_path / "other", "--loudness=-16")
    with pytest.raises(UserError, match="of another encoder or level"):
        CachedLatents([folder, other])
    with pytest.raises(UserError, match="latents.json"):
        CachedLatents([tmp_path])
    table = (folder / TABLE).read_text()
    for damaged in ("train-0000 000000 0\n", "train-0000 ../x 0 3 1.0\n", "train-0000 000000 0 3 nan\n"):
        (folder / TABLE).write_text(damaged)
        with pytest.raises(UserError, match="utt2latents:1: .* is no place of latents"):
            CachedLatents([folder])
    (folder / TABLE).write_text(table)
    values = folder / "data/000000" / VALUES
    content = values.read_bytes()
    values.write_bytes(content[:-10])
    with pytest.raises(UserError, match="latents.npy: not a file of latents .*cut off"):
        CachedLatents([folder])("train-0003", 0, 1)
    np.save(values, np.load(tmp_path / "other/train/data/000000" / VALUES)[:3])
    with pytest.raises(UserError, match="latents.npy: cut off, or of another run"):
        CachedLatents([folder])("train-0003", 0, 1)
