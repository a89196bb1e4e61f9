# Copyright 2026 The hasrd authors
# Apache-2.0
"""Let a pre-trained model predict the masked tokens of a data set: what masked accuracy is scored on (stage 3)."""

from __future__ import annotations

import argparse
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
from hasrd.errors import run_main
from hasrd.jobs.atomic import atomic_path
from hasrd.jobs.lock import exclusive
from hasrd.jobs.origin import Origin, forget, why_stale, write_record
from hasrd.models.weights import building, load_strict, read_weights
from hasrd.progress import progress
from hasrd.registry import add_allow_import

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


def main() -> None:
    """Predict on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exp_dir", required=True, type=Path, help="directory of the pre-training")
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside it")
    parser.add_argument("--data", required=True, help="data directory with wav.scp")
    parser.add_argument("--out", required=True, type=Path, help="folder for masked.ark and masked.scp")
    parser.add_argument("--seed", type=int, default=0, help="seed of the masks")
    add_allow_import(parser, "the experiment")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with exclusive(args.out):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Write `masked.scp` and its archive into `args.out`, unless they are up to date."""
    data = DataDir.load(args.data)
    table = args.out / "masked.scp"
    files = {"the model": args.exp_dir / args.model_file, "its configuration": args.exp_dir / "config.yaml"}
    origin = Origin({"seed": args.seed}, files, {"the data": data.path / "wav.scp"})
    reason = why_stale(table, origin)
    if not reason:
        print(f"note: {table}: up to date, skipped")
        return
    if table.exists():
        print(f"note: {table}: made again: {reason}")
    forget(table)
    record = origin.record()
    wavs = data.wavs
    found = predictions(args.exp_dir, args.model_file, wavs, args.seed, args.allow_import)
    items = progress(found, total=len(wavs), desc="masked prediction")
    archive = args.out / "masked.ark"
    with atomic_path(archive) as temporary:
        entries = write_archive(temporary, archive, items)
    write_table(table, entries)
    write_record(table, record)


if __name__ == "__main__":
    run_main(main)
