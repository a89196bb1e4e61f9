# Copyright 2026 The hasrd authors
# Apache-2.0
"""DAC's encoder on the raw waveform."""

from __future__ import annotations

from typing import Sequence

from hasrd.encoder.cnn import ConvEncoder


class DACEncoder(ConvEncoder):
    """Encoder of the Descript Audio Codec (Kumar et al. 2023), sizes of its 16 kHz model at 512x.

    Args:
        input_size: 1, the samples of the raw frontend.
        channels: of the first convolution; every block doubles them.
        strides: of the blocks (HASRD's 512x setting).
        output_size: D.
    """

    def __init__(
        self,
        input_size: int = 1,
        channels: int = 64,
        strides: Sequence[int] = (2, 4, 8, 8),
        output_size: int = 1024,
    ) -> None:
        widths = [channels * 2**i for i in range(len(strides) + 1)]
        super().__init__(input_size, widths, strides, output_size, first_kernel=7)
