# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens, latents and resynthesised speech of data sets, and what probes do with them."""

from __future__ import annotations

import sys
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.bin import extract, masked_prediction, semantic_tokens, tokenize
from hasrd.bin.asr_decode import collapse, to_text
from hasrd.bin.choose_layer import layer_weights
from hasrd.bin.export_encoder import export
from hasrd.bin.token_list import token_list
from hasrd.codec.checkpoint import load_codec, load_encoder
from hasrd.codec.tokens import Tokens
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError

LENGTHS = (4000, 16000, 784)


def run(monkeypatch, module, *words) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
    module.main()


def test_tokenize(monkeypatch, codec_dir, make_data_dir, tmp_path):
    data, out = make_data_dir("test", LENGTHS), tmp_path / "out"
    run(monkeypatch, tokenize, "--exp_dir", codec_dir, "--data", data, "--out", out)
    codec = load_codec(codec_dir)
    codes = kaldiio.load_scp(str(out / "codes.scp"))
    texts = read_table(out / "text")
    for utterance, path in read_table(data / "wav.scp").items():
        wave, _ = soundfile.read(path, dtype="float32")
        tokens = codec.encode(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
        assert np.array_equal(codes[utterance], tokens.codes[0].numpy()) and codes[utterance].dtype == np.int32
        assert texts[utterance] == " ".join(map(str, tokens.codes[0, :, 0].tolist()))
        for version in ("combined", "semantic", "acoustic", "shuffled"):
            audio, rate = soundfile.read(read_table(out / version / "wav.scp")[utterance])
            assert len(audio) == len(wave) and rate == 16000
    # Again: nothing to compute. One utterance more: its chunk is made again, and all are there.
    before = {path: path.read_bytes() for path in out.rglob("*.flac")}
    run(monkeypatch, tokenize, "--exp_dir", codec_dir, "--data", data, "--out", out)
    assert {path: path.read_bytes() for path in out.rglob("*.flac")} == before


def test_shards_give_the_whole(monkeypatch, codec_dir, make_data_dir, tmp_path):
    data = make_data_dir("test", [2000] * 25)
    run(monkeypatch, tokenize, "--exp_dir", codec_dir, "--data", data, "--out", tmp_path / "whole")
    for shard in ("1/2", "2/2"):
        words = ("--exp_dir", codec_dir, "--data", data, "--shard", shard)
        run(monkeypatch, tokenize, *words, "--out", tmp_path / "parts")
    assert (tmp_path / "whole/text").read_bytes() == (tmp_path / "parts/text").read_bytes()
    assert len(read_table(tmp_path / "parts/shuffled/wav.scp")) == 25


@given(frames=st.integers(1, 30), seed=st.integers(0, 99))
@settings(deadline=None)
def test_shuffling_the_acoustic_codes(frames, seed):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 50, (1, frames, 3), generator=generator)
    names = ("semantic", "acoustic", "acoustic")
    tokens = Tokens(codes, torch.tensor([frames]), torch.tensor([frames * 512]), 31.25, names, (50, 50, 50))
    shuffled = tokenize.shuffle_acoustic(tokens, f"utt{seed}")
    assert torch.equal(shuffled.codes[..., 0], codes[..., 0]), "semantic codes keep their places"
    pairs, moved = (sorted(map(tuple, x[0, :, 1:].tolist())) for x in (codes, shuffled.codes))
    assert pairs == moved, "acoustic codes move together"
    assert torch.equal(shuffled.codes, tokenize.shuffle_acoustic(tokens, f"utt{seed}").codes)
    assert torch.equal(tokens.codes, codes), "the tokens given are left as they are"


