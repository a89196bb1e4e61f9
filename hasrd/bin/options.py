# Copyright 2026 The hasrd authors
# Apache-2.0
"""Options that several entry points share, their types, and how a value that looks like an option is given."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Sequence, TypeVar

from hasrd.registry import add_allow_import

Options = TypeVar("Options")


def str2bool(text: str) -> bool:
    """`true` or `false`, as ESPnet's options are written; argparse reports anything else."""
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")


def sample_rate(text: str) -> int:
    """`16000` or, as ESPnet's recipes write it, `16k`."""
    number = text.removesuffix("k")
    try:
        return round(float(number) * (1000 if text.endswith("k") else 1))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no sample rate: give 16000 or 16k") from None


def join_values(argv: Sequence[str], names: Sequence[str]) -> list[str]:
    """Join each of these options to its value: argparse takes a value such as "--max_epoch=3" for an option."""
    argv = list(argv)
    for i in reversed(range(len(argv) - 1)):
        if argv[i] in names:
            argv[i : i + 2] = [f"{argv[i]}={argv[i + 1]}"]
    return argv


def fill(cls: type[Options], args: argparse.Namespace) -> Options:
    """Make an object of a dataclass, each of whose fields is an option."""
    return cls(**{field.name: getattr(args, field.name) for field in fields(cls)})


def add_sharing(parser: argparse.ArgumentParser, nj: str = "processes") -> None:
    """Add by whom the work over a data set is done: the options of `Sharing`."""
    parser.add_argument("--nj", type=int, default=1, help=nj)
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="do part I of N alone (for the jobs of an array)")
    parser.add_argument(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="of Dask, such as tcp://host:8786: its workers do it in place of --nj processes (docs/scale.md)",
    )


def add_set_run(parser: argparse.ArgumentParser, nj: str = "processes") -> None:
    """Add how the work over a data set is done: the options of `DataSetRun` beside the set and the folder."""
    add_sharing(parser, nj)
    parser.add_argument("--ngpu", type=int, default=0, help="1: compute on the GPU, in one process")


def add_codec_run(parser: argparse.ArgumentParser, codec_needed: bool = True) -> None:
    """Add the options of a `CodecRun`."""
    parser.add_argument("--exp_dir", required=codec_needed, help="directory of the trained codec")
    parser.add_argument("--model_file", default="latest.pth", help="weights inside it")
    parser.add_argument("--data", required=True, help="data directory")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    add_set_run(parser)
    add_allow_import(parser)
