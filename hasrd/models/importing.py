# Copyright 2026 The hasrd authors
# Apache-2.0
"""Encoders that others trained: which importer takes what, and statistics of their layers on some speech."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

import torch

from hasrd.codec.build import Front
from hasrd.config import read_json
from hasrd.data.waves import wave_batches
from hasrd.encoder.standardize import LayerStatistics
from hasrd.errors import UserError
from hasrd.models.import_hubert import load_hubert
from hasrd.models.import_whisper import load_whisper
from hasrd.models.installed import find_installed
from hasrd.progress import progress

# A folder of CTranslate2 has it, one of transformers does not.
CTRANSLATE2 = "model.bin"
# Padded samples a batch: half a minute.
BATCH_SAMPLES = 16000 * 30


def load_source(source: str, model_file: str, standardize: bool = False) -> tuple[dict[str, Any], Front]:
    """Load a trained encoder: (configuration as `save_encoder` takes it, modules in eval mode).

    Args:
        source: `package:<name>` of an installed package that carries a Whisper; a folder of a Whisper (transformers,
            CTranslate2); or what `load_hubert` takes.
        model_file: Name of an ESPnet experiment's weights.
        standardize: Make place for statistics of the layers (`measure_layers` sets them).

    Raises:
        UserError: No such model, or one that can't be imported.
    """
    path = Path(find_installed(source, CTRANSLATE2, "Whisper of CTranslate2"))
    if (path / CTRANSLATE2).is_file() or _model_type(path) == "whisper":
        return load_whisper(path, standardize)
    if standardize:
        raise UserError("--standardize: only Whisper's layers can be standardised")
    return load_hubert(str(source), model_file)


def measure_layers(front: Front, wavs: Mapping[str, str]) -> None:
    """Set the statistics of an encoder's layers to those of whole utterances.

    Args:
        front: Its encoder has statistics.
        wavs: Utterance to audio file; a few minutes of several speakers are enough.
    """
    statistics: LayerStatistics = front["encoder"].statistics
    # What is measured are the layers themselves.
    front["encoder"].statistics = None
    count, total, square = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    with torch.inference_mode():
        batches = wave_batches(wavs, front["frontend"].sample_rate, BATCH_SAMPLES)
        for _, waves, lengths in progress(batches, desc="statistics of the layers", unit="batches"):
            output = front(waves, lengths)
            # Zero on padding: it adds nothing to the sums.
            layers = torch.stack(output.layers).double()
            count += int(output.lengths.sum())
            total = total + layers.sum((1, 2))
            square = square + layers.square().sum((1, 2))
    statistics.set(count, total, square)
    front["encoder"].statistics = statistics


def _model_type(folder: Path) -> str | None:
    try:
        return read_json(folder / "config.json").get("model_type")
    except UserError:
        return None
