# Copyright 2026 The hasrd authors
# Apache-2.0
"""Latents of a frozen encoder for a chunk of utterances."""

from __future__ import annotations

from typing import Iterator, Mapping

import numpy as np
import torch

from hasrd.codec.inference import inference_form
from hasrd.data.waves import wave_batches
from hasrd.encoder.output import num_tokens
from hasrd.errors import UserError
from hasrd.models.checkpoint import load_encoder

# Padded samples a batch: a minute.
BATCH_SAMPLES = 16000 * 60


class LatentWork:
    """One layer of a frozen encoder, utterance by utterance.

    Args:
        encoder_file: encoder.safetensors of stage 3.
        layer: Which layer; 0 is the CNN.
        ngpu: 0 computes on one thread of the CPU, so that the result does not depend on the number of processes.
        allow_import: See `load_encoder`.

    Raises:
        UserError: No such file or layer, or a class that is not allowed.
    """

    def __init__(self, encoder_file: str, layer: int, ngpu: int = 0, allow_import: bool = False):
        if not ngpu:
            torch.set_num_threads(1)
        _, front = load_encoder(encoder_file, allow_import=allow_import)
        self.device = torch.device("cuda" if ngpu else "cpu")
        self.front = front.to(self.device).requires_grad_(False)
        self.front["encoder"] = inference_form(self.front["encoder"])
        self.layer = layer
        encoder, frontend = front["encoder"], front["frontend"]
        if not 0 <= layer < encoder.num_layers:
            raise UserError(f"{encoder_file}: no layer {layer}: this encoder has layers 0 to {encoder.num_layers - 1}")
        self.dim = encoder.output_size
        self.sample_rate = frontend.sample_rate

    def num_tokens(self, num_samples: int) -> int:
        """Tokens of an utterance of so many samples."""
        return int(num_tokens(self.front["encoder"], self.front["frontend"].num_frames(num_samples)))

    def items(self, inputs: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield utterance and latents (T, D) float32, in no fixed order."""
        with torch.inference_mode():
            for utterances, waves, lengths in wave_batches(inputs, self.sample_rate, BATCH_SAMPLES):
                output = self.front(waves.to(self.device), lengths.to(self.device))
                latents = output.layers[self.layer].float().cpu().numpy()
                for row, (utterance, count) in enumerate(zip(utterances, output.lengths.tolist())):
                    yield utterance, latents[row, :count]
