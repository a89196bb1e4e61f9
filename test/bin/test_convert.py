# Copyright 2026 The hasrd authors
# Apache-2.0
"""Voice conversion of a data set."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from hasrd.bin import convert, tokenize
from hasrd.codec.conversion import pair_up
from hasrd.codec.convert import exchange, word_centroids
from hasrd.codec.inference import prepare
from hasrd.data.kaldi import read_table, write_table
from hasrd.errors import UserError
from hasrd.models.load import load_codec

LENGTHS = (4000, 16000, 784, 9000, 12000)


@pytest.fixture
def data(make_data_dir) -> Path:
    """Five utterances of three speakers."""
    folder = make_data_dir("test", LENGTHS)
    write_table(folder / "utt2spk", {utt: f"s{i % 3}" for i, utt in enumerate(read_table(folder / "wav.scp"))})
    return folder


def run(monkeypatch, module, codec_dir, data, out, *words) -> None:
    options = ["--exp_dir", codec_dir, "--data", data, "--out", out, *words]
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, options)])
    module.main()


def speech(out: Path) -> dict[str, bytes]:
    return {utterance: Path(path).read_bytes() for utterance, path in read_table(out / "wav.scp").items()}


@pytest.mark.parametrize("method, model", [("cycle", "codec_dir"), ("match", "codec_dir"), ("match", "hac_dir")])
def test_convert(monkeypatch, request, data, tmp_path, method, model):
    codec_dir, out = request.getfixturevalue(model), tmp_path / "tokens/conversion"
    run(monkeypatch, tokenize, codec_dir, data, out.parent, "--speech", "false")
    run(monkeypatch, convert, codec_dir, data, out, "--method", method)
    wavs, pairs, speakers = read_table(data / "wav.scp"), read_table(out / "pairs"), read_table(data / "utt2spk")
    assert list(pairs) == list(read_table(out / "wav.scp")) == sorted(wavs)
    assert not (out / "codes").exists(), "stage 6 has encoded already"
    codec = prepare(load_codec(codec_dir))

    def encode(utterance: str):
        return codec.encode(torch.from_numpy(soundfile.read(wavs[utterance], dtype="float32")[0])[None])

    for utterance, target in pairs.items():
        assert speakers[utterance] != speakers[target]
        tokens = exchange(encode(utterance), encode(target), method, word_centroids(codec))
        wanted = codec.decode(tokens)[0].clamp(-1, 1).numpy()
        found, rate = soundfile.read(read_table(out / "wav.scp")[utterance], dtype="float32")
        assert rate == 16000 and len(found) == soundfile.info(wavs[utterance]).frames
        assert np.abs(found - wanted).max() < 1e-4


def test_it_goes_on_and_knows_what_has_changed(monkeypatch, codec_dir, data, tmp_path, capsys):
    out = tmp_path / "tokens/conversion"
    run(monkeypatch, convert, codec_dir, data, out)
    first = speech(out)
    assert (out / "codes").is_dir(), "without stage 6 it encodes by itself"
    capsys.readouterr()
    run(monkeypatch, convert, codec_dir, data, out)
    assert speech(out) == first and capsys.readouterr().err.count("nothing to compute") == 2
    # The same codes from stage 6 give the same speech.
    run(monkeypatch, tokenize, codec_dir, data, out.parent, "--speech", "false")
    run(monkeypatch, convert, codec_dir, data, out)
    assert speech(out) == first


def test_a_target_that_has_changed(monkeypatch, codec_dir, make_data_dir, tmp_path):
    """Its codes lie in another archive than its source's: the conversion is made again all the same."""
    data, out = make_data_dir("test", [2000] * 22), tmp_path / "tokens/conversion"
    write_table(data / "utt2spk", {utt: f"s{i % 2}" for i, utt in enumerate(read_table(data / "wav.scp"))})
    run(monkeypatch, tokenize, codec_dir, data, out.parent, "--speech", "false")
    run(monkeypatch, convert, codec_dir, data, out)
    first, pairs = speech(out), read_table(out / "pairs")
    source = next(utterance for utterance in sorted(pairs)[:20] if pairs[utterance] in sorted(pairs)[20:])
    path = Path(read_table(data / "wav.scp")[pairs[source]])
    soundfile.write(path, np.random.default_rng(99).uniform(-0.9, 0.9, 2000), 16000, subtype="PCM_16")
    run(monkeypatch, tokenize, codec_dir, data, out.parent, "--speech", "false")
    run(monkeypatch, convert, codec_dir, data, out)
    second = speech(out)
    assert second[source] != first[source]
    # A touched file is the same; codes of stage 6 that were made of other audio are not used.
    later = (out.parent / "codes.scp").stat().st_mtime_ns + 10**7
    os.utime(path, ns=(later, later))
    run(monkeypatch, convert, codec_dir, data, out)
    assert not (out / "codes").exists() and speech(out) == second
    soundfile.write(path, np.random.default_rng(98).uniform(-0.9, 0.9, 2000), 16000, subtype="PCM_16")
    run(monkeypatch, convert, codec_dir, data, out)
    assert (out / "codes").is_dir() and speech(out)[source] != second[source]


def test_part_of_the_pairs(monkeypatch, codec_dir, data, tmp_path):
    run(monkeypatch, convert, codec_dir, data, tmp_path / "some", "--num_pairs", "2", "--seed", "3")
    pairs = read_table(tmp_path / "some/pairs")
    assert len(pairs) == 2 == len(read_table(tmp_path / "some/wav.scp"))
    assert pairs == pair_up(read_table(data / "utt2spk"), 2, 3)
    with pytest.raises(UserError, match="--num_pairs 0"):
        run(monkeypatch, convert, codec_dir, data, tmp_path / "none", "--num_pairs", "0")


def test_left_out(monkeypatch, codec_dir, make_data_dir, tmp_path, capsys):
    one = make_data_dir("one", LENGTHS)
    out = tmp_path / "tokens/conversion"
    run(monkeypatch, convert, codec_dir, one, out)
    assert "left out: voice conversion needs two speakers" in capsys.readouterr().out and not out.exists()
    write_table(one / "utt2spk", {utt: utt for utt in read_table(one / "wav.scp")})
    config = yaml.safe_load((codec_dir / "config.yaml").read_text())
    config.update(quantizer="residual_vq", quantizer_conf={"num_codebooks": 2, "codebook_size": 16, "codebook_dim": 4})
    folder = tmp_path / "codec"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    from hasrd.codec.build import build_modules
    from hasrd.codec.codec import Codec
    from hasrd.models.checkpoint import load_encoder

    codec = Codec(**build_modules(config, load_encoder(config["encoder_file"])[1].frozen()))
    torch.save({f"codec.{name}": value for name, value in codec.state_dict().items()}, folder / "latest.pth")
    run(monkeypatch, convert, folder, one, out)
    assert "left out: voice conversion needs acoustic tokens and those of another stream" in capsys.readouterr().out
    assert not out.exists() and not out.parent.exists()
    (one / "utt2spk").write_text("one-0000 a\n")
    with pytest.raises(UserError, match="utt2spk: utterance 'one-0001' is missing"):
        run(monkeypatch, convert, codec_dir, one, out)
