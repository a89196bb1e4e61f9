# Copyright 2026 The hasrd authors
# Apache-2.0
"""DAC's decoder of transposed convolutions."""

from __future__ import annotations

import math
from typing import Sequence

import torch
from torch import Tensor, nn

from hasrd.decoder.decoder import Decoder
from hasrd.encoder.layers import ResidualUnit, Snake1d, wn_conv1d, wn_conv_transpose1d
from hasrd.encoder.tiles import CHUNK, in_tiles


class DACDecoder(Decoder):
    """Latents to waveform by transposed convolutions and dilated residual units.

    Kumar et al. 2023 (DAC); sizes: HASRD section 3. The number of channels halves with each
    upsampling.

    Args:
        input_size: D.
        channels: of the first convolution.
        strides: upsampling factors, each at least 2; their product is the samples of a token.
        separable: depthwise and pointwise convolutions in the residual units (HASRD section 2.1).

    Raises:
        ValueError: A stride below 2.
    """

    def __init__(
        self,
        input_size: int,
        channels: int = 1536,
        strides: Sequence[int] = (8, 8, 4, 2),
        separable: bool = False,
    ) -> None:
        super().__init__()
        if min(strides) < 2:
            raise ValueError(f"strides {tuple(strides)}: each must be at least 2")
        self.hop = math.prod(strides)
        layers: list[nn.Module] = [wn_conv1d(input_size, channels, kernel_size=7, padding=3)]
        for stride in strides:
            # An odd stride needs one sample more to give exactly `stride` a frame.
            upsample = wn_conv_transpose1d(
                channels,
                channels // 2,
                kernel_size=2 * stride,
                stride=stride,
                padding=math.ceil(stride / 2),
                output_padding=stride % 2,
            )
            layers += [Snake1d(channels), upsample]
            channels //= 2
            layers += [ResidualUnit(channels, dilation=dilation, separable=separable) for dilation in (1, 3, 9)]
        layers += [Snake1d(channels), wn_conv1d(channels, 1, kernel_size=7, padding=3), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    @property
    def halo(self) -> int:
        """Tokens that a sample looks at on either side, at most."""
        reach = 0
        for layer in reversed(self.layers):
            if isinstance(layer, nn.ConvTranspose1d):
                reach = reach // layer.stride[0] + 2
            elif isinstance(layer, nn.Conv1d):
                reach += layer.padding[0]
            else:
                reach += getattr(layer, "reach", 0)
        return reach

    def forward(self, latent: Tensor) -> Tensor:
        """Decode latent (B, U, D) to a waveform (B, U * hop), float32 in [-1, 1].

        Under autocast, too, the samples are made in float32: the last convolution and tanh. In bfloat16 they would have
        8 bits, a noise that discriminators hear.
        """
        body, end = self.layers[:-2], self.layers[-2:]

        def chunk(low: int, high: int) -> Tensor:
            x = body(latent[:, low:high].mT)
            with torch.autocast(x.device.type, enabled=False):
                return end(x.to(end[0].bias.dtype)).mT.float()

        tokens = latent.shape[1]
        size = tokens if torch.is_grad_enabled() else CHUNK
        return in_tiles(chunk, tokens, size, self.halo, up=self.hop).squeeze(2)
