# Copyright 2026 The hasrd authors
# Apache-2.0
"""The codec as a whole: exact lengths, batches, streams, training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.codec.codec import Codec

SMALL = {
    "frontend": "log_mel",
    "normalize": "utterance",
    "encoder": "log_mel_cnn",
    "encoder_conf": {"channels": [8, 12, 16], "output_size": 16},
    "quantizer": "residual_vq",
    "quantizer_conf": {"num_codebooks": 3, "codebook_size": 32, "codebook_dim": 4},
    "decoder": "istft",
    "decoder_conf": {"dim": 16, "num_layers": 2, "intermediate": 24, "token_layers": 1},
}
CONFORMER = {
    **SMALL,
    "encoder": "cnn_conformer",
    "encoder_conf": {
        "cnn_channels": [8, 12, 16],
        "attention_dim": 16,
        "attention_heads": 2,
        "linear_units": 32,
        "num_blocks": 2,
    },
    "quantizer": "hasrd",
    "quantizer_conf": {
        "semantic_layer": 1,
        "num_clusters": 12,
        "num_codebooks": 3,
        "codebook_size": 32,
        "codebook_dim": 4,
    },
    "decoder": "dac",
    "decoder_conf": {"channels": 32, "separable": True},
}
RAW = {
    **SMALL,
    "frontend": "raw",
    "normalize": None,
    "encoder": "dac",
    "encoder_conf": {"channels": 4, "output_size": 16},
}

# Tokens of 320 samples that see 400 each, as HuBERT's.
WINDOWS = {
    **RAW,
    "encoder": "hubert",
    "encoder_conf": {
        "conv_layers": [[8, 10, 5], *[[8, 3, 2]] * 4, *[[8, 2, 2]] * 2],
        "attention_dim": 16,
        "attention_heads": 2,
        "linear_units": 32,
        "num_blocks": 1,
        "position_kernel": 16,
        "position_groups": 2,
    },
    "decoder": "dac",
    "decoder_conf": {"channels": 16, "strides": [8, 5, 4, 2]},
}


def make(config):
    torch.manual_seed(0)
    codec = Codec.from_config(config).eval()
    if config["quantizer"] == "hasrd":
        # Real latents, so that several centroids are used.
        wave = 0.1 * torch.randn(1, 30000)
        layer = codec.features(wave, torch.tensor([30000])).layers[1][0]
        codec.quantizer.set_centroids(layer[::4][:12].detach())
    return codec


@pytest.fixture(scope="module", params=[SMALL, CONFORMER, RAW], ids=["cnn", "conformer", "raw"])
def codec(request):
    return make(request.param)


def waves(lengths):
    torch.manual_seed(1)
    envelope = torch.rand(len(lengths), max(lengths))
    return 0.2 * envelope * torch.randn(len(lengths), max(lengths)), torch.tensor(lengths)


@given(lengths=st.lists(st.integers(0, 5000), min_size=1, max_size=3))
@settings(deadline=None, max_examples=40)
def test_output_is_as_long_as_the_input(codec, lengths):
    wave, samples = waves([*lengths, 1])
    tokens = codec.encode(wave, samples)
    assert torch.equal(tokens.num_samples, samples) and (tokens.lengths >= 1).all()
    decoded = codec.decode(tokens)
    assert decoded.shape == wave.shape and torch.isfinite(decoded).all()
    for wave_hat, length in zip(decoded, samples):
        assert wave_hat[length:].eq(0).all()
        assert not length or wave_hat[:length].ne(0).any()


@given(lengths=st.lists(st.integers(0, 3000), min_size=1, max_size=3))
@settings(deadline=None, max_examples=10)
def test_tokens_that_overlap(lengths):
    codec = make(WINDOWS)
    assert codec.frame_shift == 320 and codec.min_samples == 400
    wave, samples = waves([*lengths, 1])
    tokens = codec.encode(wave, samples)
    padded = samples.clamp(min=400)
    assert torch.equal(tokens.lengths, (padded - 400) // 320 + 1)
    assert torch.equal(tokens.lengths, codec.encoder.num_tokens(codec.frontend.num_frames(padded)))
    decoded = codec.decode(tokens)
    assert decoded.shape == wave.shape
    for wave_hat, length in zip(decoded, samples):
        assert wave_hat[length:].eq(0).all()
        assert not length or wave_hat[:length].ne(0).any()


def test_number_of_tokens(codec):
    wave, samples = waves([5000, 784])
    expected = codec.encoder.num_tokens(codec.frontend.num_frames(samples))
    assert torch.equal(codec.encode(wave, samples).lengths, expected)
    assert codec.encoder.num_tokens(999) == 999 // codec.encoder.stride


def test_rates(codec):
    assert codec.frame_shift == 512 and codec.frame_rate == 31.25 and codec.sample_rate == 16000
    raw = codec.frontend.frame_shift == 1
    assert codec.min_samples == (512 if raw else 784)
    assert codec.num_codebooks == len(codec.quantizer.codebook_sizes)


def test_number_of_tokens_of_five_seconds():
    # 5 s are 622 log-mel frames, 155 tokens, 79,360 samples of their own.
    codec = make(SMALL)
    tokens = codec.encode(torch.randn(1, 80000))
    assert tokens.lengths.tolist() == [155]
    assert codec.decode(tokens).shape == (1, 80000)


def test_ten_milliseconds(codec):
    wave = 0.1 * torch.randn(1, 160)
    tokens = codec.encode(wave)
    assert tokens.codes.shape == (1, 1, codec.num_codebooks)
    assert codec.decode(tokens).shape == (1, 160)
    padded = torch.nn.functional.pad(wave, (0, codec.min_samples - 160))
    assert torch.equal(tokens.codes, codec.encode(padded).codes)


def test_batch_equals_alone(codec):
    lengths = [9000, 160, 4321, 784, 8999]
    wave, samples = waves(lengths)
    wave[2, 4321:] = torch.nan  # what lies behind the end must not be looked at
    tokens = codec.encode(wave, samples)
    decoded = codec.decode(tokens)
    for i, length in enumerate(lengths):
        alone = codec.encode(wave[i : i + 1, :length])
        assert torch.equal(tokens.item(i).codes, alone.codes)
        assert torch.allclose(decoded[i, :length], codec.decode(alone)[0], atol=1e-5)


def test_last_token_is_repeated():
    codec = make(SMALL)
    tokens = codec.encode(0.1 * torch.randn(1, 5000))
    assert tokens.lengths.tolist() == [9]
    latent = codec.quantizer.decode(tokens.codes)
    latent = torch.cat([latent, latent[:, -1:]], dim=1)
    assert torch.allclose(codec.decode(tokens), codec.decoder(latent)[:, :5000], atol=1e-6)


def test_streams():
    codec = make(CONFORMER)
    wave, samples = waves([4000, 3000])
    tokens = codec.encode(wave, samples)
    parts = {name: codec.decode(tokens, streams=[name]) for name in ("semantic", "acoustic")}
    assert not torch.allclose(parts["semantic"], parts["acoustic"], atol=1e-4)
    for name, part in parts.items():
        assert torch.equal(codec.decode(tokens.select([name])), part)
        assert torch.equal(codec.decode(tokens.select([name]), streams=[name]), part)
    # What a stream says must not change what is heard without it.
    codes = tokens.codes.clone()
    codes[..., 0] = (codes[..., 0] + 1) % 12
    other = replace(tokens, codes=codes)
    assert torch.equal(codec.decode(other, streams=["acoustic"]), parts["acoustic"])
    assert not torch.equal(codec.decode(other), codec.decode(tokens))
    assert torch.equal(codec.decode(tokens, streams=["semantic", "acoustic"]), codec.decode(tokens))
    with pytest.raises(ValueError, match="no stream named acoustic"):
        codec.decode(tokens.select(["semantic"]), streams=["acoustic"])


def test_first_codebooks():
    codec = make(SMALL)
    tokens = codec.encode(0.1 * torch.randn(1, 3000))
    two = replace(
        tokens,
        codes=tokens.codes[..., :2],
        stream_names=("acoustic",) * 2,
        codebook_sizes=(32,) * 2,
    )
    latent = codec.quantizer.decode(tokens.codes[..., :2])
    expected = codec.decoder(torch.cat([latent, latent[:, -1:]], dim=1))[:, :3000]
    assert torch.allclose(codec.decode(two), expected, atol=1e-6)


def test_tokens_of_another_codec():
    tokens = make(CONFORMER).encode(0.1 * torch.randn(1, 3000))
    codec = make(SMALL)
    with pytest.raises(ValueError, match="this codec has"):
        codec.decode(tokens)
    none = replace(codec.encode(torch.randn(1, 3000)), lengths=torch.tensor([0]))
    with pytest.raises(ValueError, match="without a token"):
        codec.decode(none)


def test_training_equals_inference_without_dropout(codec):
    """The batched path of training makes what decode makes, if nothing is padded."""
    wave, _ = waves([5000, 5000])
    output = codec(wave)
    assert output.wave_hat.shape == wave.shape
    tokens = codec.encode(wave)
    assert torch.equal(output.codes, tokens.codes)
    assert torch.allclose(output.wave_hat, codec.decode(tokens), atol=1e-4)


@pytest.mark.parametrize("autocast", [False, True])
def test_training_step(codec, autocast):
    codec.train()
    wave, samples = waves([5000, 100, 3000])
    codec.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        output = codec(wave, samples)
    codec.eval()
    assert output.wave_hat.shape == wave.shape and output.wave_hat.dtype == torch.float32
    for wave_hat, length in zip(output.wave_hat, samples):
        assert wave_hat[length:].eq(0).all()
    assert set(output.losses) == {"commitment", "codebook"}
    loss = output.wave_hat.square().mean() + sum(output.losses.values())
    loss.backward()
    for name, parameter in codec.named_parameters():
        if parameter.grad is not None:
            assert torch.isfinite(parameter.grad).all(), name
    missing = [n for n, p in codec.named_parameters() if p.grad is None]
    assert not [n for n in missing if not n.startswith("encoder.")], missing
    assert not any(value.requires_grad for value in output.stats.values())


def test_short_training_crops(codec):
    output = codec(0.1 * torch.randn(2, 300))
    assert output.wave_hat.shape == (2, 300)


def test_frozen_encoder():
    codec = make(CONFORMER)
    frozen = Codec(codec.speech_encoder.frozen(), codec.quantizer, codec.decoder)
    frozen.train()
    wave, samples = waves([4000, 3000])
    frozen(wave, samples).wave_hat.square().mean().backward()
    assert codec.quantizer.layer_logits.grad.abs().sum() > 0
    assert codec.quantizer.mix.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in codec.encoder.parameters())
    assert not [name for name in frozen.state_dict() if "encoder" in name.split(".")[0]]
    frozen.eval()
    assert torch.equal(frozen.encode(wave, samples).codes, codec.encode(wave, samples).codes)


def test_a_decoder_that_gives_too_few_samples_is_refused(codec, one_line, monkeypatch):
    """In place of silence at the end."""
    tokens = codec.encode(*waves([4000]))
    whole = codec.decoder.forward
    monkeypatch.setattr(codec.decoder, "forward", lambda latent: whole(latent)[:, 1:])
    name = type(codec.decoder).__name__
    one_line(f"{name}: gives .* samples of .* tokens, but its hop is {codec.decoder.hop}", codec.decode, tokens)


def test_hop_of_the_decoder_must_fit():
    config = {**SMALL, "decoder_conf": {**SMALL["decoder_conf"], "upsample": 2}}
    with pytest.raises(ValueError, match="512 samples .* 256"):
        Codec.from_config(config)
