# Copyright 2026 The hasrd authors
# Apache-2.0
"""The Conformer against ESPnet's, and its invariances."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hasrd.encoder.conformer import Conformer, align_positions, relative_positions


class ChannelNorm(nn.Module):
    """Layer norm over the channels of (B, C, T): what ours has where ESPnet has a batch norm."""

    def __init__(self, size):
        super().__init__()
        self.norm = nn.LayerNorm(size)

    def forward(self, x):
        return self.norm(x.mT).mT


def weights_from_espnet(layer) -> dict[str, torch.Tensor]:
    """Map one ESPnet layer to ours; biases that ours contains elsewhere are folded into those."""
    attention, conv = layer.self_attn, layer.conv_module
    q, k, v = attention.linear_q, attention.linear_k, attention.linear_v
    heads = attention.pos_bias_u.shape[0]
    weights = {
        "attention.qkv.weight": torch.cat([q.weight, k.weight, v.weight]),
        "attention.position.weight": attention.linear_pos.weight,
        "attention.out.weight": attention.linear_out.weight,
        "attention.out.bias": attention.linear_out.bias + attention.linear_out.weight @ v.bias,
        "attention.content_bias": (attention.pos_bias_u + q.bias.view(heads, -1))[:, None],
        "attention.position_bias": (attention.pos_bias_v + q.bias.view(heads, -1))[:, None],
        "conv.expand.weight": conv.pointwise_conv1.weight[..., 0],
        "conv.expand.bias": conv.pointwise_conv1.bias,
        "conv.depthwise.weight": conv.depthwise_conv.weight,
        "conv.depthwise.bias": conv.depthwise_conv.bias,
        "conv.project.weight": conv.pointwise_conv2.weight[..., 0],
        "conv.project.bias": conv.pointwise_conv2.bias,
    }
    same = {
        "macaron.0": layer.feed_forward_macaron.w_1,
        "macaron.3": layer.feed_forward_macaron.w_2,
        "feed_forward.0": layer.feed_forward.w_1,
        "feed_forward.3": layer.feed_forward.w_2,
        "norm_macaron": layer.norm_ff_macaron,
        "norm_attention": layer.norm_mha,
        "norm_conv": layer.norm_conv,
        "norm_feed_forward": layer.norm_ff,
        "norm_final": layer.norm_final,
        "conv.norm": conv.norm.norm,
    }
    for name, part in same.items():
        weights |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
    return weights


@pytest.mark.parametrize("size, heads", [(32, 4), (30, 3), (36, 12)])
def test_blocks_equal_espnets(size, heads):
    conformer_encoder = pytest.importorskip("espnet2.asr.encoder.conformer_encoder")
    torch.manual_seed(size)
    theirs = conformer_encoder.ConformerEncoder(
        input_size=size,
        output_size=size,
        attention_heads=heads,
        linear_units=48,
        num_blocks=3,
        input_layer=None,
        macaron_style=True,
        rel_pos_type="latest",
        cnn_module_kernel=31,
    ).eval()
    for layer in theirs.encoders:
        layer.conv_module.norm = ChannelNorm(size)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # no bias stays 0, no gain 1
    ours = Conformer(size, heads, 48, 3).eval()
    for block, layer in zip(ours.blocks, theirs.encoders, strict=True):
        block.load_state_dict(weights_from_espnet(layer), strict=True)
    x = torch.randn(2, 37, size)
    lengths = torch.tensor([37, 37])
    with torch.no_grad():
        # ESPnet's positional encoding scales its input by sqrt(size).
        (_, expected), _, _ = theirs(x, lengths, return_all_hs=True)
        actual = ours(x * size**0.5, lengths)
    for ours_layer, theirs_layer in zip(actual, expected, strict=True):
        torch.testing.assert_close(ours_layer, theirs_layer, atol=1e-4, rtol=0)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 8])
def test_align_positions_picks_the_distance(num_frames):
    distance = torch.arange(num_frames - 1, -num_frames, -1.0)
    aligned = align_positions(distance.expand(2, 3, num_frames, -1).contiguous())
    frame = torch.arange(num_frames)
    expected = (frame[:, None] - frame).float()
    assert torch.equal(aligned, expected.expand(2, 3, -1, -1))


def test_order_of_frames_matters_only_through_distances():
    torch.manual_seed(0)
    model = Conformer(16, 4, 32, 2).eval()
    x = torch.zeros(1, 90, 16)
    x[0, 40:44] = torch.randn(4, 16)
    long = torch.tensor([90])
    with torch.no_grad():
        first = model(x, long)[-1]
        attention = model.blocks[0].attention
        no_bias = torch.zeros(1, 1, 1, 90)
        positions = relative_positions(90, 16, x.device)
        swapped = attention(x.flip(1), positions.flip(0), no_bias).flip(1)
        assert torch.allclose(swapped, attention(x, positions, no_bias), atol=1e-5)
        assert not torch.allclose(model(x.flip(1), long)[-1].flip(1), first, atol=1e-3)


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    model = Conformer(16, 4, 32, 2, attention_dropout_rate=0.2)
    x, lengths = torch.randn(2, 11, 16), torch.tensor([11, 6])
    assert not torch.equal(model(x, lengths)[-1], model(x, lengths)[-1])
    model.eval()
    assert torch.equal(model(x, lengths)[-1], model(x, lengths)[-1])


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    model = Conformer(16, 4, 32, 2)
    lengths = torch.tensor([11, 6, 0])
    model(torch.randn(3, 11, 16), lengths)[-1].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert name.endswith("norm_final.bias") or parameter.grad.any(), name


@pytest.mark.parametrize("sizes", [(17, 17), (16, 3)])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match="must be even and a multiple"):
        Conformer(*sizes, 32, 1)


def test_even_kernel_is_refused():
    with pytest.raises(ValueError, match="odd"):
        Conformer(16, 4, 32, 1, cnn_module_kernel=30)
