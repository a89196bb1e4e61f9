# Copyright 2026 The hasrd authors
# Apache-2.0
"""The shared layers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hasrd.encoder.layers import Dropout, ResidualUnit, Snake1d, length_mask, wn_conv1d


def test_snake_is_dacs_formula():
    snake = Snake1d(3).double()
    snake.alpha.data = torch.tensor([0.1, 1.0, 7.0], dtype=torch.float64).view(1, 3, 1)
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    alpha = snake.alpha
    torch.testing.assert_close(snake(x), x + (1.0 / (alpha + 1e-9)) * torch.sin(alpha * x) ** 2)
    assert torch.autograd.gradcheck(snake, (x,))
    assert not snake(torch.zeros(1, 3, 4, dtype=torch.float64)).any()


def test_snake_gradients_are_those_of_the_formula():
    torch.manual_seed(0)
    snake = Snake1d(3).double()
    snake.alpha.data.uniform_(0.2, 3.0)
    x = torch.randn(2, 3, 50, dtype=torch.float64, requires_grad=True)
    weight = torch.randn_like(x)
    actual = torch.autograd.grad((snake(x) * weight).sum(), (x, snake.alpha))
    formula = x + (1.0 / (snake.alpha + 1e-9)) * torch.sin(snake.alpha * x) ** 2
    expected = torch.autograd.grad((formula * weight).sum(), (x, snake.alpha))
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_snake_keeps_the_type(dtype):
    assert Snake1d(3)(torch.randn(1, 3, 4, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("separable", [False, True])
@pytest.mark.parametrize("dilation", [1, 3, 9])
def test_residual_unit_masks_and_keeps_the_length(separable, dilation):
    torch.manual_seed(0)
    unit = ResidualUnit(4, dilation, separable=separable)
    x = torch.randn(2, 4, 40)
    mask = length_mask(torch.tensor([40, 25]), 40)[:, None]
    masked = unit(x * mask, mask)
    assert masked.shape == x.shape and not masked[1, :, 25:].any()
    alone = unit(x[1:, :, :25])
    torch.testing.assert_close(masked[1:, :, :25], alone, atol=1e-5, rtol=0)


def test_separable_unit_is_depthwise_then_pointwise():
    wide = [layer for layer in ResidualUnit(6, 3, separable=True).block if hasattr(layer, "groups")]
    assert [(conv.kernel_size[0], conv.groups) for conv in wide] == [(7, 6), (1, 1), (1, 1)]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.97])
def test_dropout_keeps_the_mean(rate):
    torch.manual_seed(0)
    dropout = Dropout(rate)
    x = torch.ones(401, 501, requires_grad=True)
    y = dropout(x)
    kept = y != 0
    assert abs(kept.float().mean() - (1 - rate)) < 0.005
    torch.testing.assert_close(y[kept], torch.full_like(y[kept], 1 / (1 - rate)))
    # Neighbours share a random number, but not their fate.
    assert abs((kept[:, 1:] == kept[:, :-1]).float().mean() - (1 - 2 * rate * (1 - rate))) < 0.005
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())
    assert not torch.equal(dropout(x), y)
    assert dropout.eval()(x) is x


def test_dropout_of_everything_and_of_nothing():
    torch.manual_seed(0)
    for rate in (0.999999, 1.0):
        assert not Dropout(rate)(torch.ones(100)).any()
    assert Dropout(0.000001)(torch.ones(100)).all()
    x = torch.ones(5)
    assert torch.equal(Dropout(0.0)(x), x)
    assert Dropout(0.1)(torch.ones(0, 3)).shape == (0, 3)
    assert Dropout(0.1)(torch.ones(7, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_bias_starts_at_zero():
    assert not wn_conv1d(3, 5, 7).bias.any()


@given(lengths=st.lists(st.integers(0, 20), min_size=1), extra=st.integers(0, 5))
def test_length_mask_counts(lengths, extra):
    mask = length_mask(torch.tensor(lengths), max(lengths) + extra)
    assert mask.sum(1).tolist() == lengths
    assert (mask.int().diff(dim=1) <= 0).all()
