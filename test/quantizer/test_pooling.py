# Copyright 2026 The hasrd authors
# Apache-2.0
"""Vectors at a lower rate, and HASRD with a slow acoustic stream."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hasrd.quantizer.hasrd import HASRDQuantizer
from hasrd.quantizer.pooling import hold, pool


@given(frames=st.integers(1, 23), stride=st.integers(1, 7), seed=st.integers(0, 99))
def test_means_over_the_frames_that_count(frames, stride, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, frames, 2, generator=generator)
    lengths = torch.randint(0, frames + 1, (3,), generator=generator)
    mask = torch.arange(frames) < lengths[:, None]
    slow, slow_mask = pool(x, mask, stride)
    held = hold(slow, stride, frames)
    assert slow.shape[1] == -(-frames // stride) and held.shape == x.shape
    for row, length in enumerate(lengths.tolist()):
        assert slow_mask[row].tolist() == [group * stride < length for group in range(slow.shape[1])]
        for frame in range(length):
            first = frame // stride * stride
            mean = x[row, first : min(first + stride, length)].mean(0)
            assert torch.allclose(held[row, frame], mean, atol=1e-6)


def quantizer(stride: int) -> HASRDQuantizer:
    torch.manual_seed(0)
    made = HASRDQuantizer(6, 2, 1, num_clusters=5, num_codebooks=3, codebook_size=16, codebook_dim=4,
                          acoustic_stride=stride)  # fmt: skip
    made.set_centroids(torch.randn(5, 6))
    return made.eval()


@pytest.mark.parametrize("stride", [1, 2, 5, 50])
def test_acoustic_codes_stand_for_several_frames(stride):
    """Each utterance alone gives what it gives in a batch; the training's output is what decoding gives."""
    model, lengths = quantizer(stride), torch.tensor([12, 7, 1])
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
