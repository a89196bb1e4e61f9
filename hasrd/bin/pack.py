# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write a trained codec to a folder that can be passed on: config.yaml, model.safetensors and a model card.

The frozen encoder is inside, and the scores that were measured stand on the card. `hasrd encode`, `hasrd decode` and
`hasrd.load` take the folder; neither ESPnet nor the recipe is needed for that.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.codec.window_plan import OF_MODEL, parse_window
from hasrd.errors import run_main
from hasrd.jobs.lock import exclusive
from hasrd.models.package import STORED, pack
from hasrd.registry import add_allow_import
from hasrd.report.card import card_scores


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exp_dir", help="experiment folder of the codec (stage 5)")
    parser.add_argument("out", type=Path, help="folder to write; it must not be there yet")
    parser.add_argument("--model_file", help="name of the weights (default: the best, else the latest)")
    parser.add_argument("--name", help="of the model, for its card (default: the folder's)")
    parser.add_argument("--licence", help="of the weights, for config.yaml and the card, such as cc-by-4.0")
    parser.add_argument(
        "--window",
        type=parse_window,
        default=OF_MODEL,
        metavar="SECONDS",
        help="of the windows in which longer speech is encoded (default: 30); none: it is encoded whole",
    )
    parser.add_argument("--language", nargs="+", default=[], metavar="CODE", help="that it was trained on, such as en")
    parser.add_argument(
        "--datasets",
        nargs="+",
        default=[],
        metavar="NAME",
        help="corpora that it was trained on, by their names on the Hugging Face Hub, such as librispeech_asr",
    )
    parser.add_argument("--repo_id", metavar="ORG/NAME", help="on the Hub, by which the card tells to load it")
    parser.add_argument(
        "--with_discriminator", action="store_true", help="write it as well, for trainings that start from the model"
    )
    parser.add_argument(
        "--dtype",
        choices=list(STORED),
        default="float32",
        help="of the weights in the file (default: %(default)s); bfloat16 is half as large",
    )
    add_allow_import(parser, "the experiment")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Pack on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, which is not there before it is complete.
    with exclusive(args.out.parent, f".{args.out.name}"):
        options = (args.model_file, args.name, args.licence, args.allow_import)
        card = {"language": args.language, "datasets": args.datasets, "repo_id": args.repo_id}
        more = {"with_discriminator": args.with_discriminator, "window": args.window, "dtype": args.dtype}
        out = pack(args.exp_dir, args.out, *options, scores=card_scores, **card, **more)
    print(f"{out}: packed")


if __name__ == "__main__":
    run_main(main)
