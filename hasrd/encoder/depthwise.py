# Copyright 2026 The hasrd authors
# Apache-2.0
"""Depthwise convolution of frames (B, T, C), fast on a CPU too."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from hasrd.encoder.tiles import whole


def depthwise_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve every channel with its own kernel and keep the length.

    Args:
        x: (B, T, C).
        weight: (C, 1, K), K odd.
        bias: (C,).

    Returns:
        (B, T, C).
    """
    if whole():  # as one operation that every runtime knows
        return functional.conv1d(x.mT, weight, bias, padding="same", groups=len(weight)).mT
    if x.device.type == "cpu" and len(weight) % 32:
        # torch 2.11's oneDNN never comes back from bf16 calls with 8, 16 or 20 channels and more frames than the
        # kernel. With whole blocks of 32 channels it does.
        with torch.autocast("cpu", enabled=False):
            dtype = torch.promote_types(x.dtype, torch.float32)
            return _FramesLast.apply(x.to(dtype), weight.to(dtype), bias.to(dtype)).to(x.dtype)
    if x.device.type == "cpu":
        if torch.is_autocast_enabled("cpu"):
            # As conv1d would: cast inside, the gradient would come back in another type than what was saved for it.
            x = x.to(torch.get_autocast_dtype("cpu"))
        return _FramesLast.apply(x, weight.to(x.dtype), bias.to(x.dtype))
    return functional.conv1d(x.mT, weight, bias, padding="same", groups=len(weight)).mT


def depthwise_valid(x: Tensor, weight: Tensor, dilation: int = 1) -> Tensor:
    """Convolve every channel of one signal where the kernel fits; for inference.

    With padding of its own, oneDNN's dilated kernel is 15 times slower (one core, K = 7, 8192 x 96 and 2048 x 384).

    Args:
        x: (T, C).
        weight: (C, 1, K).
        dilation: frames from tap to tap.

    Returns:
        (T - (K - 1) * dilation, C).
    """
    dtype = x.dtype
    if x.device.type == "cpu" and len(weight) % 32:  # see depthwise_conv
        x, weight = x.float(), weight.float()
    row = functional.conv2d(x.t()[None, :, None], weight[:, :, None], dilation=(1, dilation), groups=len(weight))
    return row[0, :, 0].t().to(dtype)


class _FramesLast(torch.autograd.Function):
    """The convolution and its gradients as images in channels-last layout, without a copy.

    conv1d brings (B, C, T) to another layout first and is 15 to 30 times slower forward, 3 to 7
    with gradients (one core, K = 31, 4 x 468 x 512 and 16 x 125 x 192). An image of one row suits
    the forward pass and its gradient by x, one of one column that by the weight.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad_x = _convolve(grad, weight.flip(2), None) if ctx.needs_input_grad[0] else None
        _, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
            grad.mT[..., None],
            x.mT[..., None],
            weight[..., None],
            [len(weight)],
            stride=[1, 1],
            padding=[weight.shape[2] // 2, 0],
            dilation=[1, 1],
            transposed=False,
            output_padding=[0, 0],
            groups=len(weight),
            output_mask=[False, *ctx.needs_input_grad[1:]],
        )
        return grad_x, grad_weight if grad_weight is None else grad_weight[..., 0], grad_bias


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    padding = (0, weight.shape[2] // 2)
    row = functional.conv2d(x.mT[:, :, None], weight[:, :, None], bias, padding=padding, groups=len(weight))
    return row[:, :, 0].mT
