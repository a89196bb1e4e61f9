# Copyright 2026 The hasrd authors
# Apache-2.0
"""The Transformer: torch's own on equal weights where positions say nothing, and independence from padding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hasrd.encoder.transformer import Transformer


def test_equals_torchs_without_positions():
    """With a zero projection of the positions and zero biases u and v, the attention is the plain one."""
    torch.manual_seed(0)
    size, heads, hidden = 16, 4, 24
    ours = Transformer(size, heads, hidden, num_blocks=2).eval()
    conf = {"activation": nn.functional.silu, "batch_first": True, "norm_first": True}
    layer = nn.TransformerEncoderLayer(size, heads, hidden, **conf)
    theirs = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    with torch.no_grad():
        for mine, other in zip(ours.blocks, theirs.layers):
            for zero in (mine.attention.position.weight, mine.attention.content_bias, mine.attention.position_bias):
                zero.zero_()
            other.self_attn.in_proj_bias.zero_()
            for a, b in (
                (other.self_attn.in_proj_weight, mine.attention.qkv.weight),
                (other.self_attn.out_proj.weight, mine.attention.out.weight),
                (other.self_attn.out_proj.bias, mine.attention.out.bias),
                (other.linear1.weight, mine.feed_forward[0].weight),
                (other.linear1.bias, mine.feed_forward[0].bias),
                (other.linear2.weight, mine.feed_forward[3].weight),
                (other.linear2.bias, mine.feed_forward[3].bias),
            ):
                a.copy_(b.view_as(a))
        x = torch.randn(2, 9, size)
        expected = theirs(x, src_key_padding_mask=torch.arange(9) >= torch.tensor([[9], [5]]))
        found = ours(x * (torch.arange(9) < torch.tensor([[9], [5]]))[..., None], torch.tensor([9, 5]))[-1]
    torch.testing.assert_close(found[0], expected[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[1, :5], expected[1, :5], atol=1e-5, rtol=1e-5)
    assert not found[1, 5:].any()


def test_order_matters():
    torch.manual_seed(0)
    model = Transformer(16, 4, 24, num_blocks=1).eval()
    x, lengths = torch.randn(1, 6, 16), torch.tensor([6])
    with torch.no_grad():
        assert not torch.allclose(model(x, lengths)[-1].flip(1), model(x.flip(1), lengths)[-1], atol=1e-3)


def test_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match="multiple of 3 heads"):
        Transformer(16, 3, 24, 1)
