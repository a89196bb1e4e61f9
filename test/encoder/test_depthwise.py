# Copyright 2026 The hasrd authors
# Apache-2.0
"""The depthwise convolution against torch's."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from hasrd.encoder.depthwise import depthwise_conv


@pytest.mark.parametrize("sizes", [(2, 9, 5, 3), (1, 4, 16, 31), (3, 1, 2, 1)])
def test_equals_conv1d_with_gradients(sizes):
    torch.manual_seed(0)
    batch, frames, channels, kernel = sizes
    x = torch.randn(batch, frames, channels, requires_grad=True)
    weight = torch.randn(channels, 1, kernel, requires_grad=True)
    bias = torch.randn(channels, requires_grad=True)
    inputs = (x, weight, bias)
    factor = torch.randn_like(x)
    expected = functional.conv1d(x.mT, weight, bias, padding="same", groups=channels).mT
    actual = depthwise_conv(*inputs)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)
    actual_grads = torch.autograd.grad((actual * factor).sum(), inputs)
    expected_grads = torch.autograd.grad((expected * factor).sum(), inputs)
    torch.testing.assert_close(actual_grads, expected_grads, atol=1e-4, rtol=1e-4)


def test_only_the_gradients_that_are_wanted():
    x, weight = torch.randn(2, 6, 4), torch.randn(4, 1, 3)
    bias = torch.randn(4, requires_grad=True)
    depthwise_conv(x, weight, bias).sum().backward()
    assert torch.equal(bias.grad, torch.full((4,), 12.0))


def test_type_is_the_inputs():
    weight, bias = torch.randn(4, 1, 3, requires_grad=True), torch.zeros(4, requires_grad=True)
    y = depthwise_conv(torch.randn(2, 6, 4, dtype=torch.bfloat16), weight, bias)
    y.sum().backward()
    assert y.dtype == torch.bfloat16 and weight.grad.dtype == torch.float32


@pytest.mark.parametrize("channels", [4, 32])
def test_a_float32_input_trains_under_autocast(channels):
    torch.manual_seed(0)
    x = torch.randn(2, 40, channels, requires_grad=True)
    weight, bias = torch.randn(channels, 1, 7, requires_grad=True), torch.zeros(channels, requires_grad=True)
    expected = torch.autograd.grad(depthwise_conv(x, weight, bias).square().sum(), (x, weight, bias))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = depthwise_conv(x, weight, bias)
    for grad, near in zip(torch.autograd.grad(y.float().square().sum(), (x, weight, bias)), expected):
        assert grad.dtype == torch.float32 and (grad - near).norm() < 0.02 * near.norm()


def test_bf16_with_few_channels_ends():
    # In a process of its own: where oneDNN does not come back, nothing else ends it.
    code = """
import torch
from hasrd.encoder.depthwise import depthwise_conv
torch.manual_seed(0)
for channels in (8, 16, 20):
    x, weight = torch.randn(2, 100, channels).bfloat16(), torch.randn(channels, 1, 31)
    expected = depthwise_conv(x.float(), weight.bfloat16().float(), torch.zeros(channels))
    near = dict(atol=0.1, rtol=0.1)
    torch.testing.assert_close(depthwise_conv(x, weight, torch.zeros(channels)).float(), expected, **near)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(depthwise_conv(x.float(), weight, torch.zeros(channels)), expected, **near)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
