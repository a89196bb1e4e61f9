# Copyright 2026 The hasrd authors
# Apache-2.0
"""Latents of a frozen encoder for a chunk of utterances."""

from __future__ import annotations

from typing import Iterator, Mapping

import numpy as np
import torch

from hasrd.codec.inference import inference_form
from hasrd.data.waves import wave_batches
from hasrd.encoder.output import EncoderOutput
from hasrd.errors import UserError
from hasrd.jobs.workers import worker_device
from hasrd.models.checkpoint import load_encoder

# Padded samples a batch: a minute.
BATCH_SAMPLES = 16000 * 60


class FrozenEncoder:
    """A frozen encoder with its frontend and normalisation, ready to run over data sets.

    Args:
        encoder_file: encoder.safetensors of stage 3.
        ngpu: 0 computes on one thread of the CPU, so that the result does not depend on the number of processes.
        allow_import: See `load_encoder`.

    Attributes:
        sample_rate: In Hz.
        frame_shift: Samples from token to token.
        num_layers: L; layer 0 is the CNN.
        size: D of a layer.

    Raises:
        UserError: No such file, or a class that is not allowed.
    """

    def __init__(self, encoder_file: str, ngpu: int = 0, allow_import: bool = False) -> None:
        _, front = load_encoder(encoder_file, allow_import=allow_import)
        self.encoder_file = encoder_file
        self.device = worker_device(ngpu)
        self.front = front.to(self.device).requires_grad_(False)
        encoder, self.frontend = front["encoder"], front["frontend"]
        self.sample_rate, self.frame_shift = self.frontend.sample_rate, self.frontend.frame_shift * encoder.stride
        self.num_layers, self.size = encoder.num_layers, encoder.output_size
        self.front["encoder"] = self.encoder = inference_form(encoder)

    def num_tokens(self, num_samples: int) -> int:
        """Tokens of an utterance of so many samples."""
        return int(self.encoder.num_tokens(self.frontend.num_frames(num_samples)))

    def check_layer(self, layer: int) -> int:
        """Return `layer`; UserError where the encoder has no such one."""
        if not 0 <= layer < self.num_layers:
            raise UserError(
                f"{self.encoder_file}: no layer {layer}: this encoder has layers 0 to {self.num_layers - 1}"
            )
        return layer

    def __call__(self, waves: torch.Tensor, lengths: torch.Tensor) -> EncoderOutput:
        """Layers of waves (B, N) with lengths (B,), on the encoder's device, without gradients."""
        with torch.inference_mode():
            return self.front(waves.to(self.device), lengths.to(self.device))


class LatentWork:
    """One layer of a frozen encoder, utterance by utterance.

    Args:
        encoder_file, ngpu, allow_import: As for FrozenEncoder.
        layer: Which layer; 0 is the CNN.

    Raises:
        UserError: No such file or layer, or a class that is not allowed.
    """

    def __init__(self, encoder_file: str, layer: int, ngpu: int = 0, allow_import: bool = False):
        self.encoder = FrozenEncoder(encoder_file, ngpu, allow_import)
        self.layer = self.encoder.check_layer(layer)
        self.dim, self.sample_rate = self.encoder.size, self.encoder.sample_rate
        self.num_tokens = self.encoder.num_tokens

    def items(self, inputs: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield utterance and latents (T, D) float32, in no fixed order."""
        for utterances, waves, lengths in wave_batches(inputs, self.sample_rate, BATCH_SAMPLES):
            output = self.encoder(waves, lengths)
            latents = output.layers[self.layer].float().cpu().numpy()
            for row, (utterance, count) in enumerate(zip(utterances, output.lengths.tolist())):
                yield utterance, latents[row, :count]
