# Copyright 2026 The hasrd authors
# Apache-2.0
"""From speech to latent frames: frontend, normalisation and encoder as one model, with its rates."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Callable

import torch
from torch import Tensor, nn

from hasrd.encoder.encoder import Encoder
from hasrd.encoder.frozen import Frozen
from hasrd.encoder.output import EncoderOutput
from hasrd.errors import UserError


@dataclass
class MaskedOutput(EncoderOutput):
    """What an encoder gives of masked features, (B, T, F) `feats` before masking, and the (B, U) bool `mask`."""

    feats: Tensor
    mask: Tensor


class SpeechEncoder(nn.Module):
    """Frontend, normalisation and encoder: speech (B, N) to the encoder's layers (B, U, D), one frame a token.

    Its tensors are named "frontend.", "normalize." and "encoder." in files of weights.

    Args:
        frontend: Wave (B, N), lengths (B,) to features (B, T, F), lengths (see `hasrd.frontend`). None where features
            come ready-made: they are the input then, lengths are in frames, and the model has no rates.
        normalize: Features, lengths to the same; None for none.
        encoder: Features, lengths to an EncoderOutput.
        encoder_dtype: Type of the features that the encoder gets.

    Attributes:
        num_layers: L, layers that are returned.
        output_size: D of every layer.
        sample_rate: Of the speech, in Hz.
        frame_shift: Samples from token to token.
        min_samples: Samples that the first token needs; shorter speech has no token.
    """

    def __init__(
        self,
        frontend: nn.Module | None,
        normalize: nn.Module | None,
        encoder: Encoder,
        encoder_dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.frontend, self.normalize, self.encoder = frontend, normalize, encoder
        self.encoder_dtype = encoder_dtype
        self.num_layers, self.output_size = encoder.num_layers, encoder.output_size
        if frontend is not None:
            self.sample_rate: int = frontend.sample_rate
            self.frame_shift: int = frontend.frame_shift * encoder.stride
            # A frontend that mirrors an utterance's ends may make several frames of fewer samples than they span.
            self.min_samples = bisect_left(range(self.span(encoder.input_window)), 1, key=self.num_tokens)

    def num_tokens(self, num_samples: int | Tensor) -> int | Tensor:
        """Return the tokens of so many samples (an int or a tensor of any shape)."""
        return self.encoder.num_tokens(self.frontend.num_frames(num_samples))

    def span(self, frames: int) -> int:
        """Return the samples that so many successive frames of the frontend see."""
        return self.frontend.window + (frames - 1) * self.frontend.frame_shift

    def check_layer(self, layer: int, where: str, hint: str = "") -> int:
        """Return `layer`, or raise a UserError that begins with `where` if there is no such layer."""
        if not (type(layer) is int and 0 <= layer < self.num_layers):
            raise UserError(f"{where}: no layer {layer}: this encoder has layers 0 to {self.num_layers - 1}{hint}")
        return layer

    def feats(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features (B, T, F) of a batch before their normalisation, and their lengths (B,) in frames."""
        return (wave, lengths) if self.frontend is None else self.frontend(wave, lengths)

    def forward(
        self, wave: Tensor, lengths: Tensor, mask: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    ) -> EncoderOutput:
        """Encode a batch; padding never changes an utterance's output, and outputs past its length are zero.

        Args:
            wave: (B, N) samples in [-1, 1].
            lengths: (B,) samples.
            mask: Normalised features (B, T, F), lengths to those that the encoder sees instead, and to the mask (B, U).

        Returns:
            `num_layers` tensors (B, num_tokens(N), D) and their lengths; with `mask` a `MaskedOutput`.

        Raises:
            UserError: The encoder's class gives another number of layers than it says.
        """
        feats, lengths = self.feats(wave, lengths)
        if self.normalize is not None:
            feats, lengths = self.normalize(feats, lengths)
        seen, masked = (feats, None) if mask is None else mask(feats, lengths)
        output = self.encoder(seen.to(self.encoder_dtype), lengths)
        if len(output.layers) != self.num_layers:
            name = type(getattr(self.encoder, "module", self.encoder)).__name__
            raise UserError(
                f"{name}: forward gives {len(output.layers)} layers, but its num_layers is {self.num_layers}: let them "
                "agree"
            )
        return output if mask is None else MaskedOutput(output.layers, output.lengths, feats, masked)

    def frozen(self) -> SpeechEncoder:
        """Return the same of `Frozen` parts: in no state dict, without gradients, always in eval mode."""
        parts = (self.frontend, self.normalize, self.encoder)
        return SpeechEncoder(*(None if part is None else Frozen(part) for part in parts), self.encoder_dtype)
