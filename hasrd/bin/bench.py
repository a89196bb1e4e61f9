# Copyright 2026 The hasrd authors
# Apache-2.0
"""Measure how fast codecs run, or train, beside those of others."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

from hasrd.bin.options import str2bool
from hasrd.errors import UserError, run_main
from hasrd.registry import add_allow_import


def positive(text: str) -> int:
    """A whole number of at least 1; argparse reports anything else."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is less than 1")
    return value


def get_parser() -> argparse.ArgumentParser:
    """The options of `hasrd bench`."""
    parser = argparse.ArgumentParser(
        description="Time codecs in turn on this machine, with random weights unless a trained one is named: encoding "
        "and decoding, or training steps.",
    )
    parser.add_argument("--train", action="store_true", help="Time training steps in place of encoding and decoding")
    parser.add_argument(
        "--models",
        type=lambda text: [name for name in text.split(",") if name],
        help="What to time, separated by commas: names of the recipes' models (dac, dac_fbank, dac_fbank_sepconv, "
        "hasrd, hac, ..., ssl_hasrd), of others' codecs (official-dac, encodec, mimi, official-speechtokenizer, snac), "
        "configurations (*.yaml) or folders of trained codecs; by default those of the paper and the others'",
    )
    parser.add_argument("--size", choices=("full", "small"), default="full", help="Whose recipes' models: see docs")
    parser.add_argument(
        "--modes", default=None, help="float32, bf16, compile, bf16+compile, separated by commas; by default the first "
        "three, with --train the one that the configuration asks for"
    )  # fmt: skip
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="Where to compute")
    parser.add_argument("--threads", type=positive, default=2, help="Threads of a CPU")
    parser.add_argument("--repeats", type=positive, default=7, help="Rounds; in each, every model runs once")
    parser.add_argument("--seconds", type=float, help="Audio of a clip; by default 10, with --train as configured")
    parser.add_argument("--batch_size", type=positive, help="Clips at once; by default 1, with --train as configured")
    parser.add_argument("--audio", nargs="+", default=[], metavar="FILE", help="Speech at 16 kHz; by default of the "
                        "folder that LIBRISPEECH names, else noise")  # fmt: skip
    parser.add_argument(
        "--discriminator", type=str2bool, default=True, help="With --train: whether codecs train with theirs"
    )
    parser.add_argument("--peak_tflops", type=float, help="With --train: bf16 peak of the GPU, where it is not known")
    add_allow_import(parser, "a configuration or trained codec")
    parser.add_argument("--json", action="store_true", help="Print the rows as JSON")
    parser.add_argument("--markdown", action="store_true", help="Print a Markdown table")
    return parser


def main() -> None:
    """Print a table."""
    args = get_parser().parse_args()
    if args.seconds is not None and not (args.seconds > 0 and math.isfinite(args.seconds)):
        raise UserError(f"--seconds {args.seconds:g}: must be more than 0")
    # These take seconds to import.
    from hasrd.bench import table
    from hasrd.bench.environment import set_up

    set_up(args)
    if args.train:
        from hasrd.bench.steps import bench_steps

        rows = bench_steps(args)
    else:
        from hasrd.bench.codecs import bench_codecs
        from hasrd.bench.subject import parse_modes

        args.modes = parse_modes(args.modes or "float32,bf16,compile")
        args.seconds, args.batch_size = args.seconds or 10.0, args.batch_size or 1
        rows = bench_codecs(args)
    if args.json:
        print(json.dumps(finite(rows), indent=2))
    else:
        print(table.render(rows, args.markdown))


def finite(value: Any) -> Any:
    """The same with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    run_main(main)
