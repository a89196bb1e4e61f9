# Copyright 2026 The hasrd authors
# Apache-2.0
"""The self-supervised encoders: 1D-CNN (HASRD, section 2.1) or 2D-CNN (its baseline), then Conformer."""

from __future__ import annotations

from typing import Any, Sequence

import torch
from torch import Tensor, nn

from hasrd.encoder.cnn import LogMelCNN
from hasrd.encoder.conformer import Conformer
from hasrd.encoder.conv2d import LogMelConv2d
from hasrd.encoder.encoder import Encoder
from hasrd.encoder.layers import length_mask
from hasrd.encoder.output import EncoderOutput


class FrontConformer(Encoder):
    """Convolutions, linear layer, layer norm without weights, Conformer; returns every layer.

    The norm brings layer 0 to the scale of the Conformer's layers, which end with a norm as well:
    in a sum of layers none drowns the others.

    Args:
        cnn: an encoder of one layer; its stride and input_window are the whole's.
        attention_dim: D.
        conformer: the other arguments of Conformer.
    """

    def __init__(self, cnn: Encoder, attention_dim: int, **conformer: Any) -> None:
        super().__init__()
        self.cnn = cnn
        self.linear = nn.Linear(cnn.output_size, attention_dim)
        self.norm = nn.LayerNorm(attention_dim, elementwise_affine=False)
        self.conformer = Conformer(attention_dim, **conformer)
        self.output_size = attention_dim
        self.num_layers = len(self.conformer.blocks) + 1
        self.stride, self.input_window = cnn.stride, cnn.input_window

    @property
    def input_dtype(self) -> torch.dtype:
        """What the features are rounded to: nothing, where the CNN of an inference takes them as they are."""
        return self.cnn.input_dtype or self.linear.weight.dtype

    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode feats (B, T, F) into L + 1 layers (B, T // stride, D)."""
        output = self.cnn(feats, lengths)
        mask = length_mask(output.lengths, output.last.shape[1])[..., None]
        x = self.norm(self.linear(output.last)) * mask
        return EncoderOutput((x, *self.conformer(x, output.lengths)), output.lengths)


class CNNConformer(FrontConformer):
    """HASRD's encoder: LogMelCNN, then Conformer.

    Args:
        input_size: mel bins F.
        cnn_channels: channels of the CNN.
        separable: depthwise separable residual units in the CNN.
        attention_dim: D. HASRD: 516 (BestRQ+) or 768.
        attention_heads: of the Conformer.
        linear_units: hidden size of its feed-forward layers.
        num_blocks: its blocks L; num_layers is L + 1.
        cnn_module_kernel: of its convolution modules.
        dropout_rate: see Conformer, as the next two.
        positional_dropout_rate: see Conformer.
        attention_dropout_rate: see Conformer.
    """

    def __init__(
        self,
        input_size: int = 80,
        cnn_channels: Sequence[int] = (256, 512, 1024),
        separable: bool = True,
        attention_dim: int = 768,
        attention_heads: int = 12,
        linear_units: int = 1024,
        num_blocks: int = 12,
        cnn_module_kernel: int = 31,
        dropout_rate: float = 0.1,
        positional_dropout_rate: float = 0.1,
        attention_dropout_rate: float = 0.0,
    ) -> None:
        super().__init__(
            LogMelCNN(input_size, cnn_channels, attention_dim, separable),
            attention_dim,
            attention_heads=attention_heads,
            linear_units=linear_units,
            num_blocks=num_blocks,
            cnn_module_kernel=cnn_module_kernel,
            dropout_rate=dropout_rate,
            positional_dropout_rate=positional_dropout_rate,
            attention_dropout_rate=attention_dropout_rate,
        )


class Conv2dConformer(FrontConformer):
    """The paper's "BestRQ (baseline)": LogMelConv2d, then Conformer.

    With the head of BEST-RQ (8192 targets) the defaults have 105,907,616 parameters, which is our
    reading of Table 3's 106.0 M.

    Args:
        input_size: mel bins F.
        cnn_channels: channels of the convolutions (SpeechBrain's 64 and 32).
        attention_dim: D.
        attention_heads: of the Conformer; SpeechBrain's 8, the paper does not say.
        linear_units: hidden size of its feed-forward layers.
        num_blocks: its blocks L; num_layers is L + 1.
        cnn_module_kernel: of its convolution modules.
        dropout_rate: see Conformer, as the next two; of the convolutions too.
        positional_dropout_rate: see Conformer.
        attention_dropout_rate: see Conformer.
    """

    def __init__(
        self,
        input_size: int = 80,
        cnn_channels: Sequence[int] = (64, 32),
        attention_dim: int = 512,
        attention_heads: int = 8,
        linear_units: int = 1024,
        num_blocks: int = 24,
        cnn_module_kernel: int = 31,
        dropout_rate: float = 0.1,
        positional_dropout_rate: float = 0.1,
        attention_dropout_rate: float = 0.0,
    ) -> None:
        super().__init__(
            LogMelConv2d(input_size, cnn_channels, dropout_rate),
            attention_dim,
            attention_heads=attention_heads,
            linear_units=linear_units,
            num_blocks=num_blocks,
            cnn_module_kernel=cnn_module_kernel,
            dropout_rate=dropout_rate,
            positional_dropout_rate=positional_dropout_rate,
            attention_dropout_rate=attention_dropout_rate,
        )
