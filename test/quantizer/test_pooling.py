# Copyright 2026 The hasrd authors
# Apache-2.0
"""Vectors at a lower rate, and HASRD with a slow acoustic stream."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hasrd.quantizer.hasrd import HASRDQuantizer
from hasrd.quantizer.pooling import POOLINGS, hold


@given(
    pooling=st.sampled_from(sorted(POOLINGS)),
    frames=st.integers(1, 23),
    stride=st.integers(1, 7),
    seed=st.integers(0, 9),
)
def test_means_over_the_frames_that_count(pooling, frames, stride, seed):
    """What is learned begins as the mean."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, frames, 2, generator=generator)
    lengths = torch.randint(0, frames + 1, (3,), generator=generator)
    mask = torch.arange(frames) < lengths[:, None]
    slow, slow_mask = POOLINGS[pooling](2, stride)(x, mask)
    held = hold(slow, stride, frames)
    assert slow.shape[1] == -(-frames // stride) and held.shape == x.shape
    for row, length in enumerate(lengths.tolist()):
        assert slow_mask[row].tolist() == [group * stride < length for group in range(slow.shape[1])]
        for frame in range(length):
            first = frame // stride * stride
            mean = x[row, first : min(first + stride, length)].mean(0)
            assert torch.allclose(held[row, frame], mean, atol=1e-6)


def quantizer(stride: int, **options) -> HASRDQuantizer:
    """Of two layers; what is learned of the pooling is drawn at random, as if it were trained."""
    torch.manual_seed(0)
    made = HASRDQuantizer(6, 2, 1, num_clusters=5, num_codebooks=3, codebook_size=16, codebook_dim=4,
                          acoustic_stride=stride, **options)  # fmt: skip
    made.set_centroids(torch.randn(5, 6))
    for parameter in made.pool.parameters():
        torch.nn.init.normal_(parameter)
    return made.eval()


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("stride", [1, 2, 5, 50])
def test_acoustic_codes_stand_for_several_frames(stride, pooling):
    """Each utterance alone gives what it gives in a batch; the training's output is what decoding gives."""
    model, lengths = quantizer(stride, acoustic_pooling=pooling), torch.tensor([12, 7, 1])
    assert model.codebook_strides == (1, stride, stride, stride)
    layers = [torch.randn(3, 12, 6) for _ in range(2)]
    codes = model.encode(layers, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = model.encode([layer[row : row + 1, :length] for layer in layers], lengths[row : row + 1])
        assert torch.equal(codes[row, :length], alone[0]) and not codes[row, length:].any()
        for frame in range(length):
            assert torch.equal(codes[row, frame, 1:], codes[row, frame // stride * stride, 1:])
    output = model(layers, lengths)
    assert torch.equal(output.codes, codes)
    latent = model.decode(codes)
    for row, length in enumerate(lengths.tolist()):
        assert torch.allclose(output.latent[row, :length], latent[row, :length], atol=1e-5)


def test_a_stride_of_one_is_the_papers():
    layers, lengths = [torch.randn(2, 9, 6) for _ in range(2)], torch.tensor([9, 4])
    one, other = quantizer(1), quantizer(3)
    assert torch.equal(one.encode(layers, lengths)[..., 0], other.encode(layers, lengths)[..., 0])
    with pytest.raises(ValueError, match="acoustic_stride 0"):
        quantizer(0)


@pytest.mark.parametrize("pooling", ["attention", "convolution"])
def test_a_learned_pooling_is_trained(pooling):
    model = quantizer(3, acoustic_pooling=pooling).train()
    output = model([torch.randn(2, 9, 6) for _ in range(2)], torch.tensor([9, 4]))
    (output.latent.square().mean() + output.commitment_loss).backward()
    (parameter,) = model.pool.parameters()
    assert parameter.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="acoustic_pooling max: choose one of mean, attention, convolution"):
        quantizer(3, acoustic_pooling="max")


def test_a_mix_of_some_layers():
    """The others have no effect on the acoustic codes."""
    model, lengths = quantizer(1, mixed_layers=[0]), torch.tensor([9, 4])
    layers = [torch.randn(2, 9, 6) for _ in range(2)]
    assert model.layer_weights.tolist() == [1, 0] and model.layer_logits.shape == (1,)
    paper = quantizer(1)
    with torch.no_grad():
        paper.layer_logits.copy_(torch.tensor([200.0, -200.0]))
    paper.load_state_dict({**model.state_dict(), "layer_logits": paper.layer_logits})
    assert torch.equal(model.encode(layers, lengths), paper.encode(layers, lengths))
    for wrong in ([], [2], [-1]):
        with pytest.raises(ValueError, match="choose some of the 2 layers"):
            quantizer(1, mixed_layers=wrong)
