# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the stages that run a trained codec over a data set have in common: options, model, batches, chunks."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

import torch

from hasrd.codec.build import PARTS
from hasrd.codec.inference import prepare
from hasrd.codec.latents import BATCH_SAMPLES
from hasrd.config import read_yaml
from hasrd.data.audio import write_audio
from hasrd.data.kaldi import DataDir
from hasrd.data.waves import wave_batches
from hasrd.frontend.loudness import within_full_scale
from hasrd.jobs.chunks import ChunkWork, parse_shard, run_in_chunks
from hasrd.jobs.digest import sha256
from hasrd.jobs.origin import Origin
from hasrd.models.load import load_codec
from hasrd.registry import add_allow_import

# Keys of a codec's configuration that shape what it makes, beside their `_conf`.
SHAPING = (*PARTS, "encoder_sha256", "loudness")


class CodecWork:
    """Base of what is done with one chunk of utterances (`make_work` of `run_in_chunks`)."""

    def __init__(self, exp_dir: str, model_file: str, ngpu: int, allow_import: bool) -> None:
        if not ngpu:
            torch.set_num_threads(1)
        self.device = torch.device("cuda" if ngpu else "cpu")
        self.codec = prepare(load_codec(exp_dir, model_file, allow_import=allow_import).to(self.device))

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
    add_allow_import(parser)
    return parser.parse_args()


def weights_sha256(args: argparse.Namespace) -> str:
    """Hash of the weights that the options name."""
    return sha256(Path(args.exp_dir) / args.model_file)


def model_facts(args: argparse.Namespace) -> dict[str, Any]:
    """What the codec is that the options name, for the origin of what it makes: its weights and its configuration."""
    config = read_yaml(Path(args.exp_dir) / "config.yaml")
    # Where a frozen encoder or another's codec lies does not count: loading refuses one with another hash.
    shaping = {key: value for key, value in config.items() if key.removesuffix("_conf") in SHAPING}
    return {"weights": weights_sha256(args), "configuration": shaping}


def write_speech(path: Path, wave: torch.Tensor, sample_rate: int) -> None:
    """Write samples (N,) as 16-bit FLAC; where some are outside of [-1, 1], all are scaled down."""
    path.parent.mkdir(exist_ok=True)
    write_audio(path, within_full_scale(wave[None].float())[0], sample_rate)


def codes_origin(args: argparse.Namespace) -> Origin:
    """The origin of the codes of a data set (codes.scp of stage 6)."""
    return Origin(model_facts(args), tables={"the data set": Path(args.data) / "wav.scp"})


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
        work: Takes the experiment's folder, the name of the weights, the number of GPUs and whether classes that the
            experiment names by import path are imported.
        what: What is made, for the progress.
        inputs: Utterance to what is worked on; None: its audio.
        facts: What shapes the result beside the weights and the inputs.
    """
    return run_in_chunks(
        DataDir.load(args.data).wavs if inputs is None else inputs,
        args.out / "chunks",
        functools.partial(work, args.exp_dir, args.model_file, args.ngpu, args.allow_import),
        options={**model_facts(args), **facts},
        nj=1 if args.ngpu else args.nj,
        shard=parse_shard(args.shard),
        chunk_size=chunk_size,
        desc=f"{what} of {args.data}",
        made_from=made_from,
    )
