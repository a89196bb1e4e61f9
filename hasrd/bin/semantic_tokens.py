# Copyright 2026 The hasrd authors
# Apache-2.0
"""Semantic tokens of a data set: the nearest k-means centroid of each latent frame (end of stage 4)."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

import torch

from hasrd.bin.kmeans import sha256_or_error
from hasrd.codec.latents import FrozenEncoder
from hasrd.data.features import merge_tables
from hasrd.data.kaldi import DataDir, write_table
from hasrd.errors import run_main
from hasrd.jobs.chunks import parse_shard, run_in_chunks
from hasrd.jobs.digest import sha256
from hasrd.models.kmeans import load_kmeans
from hasrd.quantizer.kmeans import assign
from hasrd.registry import add_allow_import


class _TokenWork:
    def __init__(self, encoder_file: str, kmeans_file: str, ngpu: int, allow_import: bool):
        self.centroids, facts = load_kmeans(kmeans_file)
        self.encoder = FrozenEncoder(encoder_file, ngpu, allow_import)
        self.layer = self.encoder.check_layer(facts["layer"], encoder_file)

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        tokens = {}
        for utterance, latents in self.encoder.latents(inputs, self.layer):
            codes = assign(torch.from_numpy(latents), self.centroids)
            tokens[utterance] = " ".join(map(str, codes.tolist()))
        write_table(folder / "text", tokens)


def main() -> None:
    """Tokenise on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--encoder_file", required=True, help="encoder.safetensors of stage 3")
    parser.add_argument("--kmeans_file", required=True, help="kmeans.npz of stage 4")
    parser.add_argument("--data", required=True, help="data directory")
    parser.add_argument("--out", required=True, type=Path, help="folder; gets text with lines 'utt c0 c1 ...'")
    parser.add_argument("--nj", type=int, default=1, help="processes")
    parser.add_argument("--ngpu", type=int, default=0, help="1: compute on the GPU, in one process")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="do part I of N (for the jobs of an array)")
    add_allow_import(parser, "the encoder's file")
    args = parser.parse_args()
    folders = run_in_chunks(
        DataDir.load(args.data).wavs,
        args.out / "chunks",
        functools.partial(_TokenWork, args.encoder_file, args.kmeans_file, args.ngpu, args.allow_import),
        options=dict(encoder=sha256_or_error(args.encoder_file), kmeans=sha256(args.kmeans_file)),
        nj=1 if args.ngpu else args.nj,
        shard=parse_shard(args.shard),
        desc=f"semantic tokens of {args.data}",
        made_from=[args.out / "text"],
    )
    if folders is not None:
        write_table(args.out / "text", merge_tables(folders, "text"))
        print(f"{args.out}/text: written")


if __name__ == "__main__":
    run_main(main)
