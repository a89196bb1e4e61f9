# Copyright 2026 The hasrd authors
# Apache-2.0
"""HASRD's self-supervised encoder: 1D-CNN, then Conformer (section 2.1)."""

from __future__ import annotations

from typing import Sequence

from torch import Tensor, nn

from hasrd.encoder.cnn import LogMelCNN
from hasrd.encoder.conformer import Conformer
from hasrd.encoder.layers import length_mask
from hasrd.encoder.output import EncoderOutput


class CNNConformer(nn.Module):
    """LogMelCNN, linear layer, layer norm without weights, Conformer; returns every layer.

    The norm brings layer 0 to the scale of the Conformer's layers, which end with a norm as well:
    in a sum of layers none drowns the others.

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
        super().__init__()
        self.cnn = LogMelCNN(input_size, cnn_channels, attention_dim, separable)
        self.linear = nn.Linear(attention_dim, attention_dim)
        self.norm = nn.LayerNorm(attention_dim, elementwise_affine=False)
        self.conformer = Conformer(
            attention_dim,
            attention_heads,
            linear_units,
            num_blocks,
            cnn_module_kernel,
            dropout_rate,
            positional_dropout_rate,
            attention_dropout_rate,
        )
        self.output_size = attention_dim
        self.num_layers = num_blocks + 1
        self.stride = self.cnn.stride
        self.input_window = self.cnn.input_window

    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode feats (B, T, F) into L + 1 layers (B, T // stride, D)."""
        output = self.cnn(feats, lengths)
        mask = length_mask(output.lengths, output.last.shape[1])[..., None]
        x = self.norm(self.linear(output.last)) * mask
        return EncoderOutput((x, *self.conformer(x, output.lengths)), output.lengths)
