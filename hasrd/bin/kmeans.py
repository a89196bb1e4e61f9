# Copyright 2026 The hasrd authors
# Apache-2.0
"""Train the k-means of the semantic codebook on one layer of a frozen encoder (stage 4).

Memory is bounded by `--max_memory_gb`, whatever the size of the corpus: the number of frames is known beforehand, and
each utterance contributes its share of what fits. With `--stream true` all frames are used, from the disk. The frames
can be computed by the jobs of an array (`--shard`); a run without it then trains on all of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.bin.options import add_set_run, fill, str2bool
from hasrd.codec.semantic import KMeansSetup, train_kmeans
from hasrd.errors import run_main
from hasrd.registry import add_allow_import


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--encoder_file", required=True, help="encoder.safetensors of stage 3")
    parser.add_argument("--data", required=True, help="data directory of the training set")
    parser.add_argument("--layer", type=int, required=True, help="layer to cluster (0 is the CNN)")
    parser.add_argument("--num_clusters", type=int, default=1024, help="number of semantic tokens")
    parser.add_argument("--portion", type=float, default=0.1, help="share of the utterances to take")
    parser.add_argument("--max_memory_gb", type=float, default=4.0, help="bound of the memory for frames")
    parser.add_argument(
        "--stream",
        type=str2bool,
        default=False,
        help="true: all frames stay on the disk, and each iteration passes over them; --max_memory_gb holds the start",
    )
    parser.add_argument("--niter", type=int, default=30, help="iterations")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    add_set_run(parser, "processes that compute latents")
    parser.add_argument("--out", required=True, type=Path, help="file to write: kmeans.npz")
    add_allow_import(parser, "the encoder's file")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Train on the options of the command line, or on `argv`."""
    train_kmeans(fill(KMeansSetup, get_parser().parse_args(argv)))


if __name__ == "__main__":
    run_main(main)