def test_extract(monkeypatch, codec_dir, make_data_dir, tmp_path):
    data, out = make_data_dir("test", LENGTHS), tmp_path / "out"
    run(monkeypatch, extract, "--exp_dir", codec_dir, "--data", data, "--out", out)
    arrays = {name: kaldiio.load_scp(str(out / f"{name}.scp")) for name in ("latent", "tokens", "semantic", "acoustic")}
    for utterance, count in zip(read_table(data / "wav.scp"), LENGTHS):
        tokens = arrays["tokens"][utterance]
        assert np.array_equal(arrays["semantic"][utterance], tokens[:, :1])
        assert np.array_equal(arrays["acoustic"][utterance], tokens[:, 1:])
        latent = arrays["latent"][utterance]
        assert latent.shape == (len(tokens), 16) and len(latent) == (1 + (count - 400) // 128) // 4
        # The semantic code is the centroid nearest to this latent.
        centroids = load_codec(codec_dir).quantizer.centroids.numpy()
        assert np.array_equal(((latent[:, None] - centroids) ** 2).sum(-1).argmin(1), tokens[:, 0])
        assert read_table(out / "tokens_shape")[utterance] == f"{len(tokens)},{tokens.shape[1]}"
    assert yaml.safe_load((out / "tokens_codebook_sizes").read_text()) == [8, 16, 16]
    assert yaml.safe_load((out / "semantic_codebook_sizes").read_text()) == [8]


def test_semantic_tokens_of_stage_4(monkeypatch, codec_dir, encoder_file, kmeans_file, make_data_dir, tmp_path):
    """They are the codec's."""
    data, out = make_data_dir("test", LENGTHS), tmp_path / "out"
    words = ("--encoder_file", encoder_file, "--kmeans_file", kmeans_file, "--data", data)
    run(monkeypatch, semantic_tokens, *words, "--out", out)
    run(monkeypatch, tokenize, "--exp_dir", codec_dir, "--data", data, "--out", tmp_path / "codec")
    assert (out / "text").read_text() == (tmp_path / "codec/text").read_text()


@given(st.lists(st.integers(0, 4), max_size=20))
def test_collapse(path):
    """Repetitions first, then blanks, as CTC's definition has it."""
    merged = [token for i, token in enumerate(path) if i == 0 or token != path[i - 1]]
    assert collapse(path) == [token for token in merged if token != 0]


def test_to_text():
    assert to_text(["<space>", "A", "B", "<space>", "<space>", "C", "<space>"]) == "AB C"
    assert to_text([]) == ""


def test_token_list(tmp_path):
    (tmp_path / "text").write_text("a B A\nb Ä A\nc\n", encoding="utf-8")
    assert token_list(tmp_path / "text") == ["<blank>", "<unk>", "<space>", "A", "B", "Ä", "<sos/eos>"]
    (tmp_path / "text").write_text("a\nb\n")
    with pytest.raises(UserError, match="every transcript is empty"):
        token_list(tmp_path / "text")


def test_choose_layer_needs_a_mix(tmp_path):
    with pytest.raises(UserError, match="train the probe of stage 4"):
        layer_weights(tmp_path, "x.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="no mix of layers"):
        layer_weights(tmp_path, "x.pth")
    torch.save({"frontend.layer_logits": torch.tensor([0.0, 1.0, 2.0])}, tmp_path / "x.pth")
    assert layer_weights(tmp_path, "x.pth") == pytest.approx(torch.tensor([0.0, 1.0, 2.0]).softmax(0).tolist())


@pytest.fixture
def ssl_dir(encoder_file: Path, tmp_path: Path) -> Path:
    """An experiment folder as stage 3 leaves it, of an encoder that was never trained."""
    from hasrd.loss.best_rq import BestRQLoss

    config, front = load_encoder(encoder_file)
    folder = tmp_path / "ssl"
    folder.mkdir()
    config.update(loss="best_rq", loss_conf={"codebook_size": 32, "codebook_dim": 4})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.manual_seed(0)
    objective = BestRQLoss(80, 16, **config["loss_conf"])
    states = {**front.state_dict(), **{f"loss.{name}": value for name, value in objective.state_dict().items()}}
    torch.save(states, folder / "latest.pth")
    return folder


def test_export_encoder(ssl_dir, encoder_file, tmp_path):
    export(ssl_dir, "latest.pth", tmp_path / "encoder.safetensors")
    assert (tmp_path / "encoder.safetensors").read_bytes() == encoder_file.read_bytes()
    with pytest.raises(UserError, match="run the pre-training"):
        export(ssl_dir, "valid.loss.best.pth", tmp_path / "x")
    config = yaml.safe_load((ssl_dir / "config.yaml").read_text())
    config["encoder_conf"]["num_blocks"] = 3
    (ssl_dir / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match="latest.pth"):
        export(ssl_dir, "latest.pth", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_masked_prediction(monkeypatch, ssl_dir, make_data_dir, tmp_path):
    data = make_data_dir("valid", (16000, 784, 8000))
    for out in ("a", "b"):
        words = ("--exp_dir", ssl_dir, "--model_file", "latest.pth", "--data", data, "--out", tmp_path / out)
        run(monkeypatch, masked_prediction, *words)
    first, second = (kaldiio.load_scp(str(tmp_path / out / "masked.scp")) for out in ("a", "b"))
    for utterance, count in zip(read_table(data / "wav.scp"), (30, 1, 15)):
        pairs = first[utterance]
        assert pairs.shape == (max(1, round(0.6 * count)), 2)
        assert pairs.min() >= 0 and pairs.max() < 32
        assert np.array_equal(pairs, second[utterance]), "the same masks each time"
