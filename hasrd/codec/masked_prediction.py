# Copyright 2026 The hasrd authors
# Apache-2.0
"""Let a pre-trained model predict the masked tokens of a data set: what masked accuracy is scored on (stage 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import numpy as np
import torch

from hasrd import loss
from hasrd.codec.build import build_speech_encoder, construct
from hasrd.config import read_yaml
from hasrd.data.archive import write_archive
from hasrd.data.kaldi import DataDir, write_table
from hasrd.data.waves import wave_batches
from hasrd.jobs.atomic import atomic_path
from hasrd.jobs.lock import exclusive
from hasrd.jobs.origin import Origin, is_current, renew, write_record
from hasrd.models.weights import building, load_strict, read_weights
from hasrd.progress import progress

BATCH_SAMPLES = 16000 * 60


def predictions(
    exp_dir: Path, model_file: str, wavs: dict[str, str], seed: int, allow_import: bool = False
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield utterance and int32 (T, 2): target and prediction of each masked token.

    Args:
        exp_dir: Directory of the pre-training.
        model_file: Weights inside it.
        wavs: Utterance to audio file.
        seed: Of the masks.
        allow_import: See `hasrd.registry.resolve`.

    Raises:
        UserError: A missing file, a class that is not allowed, or weights that don't fit the configuration.
    """
    advice = "run the pre-training (stage 3) to its end"
    config = read_yaml(exp_dir / "config.yaml", advice=advice)
    with building(exp_dir / "config.yaml"):
        speech_encoder = build_speech_encoder(config, allow_import=allow_import)
        sizes = speech_encoder.frontend.output_size, speech_encoder.output_size
        objective = construct(config, "loss", loss.CHOICES, *sizes, allow_import=allow_import)
    parts = torch.nn.ModuleDict({**dict(speech_encoder.named_children()), "loss": objective}).eval()
    load_strict(parts, read_weights(exp_dir / model_file, advice), exp_dir / model_file)
    torch.manual_seed(seed)
    batches = wave_batches(wavs, speech_encoder.sample_rate, BATCH_SAMPLES)
    with torch.inference_mode():
        for utterances, waves, lengths in batches:
            output = speech_encoder(waves, lengths, objective.mask)
            answer = objective.head(output.last).argmax(dim=-1)
            pairs = torch.stack([objective.targets(output.feats), answer], dim=-1).to(torch.int32)
            for row, utterance in enumerate(utterances):
                yield utterance, pairs[row][output.mask[row]].numpy()


def predict_masked(
    exp_dir: Path, model_file: str, data_dir: str, out: Path, seed: int, allow_import: bool = False
) -> None:
    """Write `masked.scp` and its archive into `out`, unless they are up to date.

    Args:
        data_dir: Data directory with wav.scp.
        The others: See `predictions`.

    Raises:
        UserError: Another process writes there, or as of `predictions`.
    """
    out.mkdir(parents=True, exist_ok=True)
    with exclusive(out):
        data = DataDir.load(data_dir)
        table, archive = out / "masked.scp", out / "masked.ark"
        files = {"the model": exp_dir / model_file, "its configuration": exp_dir / "config.yaml"}
        origin = Origin({"seed": seed}, files, {"the data": data.path / "wav.scp"})
        if is_current(table, origin, again=f"note: {table}: made again"):
            print(f"note: {table}: up to date, skipped")
            return
        record = renew(table, origin)
        found = predictions(exp_dir, model_file, data.wavs, seed, allow_import)
        with atomic_path(archive) as temporary:
            entries = write_archive(temporary, archive, progress(found, total=len(data.wavs), desc="masked prediction"))
        write_table(table, entries)
        write_record(table, record)
