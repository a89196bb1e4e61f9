# Copyright 2026 The hasrd authors
# Apache-2.0
"""Waves of a chunk of utterances as padded batches for a model."""

from __future__ import annotations

from typing import Iterator, Mapping

import torch

from hasrd.data.audio import read_audio
from hasrd.data.kaldi import line_of
from hasrd.errors import UserError


def batches(lengths: Mapping[str, int], limit: int) -> Iterator[list[str]]:
    """Cut utterances, longest first, into batches of at most `limit` padded samples (at least one utterance each)."""
    batch: list[str] = []
    for utterance in sorted(lengths, key=lambda utt: (-lengths[utt], utt)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > limit:
            yield batch
            batch = []
        batch.append(utterance)
    if batch:
        yield batch


def wave_batches(
    inputs: Mapping[str, str], sample_rate: int, max_samples: int, window: int = 0, table: str = ""
) -> Iterator[tuple[list[str], torch.Tensor, torch.Tensor]]:
    """Read audio and yield (utterances, waves (B, N), lengths (B,)); utterances of like length share a batch.

    Args:
        inputs: Utterance to audio file.
        sample_rate: What the files must have, in Hz.
        max_samples: Padded samples a batch (one utterance may have more).
        window: Samples of a frame; a file with fewer is refused.
        table: File in which the inputs stand (wav.scp), whose line is named with what is wrong.

    Raises:
        UserError: Audio that can't be used; names utterance and file.
    """
    waves = {}
    for utterance, path in inputs.items():
        try:
            waves[utterance] = torch.from_numpy(read_audio(path, sample_rate))
            if len(waves[utterance]) < window:
                raise UserError(f"{path}: {len(waves[utterance])} samples are less than one frame ({window})")
        except UserError as error:
            line = f"{line_of(table, utterance)}: " if table else ""
            raise UserError(f"{line}utterance '{utterance}': {error}") from None
    for batch in batches({utterance: len(wave) for utterance, wave in waves.items()}, max_samples):
        lengths = torch.tensor([len(waves[utterance]) for utterance in batch])
        padded = torch.nn.utils.rnn.pad_sequence([waves[u] for u in batch], batch_first=True)
        yield batch, padded, lengths
