# Copyright 2026 The hasrd authors
# Apache-2.0
"""The shared layers for inference on a CPU: frames (T, C) of one utterance, channels last.

In this layout 1x1, strided and transposed convolutions are matrix products without a transposition, and a depthwise
convolution that gets its zeros in its input is ten times as fast and more. Three passes over memory are saved besides:
a Snake is made as alpha times it, u + sin(u)^2 with u = alpha x, and the weights behind it are divided by alpha; the
biases in front of a residual stream's additions are added only where the stream is looked at, so that a stream here is
the one of `hasrd.encoder.layers` minus a `shift` (C,).

The layers are made from trained ones, with or without weight norm, and cannot be trained.
"""

from __future__ import annotations

import functools
import math
from typing import Callable

import torch
from torch import Tensor, nn

from hasrd.encoder.depthwise import depthwise_valid
from hasrd.encoder.layers import ResidualUnit, Snake1d

# Frames of a tile, at the highest rate in it. What works on it should fit the caches: measured.
TILE = 4096
# sin(pi v)^2 / v^2 as a polynomial of v^2 in [0, 1/4], highest power first, within 3e-8: Chebyshev interpolation.
SQUARE_SINE = (
    -3.356108647248772,
    13.049796189333634,
    -30.1013995493816,
    42.72719040929976,
    -32.46967098613059,
    9.869604310777056,
)


class Scratch:
    """Memory that the layers of one call share: what a layer writes there is gone with the next.

    Args:
        fused: let torch.compile join what is done element by element.
    """

    def __init__(self, fused: bool = False) -> None:
        self.fused = fused
        self._arrays: dict[str, Tensor] = {}

    def rows(self, name: str, number: int, channels: int, like: Tensor) -> Tensor:
        """Return (number, channels) of the type of `like`, not initialised."""
        size = number * channels
        flat = self._arrays.get(name)
        if flat is None or flat.numel() < size or flat.device != like.device:
            flat = self._arrays[name] = like.new_empty(size)
        return flat[:size].view(number, channels)

    def padded(self, left: int, number: int, right: int, channels: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return (left + number + right, channels), zero on both sides, and its middle."""
        whole = self.rows("padded", left + number + right, channels, like)
        whole[:left] = 0.0
        whole[left + number :] = 0.0
        return whole, whole[left : left + number]


class FramesForm(nn.Module):
    """Base of a whole network in this layout."""

    fused = False

    def fuse(self) -> None:
        """Let torch.compile join what is done element by element, at the first use."""
        self.fused = True


class ScaledSnake(nn.Module):
    """alpha times a Snake.

    Args:
        snake: the trained one.
        shift: (C,), of the stream.
        dtype: of the frames.
    """

    def __init__(self, snake: Snake1d, shift: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        scale = alpha_of(snake)
        self.register_buffer("scale", scale.to(dtype))
        self.register_buffer("offset", (scale * shift).to(dtype))

    def forward(self, x: Tensor, out: Tensor, scratch: Scratch) -> None:
        """Map x (T, C) to out (T, C)."""
        if scratch.fused:
            compiled(_snake_of_stream)(x, self.scale, self.offset, out)
        else:
            torch.addcmul(self.offset, x, self.scale, out=out)
            add_square_sine(out, scratch)


class Convolution(nn.Module):
    """A convolution as one matrix product a tap.

    Args:
        weight: (O, I, K), float64.
        bias: (O,) or None.
        dilation: of the kernel.
        dtype: of the frames.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dilation: int, dtype: torch.dtype) -> None:
        super().__init__()
        outputs, self.inputs, self.kernel = weight.shape
        self.dilation = dilation
        # A product with one input channel would only move memory: all taps at once.
        self.at_once = self.inputs == 1 or self.kernel == 1
        taps = weight.permute(2, 1, 0)
        taps = taps.reshape(1, -1, outputs) if self.at_once else taps
        self.register_buffer("taps", taps.to(dtype, memory_format=torch.contiguous_format))
        self.register_buffer("bias", None if bias is None else bias.to(dtype))

    @property
    def reach(self) -> int:
        """Frames that an output looks at on either side."""
        return self.kernel // 2 * self.dilation

    def forward(self, padded: Tensor, out: Tensor) -> Tensor:
        """Map (T + 2 reach, I) to out (T, O), and return it."""
        frames = len(out)
        if self.at_once:
            padded = padded.unfold(0, self.kernel, self.dilation).reshape(frames, -1) if self.kernel > 1 else padded
        for k, tap in enumerate(self.taps):
            x = padded[k * self.dilation :][:frames]
            if k:
                out.addmm_(x, tap)
            elif self.bias is None:
                torch.mm(x, tap, out=out)
            else:
                torch.addmm(self.bias, x, tap, out=out)
        return out


