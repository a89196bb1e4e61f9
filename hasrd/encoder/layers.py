# Copyright 2026 The hasrd authors
# Apache-2.0
"""Layers that the convolutional encoders and decoders share.

They follow DAC ("High-Fidelity Audio Compression with Improved RVQGAN", Kumar et al. 2023): Snake
activations, weight-normed convolutions, dilated residual units. The separable form of the unit is
HASRD's (section 2.1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.parametrizations import weight_norm


def length_mask(lengths: Tensor, max_len: int) -> Tensor:
    """Mark the valid frames of each utterance.

    Args:
        lengths: (B,) frames of each utterance.
        max_len: frames T of the padded batch.

    Returns:
        (B, T) bool, true on valid frames.
    """
    return torch.arange(max_len, device=lengths.device) < lengths[:, None]


def count_windows(frames: int | Tensor, window: int, stride: int) -> int | Tensor:
    """Return how many windows fit into frames (an int or a tensor of any shape), from its start on."""
    count = (frames - window) // stride + 1
    return count.clamp(min=0) if isinstance(count, Tensor) else max(count, 0)


class Snake1d(nn.Module):
    """Snake activation, x + sin^2(alpha x) / alpha, with one alpha a channel (DAC's).

    It maps zero to zero, so masked frames stay masked.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation to x (B, C, T); the result has its shape and type."""
        return _Snake.apply(x, self.alpha)


class _Snake(torch.autograd.Function):
    """Snake with nothing but its input kept for the gradients: a quarter of autograd's memory."""

    @staticmethod
    def forward(ctx, x: Tensor, alpha: Tensor) -> Tensor:
        ctx.save_for_backward(x, alpha)
        alpha = alpha.to(x.dtype)
        return (alpha * x).sin_().square_().div_(alpha + 1e-9).add_(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, alpha = ctx.saved_tensors
        total = alpha.dtype
        alpha = alpha.to(x.dtype)
        inverse = 1.0 / (alpha + 1e-9)
        slope = (2.0 * alpha * x).sin_()  # of sin^2(u) at u = alpha x
        grad_x = torch.addcmul(grad, grad, slope)
        by_alpha = slope.mul_(x).sub_((alpha * x).sin_().square_().mul_(inverse)).mul_(grad)
        return grad_x, by_alpha.sum((0, 2), keepdim=True, dtype=total) * inverse.to(total)


class Dropout(nn.Dropout):
    """nn.Dropout that draws its mask quickly on a CPU, where it costs a tenth of a training step.

    One random number serves four elements; the rate is exact to 2^-16.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of x (any shape) in training and scale the others by 1 / (1 - p)."""
        threshold = round(self.p * 2**16)
        if not (self.training and 0 < threshold < 2**16 and x.device.type == "cpu"):
            return super().forward(x)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        draws = words.view(torch.int16)[: x.numel()].view(x.shape)
        keep = draws >= threshold - 2**15
        return x * keep.to(x.dtype).div_(1.0 - self.p)


def wn_conv1d(*args, **kwargs) -> nn.Conv1d:
    """Return nn.Conv1d(*args, **kwargs) with weight normalisation and a bias that starts at 0."""
    conv = nn.Conv1d(*args, **kwargs)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return weight_norm(conv)


def wn_conv_transpose1d(*args, **kwargs) -> nn.ConvTranspose1d:
    """Return nn.ConvTranspose1d(*args, **kwargs) with weight normalisation."""
    return weight_norm(nn.ConvTranspose1d(*args, **kwargs))


class ResidualUnit(nn.Module):
    """DAC's residual unit: Snake, dilated convolution, Snake, 1x1 convolution, skip.

    Args:
        channels: C.
        dilation: of the first convolution.
        kernel_size: of the first convolution; odd, so that the length is kept.
        separable: make the first convolution a depthwise one followed by a pointwise one.
    """

    def __init__(self, channels: int, dilation: int = 1, kernel_size: int = 7, separable: bool = False) -> None:
        super().__init__()
        size = {
            "kernel_size": kernel_size,
            "dilation": dilation,
            "padding": (kernel_size - 1) * dilation // 2,
        }
        if separable:
            wide = [
                wn_conv1d(channels, channels, groups=channels, **size),
                wn_conv1d(channels, channels, kernel_size=1),
            ]
        else:
            wide = [wn_conv1d(channels, channels, **size)]
        self.reach = size["padding"]  # frames that an output looks at on either side
        self.block = nn.Sequential(Snake1d(channels), *wide, Snake1d(channels), wn_conv1d(channels, channels, 1))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Apply the unit.

        Args:
            x: (B, C, T), zero on padding.
            mask: (B, 1, T), 1 on valid frames and 0 on padding; None if all are valid.

        Returns:
            (B, C, T), zero on padding. Only the first convolution looks at neighbours, so that one
            mask at the end is enough.
        """
        y = self.block(x)
        return x + y if mask is None else x + y * mask
