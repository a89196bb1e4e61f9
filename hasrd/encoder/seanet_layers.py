# Copyright 2026 The hasrd authors
# Apache-2.0
"""Layers that SEANet's encoder and decoder share.

SEANet as EnCodec (Défossez et al. 2022, section 3.1) and SpeechTokenizer (Zhang et al. 2023, section 3.1) use it, in
its non-causal form: ELU, weight-normed convolutions that see their input reflected at both ends, LSTM.
"""

from __future__ import annotations

from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from hasrd.encoder.tiles import in_tiles

# Tokens that go through the convolutions at once where no gradients are needed. At SpeechTokenizer's size 10 s are 42
# MB a tensor of the widest layer; 10 minutes in one piece would be 2.5 GB.
TILE = 512


class ReflectConv1d(nn.Module):
    """ELU, reflection at both ends, convolution; T frames give T / stride.

    Args:
        input_size: channels C.
        output_size: channels C'.
        kernel_size: of the convolution.
        stride: of the convolution.
        activate: apply ELU first.
    """

    def __init__(
        self, input_size: int, output_size: int, kernel_size: int, stride: int = 1, activate: bool = True
    ) -> None:
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(input_size, output_size, kernel_size, stride))
        start(self.conv, input_size * kernel_size)
        padding = kernel_size - stride
        # An odd one is longer on the left.
        self.left, self.right = padding - padding // 2, padding // 2
        self.activate = activate

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x (B, C, T) with lengths (B,) to (B, C', T / stride); the ends reflected are each item's own.

        What is past an item's length changes nothing before it, and is not zero in the output.
        """
        if self.left + self.right:
            x = reflect(x, lengths, self.left, self.right)
            # Reflection and ELU may change places: so no second copy is made.
            x = F.elu(x, inplace=True) if self.activate else x
        elif self.activate:
            x = F.elu(x)
        return self.conv(x)


def start(conv: nn.Conv1d | nn.ConvTranspose1d, inputs: int, gain: float = 1.0) -> None:
    """Set a weight-normed convolution's first weights so that it keeps the variance (LeCun et al. 1998); no bias.

    torch's own lose two thirds of the variance a layer and add a bias that is larger than speech in the first layer
    already. Measured with 16 channels and D = 128: a fresh encoder's output varied by 0.001 over the frames, around a
    mean of 0.05 that each step of AdamW with 5e-4 moved by 0.2 and more. So all frames got one entry of each codebook,
    and even without a quantizer the mel distance was that of a constant spectrum after 200 steps (4.9). With the
    variance kept, 0.1 around 0.03, it was 3.5 after 50 steps with the codebooks.

    Args:
        conv: a convolution.
        inputs: values that one output value is a sum over.
        gain: standard deviation of the output for an input of 1.
    """
    with torch.no_grad():
        conv.weight = torch.randn_like(conv.weight) * (gain * inputs**-0.5)
        conv.bias.zero_()


def reflect(x: Tensor, lengths: Tensor, left: int, right: int) -> Tensor:
    """Continue each item of a batch at both ends by its reflection, without a repetition of the end itself.

    An item that is too short for that is continued by zeros first (EnCodec's).

    Args:
        x: (B, C, T).
        lengths: (B,) frames of each item, from which nothing is read on the host.
        left: frames to add before the first.
        right: frames to add behind each item's last.

    Returns:
        (B, C, left + T + right); item b stands in the first left + lengths[b] + right frames.
    """
    lengths = lengths[:, None]
    behind = lengths + torch.arange(right, device=x.device)
    ends = lengths.clamp(min=max(left, right) + 1)
    before = torch.arange(left, 0, -1, device=x.device).expand(len(x), -1)
    # Where zeros continue an item, behind < ends, its frame itself is one that the item does not have.
    source = torch.cat([before, torch.where(behind < ends, behind, 2 * (ends - 1) - behind)], dim=1)
    place = source.clamp(max=x.shape[2] - 1)[:, None].expand(-1, x.shape[1], -1)
    values = x.gather(2, place).masked_fill((source >= lengths)[:, None], 0.0)
    padded = torch.cat([values[..., :left], x, x.new_zeros(*x.shape[:2], right)], dim=2)
    return padded.scatter_(2, (left + behind)[:, None].expand(-1, x.shape[1], -1), values[..., left:])


class SEANetUnit(nn.Module):
    """Residual unit: convolution of kernel 3 to half the channels, 1x1 convolution back, 1x1 convolution as skip.

    SpeechTokenizer has one a stage, so that the dilation of EnCodec's further ones plays no part.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow = ReflectConv1d(channels, channels // 2, 3)
        self.widen = ReflectConv1d(channels // 2, channels, 1)
        self.skip = ReflectConv1d(channels, channels, 1, activate=False)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Apply the unit to x (B, C, T) with lengths (B,)."""
        return self.skip(x, lengths) + self.widen(self.narrow(x, lengths), lengths)


class ResidualLSTM(nn.Module):
    """LSTM with a skip connection around all of its layers.

    Two directions are two LSTMs, of which the second reads each item from its own end: padding is behind an item for
    both, where nothing valid sees it. Packed sequences do the same, but on a CPU with a backward pass of quadratic
    time, and on a GPU the host would have to wait for the lengths.

    Args:
        size: C, also the hidden size.
        num_layers: LSTM layers.
        bidirectional: read in both directions, which doubles the output.
    """

    def __init__(self, size: int, num_layers: int, bidirectional: bool) -> None:
        super().__init__()
        self.directions = 2 if bidirectional else 1
        self.layers = nn.ModuleList(
            nn.ModuleList(
                nn.LSTM(self.directions * size if layer else size, size, batch_first=True)
                for _ in range(self.directions)
            )
            for layer in range(num_layers)
        )
        self.output_size = self.directions * size

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x (B, T, C) with lengths (B,) to (B, T, C * directions)."""
        lengths = lengths[:, None]
        time = torch.arange(x.shape[1], device=x.device)
        mirror = torch.where(time < lengths, lengths - 1 - time, time)[..., None]
        y = x
        for lstms in self.layers:
            forward = lstms[0](y)[0]
            if self.directions == 1:
                y = forward
                continue
            backward = lstms[1](y.gather(1, mirror.expand_as(y)))[0]
            y = torch.cat([forward, backward.gather(1, mirror.expand_as(backward))], dim=2)
        return y + torch.cat([x] * self.directions, dim=2)


def tokens_in_tiles(
    layers: Callable[[Tensor, Tensor], Tensor], x: Tensor, lengths: Tensor, tokens: int, context: int, up: int = 1
) -> Tensor:
    """Return layers(x, lengths), of `TILE` tokens at a time where no gradients are needed.

    Args:
        layers: x (B, C, T) and lengths (B,) to (B, C', T'), with convolutions alone.
        x: (B, C, T).
        lengths: (B,) frames of x.
        tokens: T and T' are multiples of it.
        context: tokens that a token's output depends on, on each side.
        up: frames T' of a token.
    """
    if torch.is_grad_enabled():
        return layers(x, lengths)
    frames = x.shape[2] // tokens

    def step(low: int, high: int) -> Tensor:
        part = x[..., low * frames : high * frames]
        return layers(part, (lengths - low * frames).clamp(0, part.shape[2])).mT

    return in_tiles(step, tokens, TILE, context, up=up).mT
