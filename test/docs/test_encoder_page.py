# Copyright 2026 The hasrd authors
# Apache-2.0
"""docs/encoder.md does what it says: its encoder keeps the contract, pre-trains, and carries a codec."""

from __future__ import annotations

import importlib

import pytest
import torch
import yaml
from doc_pages import ROOT, blocks

from hasrd import encoder, loss
from hasrd.codec.build import build_modules, build_speech_encoder, construct
from hasrd.codec.codec import Codec
from hasrd.registry import resolve

CODE, SHORT_NAME = blocks("encoder.md", "python")
# The third is of an ESPnet recipe (test/espnet/test_stock.py).
SSL, CODEC = (yaml.safe_load(block) for block in blocks("encoder.md", "yaml")[:2])


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The page's file, importable as it is from the recipe's folder."""
    (tmp_path / "my_encoder.py").write_text(CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("my_encoder")
    monkeypatch.delitem(importlib.sys.modules, "my_encoder")


@pytest.fixture
def front(module):
    """Frontend, normalisation and encoder of the quick start's pre-training with the page's lines in it."""
    path = ROOT / "egs2/asterisk/hasrd1/conf/train_ssl.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8")) | SSL
    torch.manual_seed(0)
    front = build_speech_encoder(config, allow_import=True)
    assert isinstance(front.encoder, module.GRUEncoder)
    return config, front


def test_the_encoder_keeps_its_promises(module):
    torch.manual_seed(0)
    model = module.GRUEncoder(10, size=16, num_blocks=2).eval()
    lengths = torch.tensor([41, 4, 3, 0, 22])
    feats = torch.randn(len(lengths), 41, 10)  # the padding is not even zero
    with torch.no_grad():
        batch = model(feats, lengths)
        assert torch.equal(batch.lengths, lengths // model.stride)
        assert len(batch.layers) == model.num_layers
        for i, length in enumerate(lengths):
            alone = model(feats[i : i + 1, :length], length[None])
            for layer, own in zip(batch.layers, alone.layers):
                assert layer.shape == (len(lengths), 41 // model.stride, model.output_size)
                assert own.shape[1] == length // model.stride
                assert torch.allclose(layer[i, : own.shape[1]], own[0], atol=1e-6)
                assert not layer[i, own.shape[1] :].any()
        window = model.input_window
        assert model(feats[:1, :window], torch.tensor([window])).lengths == 1
        assert model(feats[:1, : window - 1], torch.tensor([window - 1])).lengths == 0


def test_it_can_be_pre_trained(front):
    config, front = front
    size = front.encoder.output_size
    objective = construct(config, "loss", loss.CHOICES, front.frontend.output_size, size)
    feats, lengths = front.frontend(torch.randn(2, 16000) * 0.1, torch.tensor([16000, 9000]))
    feats, lengths = front.normalize(feats, lengths)
    masked, mask = objective.mask(feats, lengths)
    value, _ = objective(front.encoder(masked, lengths).last, objective.targets(feats), mask)
    value.backward()
    assert all(p.grad.abs().sum() > 0 for p in front.encoder.parameters())


def test_the_stages_after_it_take_its_layers(front):
    _, front = front
    layers, size = front.encoder.num_layers, front.encoder.output_size
    path = ROOT / "egs2/asterisk/hasrd1/conf/train_codec.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["quantizer_conf"] |= {"semantic_layer": layers - 1, "num_clusters": 4}
    codec = Codec(**build_modules(config, front)).eval()
    codec.quantizer.set_centroids(torch.randn(4, size))
    tokens = codec.encode(torch.randn(1, 5000) * 0.1)
    assert tokens.stream_names[:2] == ("semantic", "acoustic")
    assert codec.decode(tokens).shape == (1, 5000)


def test_a_codec_is_built_and_trained_from_the_page(module):
    torch.manual_seed(0)
    codec = Codec.from_config(CODEC, allow_import=True)
    assert isinstance(codec.encoder, module.GRUEncoder)
    assert codec.frame_shift == codec.decoder.hop == 512
    wave = torch.randn(2, 6000) * 0.1
    output = codec(wave, torch.tensor([6000, 3000]))
    assert output.wave_hat.shape == wave.shape
    (output.wave_hat.square().mean() + sum(output.losses.values())).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in codec.encoder.parameters())
    codec.eval()
    tokens = codec.encode(wave, torch.tensor([6000, codec.min_samples]))
    assert tokens.lengths.tolist() == [11, 1]
    assert codec.decode(tokens).shape == (2, 6000)


def test_the_short_name_is_one_line(module):
    name, path = next(iter(yaml.safe_load(SHORT_NAME.strip().rstrip(",")).items()))
    assert name not in encoder.CHOICES and path == "hasrd.encoder.gru:GRUEncoder"
    assert resolve({**encoder.CHOICES, name: "my_encoder:GRUEncoder"}, name, allow_import=False) is module.GRUEncoder
