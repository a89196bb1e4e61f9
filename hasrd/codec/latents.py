# Copyright 2026 The hasrd authors
# Apache-2.0
"""Latents of a frozen encoder for a chunk of utterances."""

from __future__ import annotations

from typing import Iterator, Mapping

import numpy as np
import torch

from hasrd.codec.inference import inference_form
from hasrd.data.waves import wave_batches
from hasrd.encoder.frozen import Frozen
from hasrd.encoder.output import EncoderOutput
from hasrd.jobs.workers import worker_device
from hasrd.models.checkpoint import load_encoder

# Padded samples a batch: a minute.
BATCH_SAMPLES = 16000 * 60


class FrozenEncoder(Frozen):
    """A `SpeechEncoder` of a file, frozen and ready to run over data sets; its rates and sizes are read here too.

    Args:
        encoder_file: encoder.safetensors of stage 3.
        ngpu: 0 computes on one thread of the CPU, so that the result does not depend on the number of processes.
        allow_import: See `load_encoder`.

    Raises:
        UserError: No such file, or a class that is not allowed.
    """

    def __init__(self, encoder_file: str, ngpu: int = 0, allow_import: bool = False) -> None:
        super().__init__(load_encoder(encoder_file, allow_import=allow_import)[1])
        self.device = worker_device(ngpu)
        self.to(self.device)
        self.module.encoder = inference_form(self.module.encoder)

    def forward(self, waves: torch.Tensor, lengths: torch.Tensor) -> EncoderOutput:
        """Layers of waves (B, N) with lengths (B,), on the encoder's device, without gradients."""
        with torch.inference_mode():
            return self.module(waves.to(self.device), lengths.to(self.device))

    def latents(self, inputs: Mapping[str, str], layer: int) -> Iterator[tuple[str, np.ndarray]]:
        """Yield utterance and one layer's latents (T, D) float32 of audio files, in no fixed order."""
        for utterances, waves, lengths in wave_batches(inputs, self.sample_rate, BATCH_SAMPLES):
            output = self(waves, lengths)
            latents = output.layers[layer].float().cpu().numpy()
            for row, (utterance, count) in enumerate(zip(utterances, output.lengths.tolist())):
                yield utterance, latents[row, :count]
