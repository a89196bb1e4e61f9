# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the stages that run a trained codec over a data set have in common: options, model, batches, chunks."""

from __future__ import annotations

import argparse
import functools
import os
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

import torch

from hasrd.codec.inference import prepare
from hasrd.codec.latents import BATCH_SAMPLES
from hasrd.codec.token_file import TokenFacts
from hasrd.config import read_json
from hasrd.data.audio import write_audio
from hasrd.data.kaldi import DataDir, read_table
from hasrd.data.waves import wave_batches
from hasrd.errors import UserError
from hasrd.jobs.chunks import ChunkWork, parse_shard, run_in_chunks
from hasrd.jobs.digest import sha256
from hasrd.models.checkpoint import load_codec


class CodecWork:
    """Base of what is done with one chunk of utterances (`make_work` of `run_in_chunks`)."""

    def __init__(self, exp_dir: str, model_file: str, ngpu: int) -> None:
        if not ngpu:
            torch.set_num_threads(1)
        self.device = torch.device("cuda" if ngpu else "cpu")
        self.codec = prepare(load_codec(exp_dir, model_file).to(self.device))

    def batches(self, inputs: Mapping[str, str]) -> Iterator[tuple[list[str], torch.Tensor, torch.Tensor]]:
        """Yield (utterances, waves (B, N), lengths (B,)) on the device."""
        for utterances, waves, lengths in wave_batches(inputs, self.codec.sample_rate, BATCH_SAMPLES):
            yield utterances, waves.to(self.device), lengths.to(self.device)


def options(parser: argparse.ArgumentParser, codec_needed: bool = True) -> argparse.Namespace:
    """Add the options of such a stage to `parser` and read the command line."""
    parser.add_argument("--exp_dir", required=codec_needed, help="directory of the trained codec")
    parser.add_argument("--model_file", default="latest.pth", help="weights inside it")
    parser.add_argument("--data", required=True, help="data directory")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--nj", type=int, default=1, help="processes")
    parser.add_argument("--ngpu", type=int, default=0, help="1: compute on the GPU, in one process")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="do part I of N (for the jobs of an array)")
    return parser.parse_args()


def weights_sha256(args: argparse.Namespace) -> str:
    """Hash of the weights that the options name."""
    return sha256(Path(args.exp_dir) / args.model_file)


def write_speech(path: Path, wave: torch.Tensor, sample_rate: int) -> None:
    """Write samples (N,) as 16-bit FLAC; what is outside of [-1, 1] is clipped."""
    path.parent.mkdir(exist_ok=True)
    write_audio(path, wave, sample_rate)


def codes_are_current(args: argparse.Namespace, folder: Path) -> bool:
    """Say whether stage 6 has left in `folder` the codes that the weights give for the data set.

    They are older than none of its audio, and of the same utterances.
    """
    data, scp = DataDir.load(args.data), folder / "codes.scp"
    try:
        if read_json(folder / "codes.json", TokenFacts).model != weights_sha256(args):
            return False
        made = os.stat(scp).st_mtime_ns
        inputs = [data.path / "wav.scp", *data.wavs.values()]
        return all(os.stat(path).st_mtime_ns <= made for path in inputs) and set(read_table(scp)) == set(data.wavs)
    except (OSError, UserError):
        return False


def run(
    args: argparse.Namespace,
    work: Callable[..., ChunkWork],
    what: str,
    made_from: Sequence[Path],
    chunk_size: int = 100,
    inputs: Mapping[str, str] | None = None,
    **facts: Any,
) -> list[Path] | None:
    """Run `work` over the data set in chunks; args and result as those of `run_in_chunks`.

    Args:
        work: Takes the experiment's folder, the name of the weights and the number of GPUs.
        what: What is made, for the progress.
        inputs: Utterance to what is worked on; None: its audio.
        facts: What shapes the result beside the weights and the inputs.
    """
    return run_in_chunks(
        DataDir.load(args.data).wavs if inputs is None else inputs,
        args.out / "chunks",
        functools.partial(work, args.exp_dir, args.model_file, args.ngpu),
        options=dict(weights=weights_sha256(args), **facts),
        nj=1 if args.ngpu else args.nj,
        shard=parse_shard(args.shard),
        chunk_size=chunk_size,
        desc=f"{what} of {args.data}",
        made_from=made_from,
    )
