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
from hasrd.codec.build import build_front, construct
from hasrd.config import read_yaml
from hasrd.data.archive import write_archive
from hasrd.data.kaldi import DataDir, write_table
from hasrd.data.waves import wave_batches
from hasrd.errors import run_main
from hasrd.jobs.atomic import atomic_path
from hasrd.jobs.origin import Origin, why_stale, write_record
from hasrd.progress import progress

BATCH_SAMPLES = 16000 * 60


def predictions(
    exp_dir: Path, model_file: str, wavs: dict[str, str], seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield utterance and int32 (T, 2): target and prediction of each masked token.

    Args:
        exp_dir: Directory of the pre-training.
        model_file: Weights inside it.
        wavs: Utterance to audio file.
        seed: Of the masks.
    """
    config = read_yaml(exp_dir / "config.yaml")
    front = build_front(config)
    parts = torch.nn.ModuleDict(front)
    parts["loss"] = construct(
        config, "loss", loss.CHOICES, front["frontend"].output_size, front["encoder"].output_size
    )
    parts.load_state_dict(torch.load(exp_dir / model_file, map_location="cpu", weights_only=True))
    parts.eval()
    objective = parts["loss"]
    torch.manual_seed(seed)
    batches = wave_batches(wavs, front["frontend"].sample_rate, BATCH_SAMPLES)
    with torch.inference_mode():
        for utterances, waves, lengths in batches:
            feats, lengths = front["frontend"](waves, lengths)
            if "normalize" in front:
                feats, lengths = front["normalize"](feats, lengths)
            masked, mask = objective.mask(feats, lengths)
            answer = objective.head(front["encoder"](masked, lengths).last).argmax(dim=-1)
            pairs = torch.stack([objective.targets(feats), answer], dim=-1).to(torch.int32)
            for row, utterance in enumerate(utterances):
                yield utterance, pairs[row][mask[row]].numpy()


def main() -> None:
    """Predict on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exp_dir", required=True, type=Path, help="directory of the pre-training")
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside it")
    parser.add_argument("--data", required=True, help="data directory with wav.scp")
    parser.add_argument("--out", required=True, type=Path, help="folder for masked.ark and masked.scp")
    parser.add_argument("--seed", type=int, default=0, help="seed of the masks")
    args = parser.parse_args()
    data = DataDir.load(args.data)
    table = args.out / "masked.scp"
    files = {"the model": args.exp_dir / args.model_file, "its configuration": args.exp_dir / "config.yaml"}
    origin = Origin({"seed": args.seed}, files, {"the data": data.path / "wav.scp"})
    if not why_stale(table, origin):
        print(f"note: {table}: up to date, skipped")
        return
    table.unlink(missing_ok=True)
    record = origin.record()
    wavs = data.wavs
    items = progress(
        predictions(args.exp_dir, args.model_file, wavs, args.seed), total=len(wavs), desc="masked prediction"
    )
    archive = args.out / "masked.ark"
    with atomic_path(archive) as temporary:
        entries = write_archive(temporary, archive, items)
    write_table(table, entries)
    write_record(table, record)


if __name__ == "__main__":
    run_main(main)
