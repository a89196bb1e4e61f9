# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens, latents and resynthesised speech of data sets, and what probes do with them."""

from __future__ import annotations

import json
import shutil
import sys

import kaldiio
import numpy as np
import pytest
import soundfile
import torch
import yaml

import hasrd
from hasrd.bin import extract, masked_prediction, score, semantic_tokens, tokenize
from hasrd.bin.export_encoder import export
from hasrd.bin.token_list import token_list
from hasrd.codec.inference import prepare
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.frontend.loudness import loudness, restore
from hasrd.metrics.scores import read_score
from hasrd.models.load import load_codec

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
        assert np.array_equal(codes[utterance], tokens.codes[0].numpy())
        assert texts[utterance] == " ".join(map(str, tokens.codes[0, :, 0].tolist()))
        assert np.float32(read_table(out / "utt2loudness")[utterance]) == tokens.loudness.numpy()
        for version in ("combined", "semantic", "acoustic", "shuffled"):
            audio, rate = soundfile.read(read_table(out / version / "wav.scp")[utterance], dtype="float32")
            assert len(audio) == len(wave) and rate == 16000
            assert abs(float(loudness(torch.from_numpy(audio)[None], 16000) - tokens.loudness)) < 0.5
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


def test_long_utterances_are_encoded_in_windows(monkeypatch, codec_dir, make_data_dir, tmp_path):
    """As `hasrd.load` does it, with the length that the codec has."""
    exp = shutil.copytree(codec_dir, tmp_path / "exp")
    with open(exp / "config.yaml", "a") as file:
        file.write("window: 1.5\n")
    data = make_data_dir("test", [60000, 9000, 31000])
    long, whole = [], hasrd.codec.tokenizer.encode_windows
    monkeypatch.setattr(
        hasrd.codec.tokenizer, "encode_windows", lambda *args: long.append((len(args[1]), args[2])) or whole(*args)
    )
    run(monkeypatch, tokenize, "--exp_dir", exp, "--data", data, "--out", tmp_path / "out", "--speech", "false")
    assert sorted(long) == [(31000, 24000), (60000, 24000)]
    model, codes = hasrd.load(exp), kaldiio.load_scp(str(tmp_path / "out/codes.scp"))
    for utterance, path in read_table(data / "wav.scp").items():
        wave, _ = soundfile.read(path, dtype="float32")
        assert np.array_equal(codes[utterance], model.encode(wave, 16000).codes[0].numpy())


def test_fewer_codebooks_and_chosen_versions(monkeypatch, codec_dir, make_data_dir, tmp_path):
    data, out = make_data_dir("test", LENGTHS), tmp_path / "out"
    words = ("--exp_dir", codec_dir, "--data", data, "--out", out)
    run(monkeypatch, tokenize, *words, "--versions", "combined", "--num_books", "auto")
    assert {path.parent.name for path in out.glob("*/wav.scp")} == {"combined", "books_1", "books_2"}
    codec = prepare(load_codec(codec_dir))
    for number in (1, 2):
        for utterance, path in read_table(out / f"books_{number}/wav.scp").items():
            wave, _ = soundfile.read(read_table(data / "wav.scp")[utterance], dtype="float32")
            encoded = codec.features(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
            codes = codec.quantizer(encoded.layers, encoded.lengths).codes
            parts = [codec.quantizer.centroids[codes[..., 0]], codec.quantizer.acoustic.books[0].decode(codes[..., 1])]
            latent = sum(parts[:number])
            frames = -(-len(wave) // codec.frame_shift)
            wanted = codec.decoder(codec._extend(latent, encoded.lengths, frames * codec.frame_shift))[:, : len(wave)]
            samples = torch.tensor([len(wave)])
            wanted = restore(wanted, 16000, loudness(torch.from_numpy(wave)[None], 16000), samples)[0]
            found, _ = soundfile.read(path, dtype="float32")
            assert np.abs(found - wanted.numpy()).max() < 1e-4, "as the quantizer with so many codebooks"
    # Tokens alone touch no speech that is there, and make what is not.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    run(monkeypatch, tokenize, *words, "--speech", "false")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
    run(monkeypatch, tokenize, *words[:4], "--out", tmp_path / "codes", "--speech", "false")
    assert not list((tmp_path / "codes").rglob("*.flac"))
    assert (tmp_path / "codes/text").read_bytes() == (out / "text").read_bytes()


def test_crops(monkeypatch, codec_dir, make_data_dir, tmp_path):
    data, out = make_data_dir("test", (4000, 16000, 784, 16300)), tmp_path / "out"
    words = ("--exp_dir", codec_dir, "--data", data, "--speech", "false", "--out", out)
    run(monkeypatch, tokenize, *words, "--crop_seconds", "0.5")
    codec = load_codec(codec_dir)
    crops = kaldiio.load_scp(str(out / "crops.scp"))
    assert list(crops) == ["test-0001", "test-0003"], "the others are shorter than a crop"
    for utterance in crops:
        crop = crops[utterance].astype(int)
        places, codes = crop[:, 0], crop[:, 1:]
        wave, _ = soundfile.read(read_table(data / "wav.scp")[utterance], dtype="float32")
        cut = torch.from_numpy(wave[places[0] * 512 :][:8000])[None]
        assert np.array_equal(codes, codec.encode(cut).codes[0].numpy())
        assert np.array_equal(places, np.arange(places[0], places[0] + len(codes)))
    assert len({int(crops[utterance][0, 0]) for utterance in crops}) > 1, "drawn at random"
    assert json.loads((out / "crops.json").read_text()) == {"samples": 8000, "margin": None}
    scores = tmp_path / "scores"
    score.main(
        ["crop_agreement", "--test_set", "test", "--system", "combined", "--out", str(scores), "--codes"]
        + [str(out / "codes.scp"), "--crops", str(out / "crops.scp"), "--tokens_info", str(out / "codes.json")]
    )
    found = read_score(scores / "crop_agreement.json")
    assert found.count == 2 and found.details["left_out"] == 2 and len(found.details["codebooks"]) == 3
    with pytest.raises(UserError, match="give seconds"):
        run(monkeypatch, tokenize, *words, "--crop_seconds", "short")


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


def test_token_list(tmp_path):
    (tmp_path / "text").write_text("a B A\nb Ä A\nc\n", encoding="utf-8")
    assert token_list(tmp_path / "text") == ["<blank>", "<unk>", "<space>", "A", "B", "Ä", "<sos/eos>"]
    (tmp_path / "text").write_text("a\nb\n")
    with pytest.raises(UserError, match="every transcript is empty"):
        token_list(tmp_path / "text")


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
