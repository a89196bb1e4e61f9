# Copyright 2026 The hasrd authors
# Apache-2.0
"""A speech teacher: one layer of a trained encoder, or the mean of all."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import Tensor, nn

from hasrd.codec.inference import inference_form
from hasrd.encoder.speech_encoder import SpeechEncoder
from hasrd.models.checkpoint import load_encoder
from hasrd.models.importing import load_source
from hasrd.models.weights import SAFETENSORS, read_header
from hasrd.teacher.source import ESPNET_WEIGHTS, content_hash

MEAN = "mean"


class SpeechTeacher(nn.Module):
    """HuBERT or another trained encoder, or one of stage 3. It is frozen, and nothing of it is in a state dict.

    Args:
        source: encoder.safetensors (stage 3, hasrd import-encoder), or what hasrd import-encoder takes: a folder of
            transformers or CTranslate2, a pipeline of torchaudio, a file of its tensors, an ESPnet experiment.
        layer: A layer's number (0 is what enters the first block), or "mean" of all of them.
        model_file: Name of an ESPnet experiment's weights.
        allow_import: Import classes that the file of an encoder names by import path.

    Attributes:
        size, sample_rate, frame_shift, first_centre, model_hash: See the package.

    Raises:
        UserError: No such model or layer, or a class that is not allowed.
    """

    def __init__(
        self,
        source: str,
        layer: str | int = MEAN,
        model_file: str = ESPNET_WEIGHTS,
        allow_import: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder = _load(source, model_file, allow_import).frozen()
        self.layer = layer if layer == MEAN else encoder.check_layer(layer, source, f", or give {MEAN}")
        self.size: int = encoder.output_size
        self.sample_rate: int = encoder.sample_rate
        self.frame_shift: float = encoder.frame_shift / encoder.sample_rate
        self.first_centre: float = encoder.min_samples / 2 / encoder.sample_rate
        self._named = source, model_file

    @functools.cached_property
    def model_hash(self) -> str:
        """Hash of the weights."""
        return content_hash(*self._named)

    def num_frames(self, num_samples: int) -> int:
        """Frames of a wave of so many samples."""
        return self.encoder.num_tokens(num_samples)

    def forward(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waves (B, N), lengths (B,) in samples, to features (B, T, D), zero on padding, and their lengths (B,)."""
        output = self.encoder(waves, lengths)
        if self.layer != MEAN:
            return output.layers[self.layer].float(), output.lengths
        total = output.layers[0].float()
        for layer in output.layers[1:]:
            total = total + layer.float()
        return total / len(output.layers), output.lengths

    def ready(self, device: str | torch.device) -> SpeechTeacher:
        """Move it to a device for good, in the form that is fastest there; returns it."""
        self.to(device)
        self.encoder.encoder = inference_form(self.encoder.encoder)
        return self


def _load(source: str, model_file: str, allow_import: bool) -> SpeechEncoder:
    if Path(source).suffix == SAFETENSORS and Path(source).is_file() and "config" in read_header(source):
        return load_encoder(source, allow_import=allow_import)[1]
    return load_source(source, model_file)[1]
