# Copyright 2026 The hasrd authors
# Apache-2.0
"""A frozen encoder of stage 3 as a frontend of ESPnet's ASR task."""

from __future__ import annotations

import torch
from espnet2.asr.frontend.abs_frontend import AbsFrontend
from torch import nn

from hasrd.codec.checkpoint import frozen_front


class UpstreamFrontend(AbsFrontend):
    """Wave to one layer of a frozen encoder, or to a learned mix of all (HASRD Figure 2).

    Args:
        encoder_file: encoder.safetensors of stage 3.
        encoder_sha256: The hash that the file must have; None takes any.
        layer: A layer's number (0 is the CNN), or None for a learned convex combination of layer-normalised layers.
    """

    def __init__(self, encoder_file: str, encoder_sha256: str | None = None, layer: int | None = None):
        super().__init__()
        _, self.front = frozen_front(encoder_file, encoder_sha256)
        self.layer = layer
        if layer is None:
            self.layer_logits = nn.Parameter(torch.zeros(self.front["encoder"].module.num_layers))

    def output_size(self) -> int:
        """Size D of the encoder's layers."""
        return self.front["encoder"].module.output_size

    @property
    def layer_weights(self) -> torch.Tensor:
        """The mix's weights (num_layers,): positive, their sum is 1."""
        return self.layer_logits.softmax(dim=0)

    def forward(self, input: torch.Tensor, input_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Wave (B, N), lengths (B,) in samples, to (B, U, D) and lengths in tokens."""
        output = self.front(input, input_lengths)
        if self.layer is not None:
            return output.layers[self.layer], output.lengths
        # One scale for all, so that a weight says how much a layer is used (S3PRL's featurizer does the same).
        layers = torch.stack([nn.functional.layer_norm(x, x.shape[-1:]) for x in output.layers])
        return torch.einsum("l,lbud->bud", self.layer_weights.to(layers.dtype), layers), output.lengths
