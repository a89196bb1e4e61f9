# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the probes read, computed once: latents and codes of a trained codec for a data set (stage 7).

Writes, each with a shape file for ESPnet's batches (`<name>_shape`):
  latent.scp            float (T, D): the layer that the semantic tokens come from, or the encoder's output
  tokens.scp            int32 (T, M): all codes
  <stream>.scp          int32: the codes of one stream, where there are several (semantic, acoustic)
and for codes `<name>_codebook_sizes`, what their embeddings need.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

import torch

from hasrd.codec.checkpoint import load_codec, sha256
from hasrd.codec.codec import Codec
from hasrd.data.archive import write_archive
from hasrd.data.atomic import write_text
from hasrd.data.chunks import fingerprint, parse_shard, run_in_chunks
from hasrd.data.features import merge_tables
from hasrd.data.kaldi import DataDir, write_table
from hasrd.data.waves import wave_batches
from hasrd.errors import run_main

# Padded samples a batch: a minute.
BATCH_SAMPLES = 16000 * 60


def selections(codec: Codec) -> dict[str, list[int]]:
    """Name of a representation of codes to the codebooks that it takes."""
    names = codec.quantizer.stream_names
    chosen = {"tokens": list(range(len(names)))}
    if len(set(names)) > 1:
        chosen.update({name: [m for m, own in enumerate(names) if own == name] for name in dict.fromkeys(names)})
    return chosen


class ExtractWork:
    """Latents and codes of one chunk of utterances."""

    def __init__(self, exp_dir: str, model_file: str, ngpu: int):
        if not ngpu:
            torch.set_num_threads(1)
        self.device = torch.device("cuda" if ngpu else "cpu")
        self.codec = load_codec(exp_dir, model_file).to(self.device)
        self.layer = getattr(self.codec.quantizer, "semantic_layer", -1)

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        arrays: dict[str, dict] = {"latent": {}, **{name: {} for name in selections(self.codec)}}
        with torch.inference_mode():
            for utterances, waves, lengths in wave_batches(inputs, self.codec.sample_rate, BATCH_SAMPLES):
                encoded = self.codec.features(waves.to(self.device), lengths.to(self.device))
                codes = self.codec.quantizer.encode(encoded.layers, encoded.lengths).to(torch.int32).cpu().numpy()
                latents = encoded.layers[self.layer].float().cpu().numpy()
                for row, (utterance, count) in enumerate(zip(utterances, encoded.lengths.tolist())):
                    arrays["latent"][utterance] = latents[row, :count]
                    for name, books in selections(self.codec).items():
                        arrays[name][utterance] = codes[row, :count][:, books]
        for name, table in arrays.items():
            order = sorted(table)
            archive = f"{name}.ark"
            entries = write_archive(folder / archive, final_folder / archive, ((u, table[u]) for u in order))
            write_table(folder / f"{name}.scp", entries)
            write_table(folder / f"{name}_shape", {u: ",".join(map(str, table[u].shape)) for u in order})


def main() -> None:
    """Extract on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exp_dir", required=True, help="directory of the trained codec")
    parser.add_argument("--model_file", default="latest.pth", help="weights inside it")
    parser.add_argument("--data", required=True, help="data directory")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--nj", type=int, default=1, help="processes")
    parser.add_argument("--ngpu", type=int, default=0, help="1: compute on the GPU, in one process")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="do part I of N (for the jobs of an array)")
    args = parser.parse_args()
    codec = load_codec(args.exp_dir, args.model_file)
    tables = [f"{name}{kind}" for name in ("latent", *selections(codec)) for kind in (".scp", "_shape")]
    folders = run_in_chunks(
        DataDir.load(args.data).wavs,
        args.out / "chunks",
        functools.partial(ExtractWork, args.exp_dir, args.model_file, args.ngpu),
        fingerprint=fingerprint(weights=sha256(Path(args.exp_dir) / args.model_file)),
        nj=1 if args.ngpu else args.nj,
        shard=parse_shard(args.shard),
        desc=f"latents and tokens of {args.data}",
        made_from=[args.out / name for name in tables],
    )
    if folders is not None:
        for name in tables:
            write_table(args.out / name, merge_tables(folders, name))
        for name, books in selections(codec).items():
            sizes = [codec.quantizer.codebook_sizes[m] for m in books]
            write_text(args.out / f"{name}_codebook_sizes", f"[{','.join(map(str, sizes))}]\n")
        print(f"{args.out}: {', '.join(name for name in tables if name.endswith('.scp'))}")


if __name__ == "__main__":
    run_main(main)