class FramesUnit(nn.Module):
    """ResidualUnit.

    Args:
        unit: the trained one.
        shift: (C,), of the stream that comes in; the one that goes out has the last convolution's bias more.
        dtype: of the frames.
    """

    def __init__(self, unit: ResidualUnit, shift: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        snake, *wide, middle, last = unit.block
        self.snake = ScaledSnake(snake, shift, dtype)
        alpha, beta = alpha_of(snake), alpha_of(middle)
        first = weight_of(wide[0])
        self.dilation = wide[0].dilation[0]
        self.reach = first.shape[2] // 2 * self.dilation
        depthwise = None
        if len(wide) == 2:
            depthwise = first / alpha[:, None, None]
            weight = weight_of(wide[1])
            bias = weight[..., 0] @ wide[0].bias.double() + wide[1].bias.double()
        else:
            weight, bias = first / alpha[:, None], wide[0].bias.double()
        self.register_buffer("depthwise", None if depthwise is None else depthwise.to(dtype))
        dilation = self.dilation if depthwise is None else 1
        self.wide = Convolution(weight * beta[:, None, None], bias * beta, dilation, dtype)
        self.register_buffer("last", (weight_of(last)[..., 0] / beta).t().to(dtype).contiguous())

    def forward(self, x: Tensor, scratch: Scratch) -> Tensor:
        """Apply the unit to x (T, C) in place, and return it."""
        frames, channels = x.shape
        padded, middle = scratch.padded(self.reach, frames, self.reach, channels, x)
        self.snake(x, middle, scratch)
        if self.depthwise is not None:
            padded = depthwise_valid(padded, self.depthwise, self.dilation)
        y = self.wide(padded, scratch.rows("wide", frames, channels, x))
        add_square_sine(y, scratch)
        return x.addmm_(y, self.last)


def add_square_sine(u: Tensor, scratch: Scratch) -> None:
    """Add sin(u)^2 to u (T, C), in place."""
    if scratch.fused:
        compiled(_add_square_sine)(u)
        return
    sine = torch.sin(u, out=scratch.rows("sine", *u.shape, u))
    u.addcmul_(sine, sine)


@functools.cache
def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile a function of arrays of any size once."""
    return torch.compile(function, dynamic=True)


def _snake_of_stream(x: Tensor, scale: Tensor, offset: Tensor, out: Tensor) -> None:
    u = x * scale + offset
    out.copy_(u + square_sine(u))


def _add_square_sine(u: Tensor) -> None:
    u.add_(square_sine(u))


def square_sine(u: Tensor) -> Tensor:
    """sin(u)^2 to 1e-7, in twelve operations of arithmetic: where these are joined, a third of the time of the sine.

    The remainder v of u / pi lies in [-1/2, 1/2], and sin(pi v)^2 is a polynomial of v^2.
    """
    turns = u * (1.0 / math.pi)
    w = (turns - turns.round()).square()
    total = torch.full_like(w, SQUARE_SINE[0])
    for coefficient in SQUARE_SINE[1:]:
        total = total * w + coefficient
    return total * w


def alpha_of(snake: Snake1d) -> Tensor:
    """The trained alpha (C,) in float64, kept from 0, where Snake is the identity: weights are divided by it."""
    alpha = snake.alpha.detach().double().flatten()
    return torch.where(alpha.abs() < 1e-6, 1e-6, alpha)


def weight_of(conv: nn.Module) -> Tensor:
    """The weight in float64, without its norm."""
    with torch.no_grad():
        return conv.weight.detach().double()


def shift_of(conv: nn.Module) -> Tensor:
    """The bias in float64: the shift of a stream that starts behind this convolution."""
    return conv.bias.detach().double()
