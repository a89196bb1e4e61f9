# Copyright 2026 The hasrd authors
# Apache-2.0
"""The Conformer against ESPnet's, and its invariances."""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hasrd.encoder import relative
from hasrd.encoder.attention import fused_attention
from hasrd.encoder.conformer import Conformer
from hasrd.encoder.relative import align_positions, block_sizes, relative_positions


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


@pytest.mark.parametrize("start, end", [(0, 8), (0, 1), (3, 4), (2, 7), (7, 8)])
def test_align_positions_picks_the_distance(start, end):
    distance = torch.arange(end - 1, start - 8, -1.0)
    aligned = align_positions(distance.expand(2, 3, end - start, -1).contiguous())
    expected = (torch.arange(start, end)[:, None] - torch.arange(8)).float()
    assert torch.equal(aligned, expected.expand(2, 3, -1, -1))


def in_blocks_of(rows, group):
    return mock.patch.object(relative, "block_sizes", lambda *_: (rows, group))


@pytest.mark.parametrize("dtype, atol", [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 70), min_size=1, max_size=3),
    rows=st.integers(1, 80),
    group=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_blocks_are_exact(dtype, atol, lengths, rows, group, seed):
    torch.manual_seed(seed)
    model = Conformer(24, 4, 32, 2).eval().to(dtype)
    x, lengths = torch.randn(len(lengths), max(lengths), 24, dtype=dtype), torch.tensor(lengths)
    with torch.no_grad():
        with in_blocks_of(max(1, max(lengths)), 4):
            whole = model(x, lengths)
        with in_blocks_of(rows, group):
            blocked = model(x, lengths)
    for expected, actual in zip(whole, blocked, strict=True):
        torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


def test_blocks_have_the_same_gradients():
    torch.manual_seed(0)
    model = Conformer(24, 4, 32, 2).eval()
    x, lengths = torch.randn(2, 23, 24), torch.tensor([23, 14])
    gradients = []
    for sizes in ((23, 4), (5, 3)):
        model.zero_grad()
        with in_blocks_of(*sizes):
            model(x, lengths)[-1].square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("device, most", [("cpu", 2**22), ("cuda", 2**28)])
@given(batch=st.integers(1, 64), heads=st.integers(1, 16), num_frames=st.integers(1, 20000))
def test_scores_of_a_block_are_bounded(device, most, batch, heads, num_frames):
    rows, group = block_sizes(batch, heads, num_frames, device)
    assert 1 <= rows <= num_frames and 1 <= group <= heads
    # A block has 32 queries of one head at least.
    assert batch * group * rows * num_frames <= max(most, 32 * batch * num_frames)
    if batch * heads * num_frames**2 <= most and device == "cuda":
        assert (rows, group) == (num_frames, heads)


def test_long_input_needs_little_memory():
    # 2 heads of 4000 x 4000 float32 scores would be 128 MB, those by distance twice that. In a process of its own,
    # whose memory nobody else has used before.
    code = """
import resource, torch
from hasrd.encoder.conformer import Conformer
torch.set_num_threads(1)
model = Conformer(16, 2, 16, 1).eval()
with torch.inference_mode():
    model(torch.randn(1, 300, 16), torch.tensor([300]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    y = model(torch.randn(1, 4000, 16), torch.tensor([4000]))[-1]
assert y.isfinite().all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    used = float(subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True).stdout)
    assert used < 100, f"{used} MB"


def test_kept_positions_change_nothing():
    torch.manual_seed(0)
    model = Conformer(24, 4, 32, 2).eval()
    names = set(model.state_dict())
    inputs = [(torch.randn(2, length, 24), torch.tensor([length, 1])) for length in (1, 2, 9, 10, 11)]
    with torch.no_grad():
        expected = [model(*pair)[-1] for pair in inputs]
        model.keep_positions(10)
        actual = [model(*pair)[-1] for pair in inputs]
        model.blocks[0].attention.kept_positions.normal_()  # they are used, up to the length that they are kept for
        assert not torch.allclose(model(*inputs[3])[-1], expected[3], atol=1e-3)
        torch.testing.assert_close(model(*inputs[4])[-1], expected[4])
    torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-5)
    assert set(model.state_dict()) == names
    model(*inputs[2])[-1].sum().backward()  # with gradients they are not used
    assert model.blocks[0].attention.position.weight.grad.any()


@pytest.mark.parametrize("size", [8, 5])
def test_filled_up_heads_change_nothing(size):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 6, size)
    bias = torch.randn(2, 3, 6, 6)
    plain = fused_attention(q, k, v, bias, 0.0, multiple=1)
    filled = fused_attention(q, k, v, bias, 0.0, multiple=8)
    assert filled.shape == plain.shape
    torch.testing.assert_close(filled, plain)


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
