# Copyright 2026 The hasrd authors
# Apache-2.0
"""Our codecs in several modes."""

from __future__ import annotations

import pytest
import torch

from hasrd.bench import ours
from hasrd.bench.agreement import code_agreement, snr_db
from hasrd.bench.codecs import MODELS
from hasrd.bench.memory import weights
from hasrd.bench.subject import Unavailable, parse_modes
from hasrd.codec.describe import describe
from hasrd.errors import UserError


def run(subject, wave):
    with torch.inference_mode():
        codes = subject.encode(wave)
        return codes, subject.decode(codes)


def test_modes_have_equal_weights(config):
    torch.manual_seed(0)
    path = config("dac")
    plain, half = ours.subjects(path, "full", ["float32", "bf16"], "cpu")
    wave = torch.randn(1, 16000) * 0.1
    codes, decoded = run(plain, wave)
    other, _ = run(half, wave)
    assert (plain.name, plain.mode, half.mode) == ("dac", "float32", "bf16")
    assert plain.parameters == half.parameters == describe(ours.read_config(ours.Path(path))).parameters["total"]
    assert weights(half.module) < 0.8 * weights(plain.module)
    assert len(plain.books(codes)) == 2 and plain.books(codes)[0].shape == (1, 30)
    assert code_agreement(half.books(other), plain.books(codes)) > 0.7
    with torch.inference_mode():
        assert 15 < snr_db(half.decode(codes), decoded) < 80


def test_a_copy_shares_the_weights_and_nothing_else(config):
    torch.manual_seed(0)
    (plain,) = ours.subjects(config("dac"), "full", ["float32"], "cpu")
    copy = ours._share(plain.module)
    pairs = list(zip(plain.module.parameters(), copy.parameters(), strict=True))
    assert pairs and all(a is b for a, b in pairs)
    assert copy.encoder is not plain.module.encoder


def test_what_a_kmeans_would_set_is_random(config):
    codec = ours.build_codec(ours.read_config(ours.Path(config("hasrd"))))
    assert codec.quantizer.centroids.isfinite().all() and codec.quantizer.semantic_layer == 2
    assert codec.encode(torch.randn(1, 8000)).codes.shape == (1, 15, 3)


def test_levels(config):
    """HAC's codes are compared book by book as any others."""
    path = config("hac")
    plain, half = ours.subjects(path, "full", ["float32", "bf16"], "cpu")
    codes, decoded = run(plain, torch.randn(1, 16000) * 0.1)
    other, _ = run(half, torch.randn(1, 16000) * 0.1)
    assert plain.name == "hac" and [book.shape for book in plain.books(codes)] == [(1, 31)] * 4
    assert decoded.shape == (1, 16000) and 0 < code_agreement(half.books(other), plain.books(codes)) <= 1
    assert plain.parameters == describe(ours.read_config(ours.Path(path))).parameters["total"]


def test_a_trained_one_is_taken_from_its_folder(codec_dir):
    (subject,) = ours.subjects(str(codec_dir), "full", ["float32"], "cpu")
    assert subject.name == codec_dir.name
    from hasrd.models.load import load_codec

    wave = torch.randn(1, 8000)
    assert torch.equal(subject.encode(wave).codes, load_codec(codec_dir).encode(wave).codes)


def test_recipes_are_found_by_name(monkeypatch, tmp_path):
    assert ours.find_config("dac_fbank", "full").name == "train_codec_dac_fbank.yaml"
    assert ours.model_name(ours.find_config("ssl_hasrd", "full")) == "ssl_hasrd"
    assert "mini_librispeech" in str(ours.find_config("dac", "small"))
    # Of the first recipe that has it.
    recipes = {name: ours.find_config(name, "full").parts[-3] for name in ("hac", "dac")}
    assert recipes == {"hac": "hac1", "dac": "conf"} and "hasrd1" in ours.find_config("dac", "full").parts
    assert ours.model_name(ours.find_config("hac_no_loss", "small")) == "hac_no_loss" and "hac" in MODELS
    with pytest.raises(Unavailable, match="no train_codec_nothing.yaml"):
        ours.find_config("nothing", "full")
    with pytest.raises(UserError, match="no such configuration"):
        ours.find_config(str(tmp_path / "a.yaml"), "full")
    monkeypatch.setattr(ours, "RECIPES", tmp_path)
    with pytest.raises(Unavailable, match="not part of the package"):
        ours.find_config("dac", "full")


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "\udcff"])
def test_what_is_no_configuration_is_told(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"a\.yaml:.*(not a configuration|expected names|not valid YAML|not UTF-8)"):
        ours.read_config(path)


def test_modes():
    assert parse_modes("bf16,float32,bf16") == ["bf16", "float32"]
    with pytest.raises(UserError, match="'fp8' is none of float32"):
        parse_modes("float32,fp8")
