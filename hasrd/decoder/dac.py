# Copyright 2026 The hasrd authors
# Apache-2.0
"""DAC's decoder of transposed convolutions."""

from __future__ import annotations

import math
from typing import Sequence

from torch import Tensor, nn

from hasrd.encoder.layers import ResidualUnit, Snake1d, wn_conv1d, wn_conv_transpose1d


class DACDecoder(nn.Module):
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
            layers += [
                ResidualUnit(channels, dilation=dilation, separable=separable)
                for dilation in (1, 3, 9)
            ]
        layers += [Snake1d(channels), wn_conv1d(channels, 1, kernel_size=7, padding=3), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        """Decode latent (B, U, D) to a waveform (B, U * hop), float32 in [-1, 1]."""
        return self.layers(latent.transpose(1, 2)).squeeze(1).float()
