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
from pathlib import Path

import torch

from hasrd.bin.codec_work import CodecWork, options, run
from hasrd.codec.checkpoint import load_codec
from hasrd.codec.codec import Codec
from hasrd.data.archive import write_archive
from hasrd.data.atomic import write_text
from hasrd.data.features import merge_tables
from hasrd.data.kaldi import write_table
from hasrd.errors import run_main


def selections(codec: Codec) -> dict[str, list[int]]:
    """Name of a representation of codes to the codebooks that it takes."""
    names = codec.quantizer.stream_names
    chosen = {"tokens": list(range(len(names)))}
    if len(set(names)) > 1:
        chosen.update({name: [m for m, own in enumerate(names) if own == name] for name in dict.fromkeys(names)})
    return chosen


class ExtractWork(CodecWork):
    """Latents and codes of one chunk of utterances."""

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        layer = getattr(self.codec.quantizer, "semantic_layer", -1)
        arrays: dict[str, dict] = {"latent": {}, **{name: {} for name in selections(self.codec)}}
        with torch.inference_mode():
            for utterances, waves, lengths in self.batches(inputs):
                encoded = self.codec.features(waves, lengths)
                codes = self.codec.quantizer.encode(encoded.layers, encoded.lengths).to(torch.int32).cpu().numpy()
                latents = encoded.layers[layer].float().cpu().numpy()
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
    args = options(argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter))
    codec = load_codec(args.exp_dir, args.model_file)
    tables = [f"{name}{kind}" for name in ("latent", *selections(codec)) for kind in (".scp", "_shape")]
    folders = run(args, ExtractWork, "latents and tokens", [args.out / name for name in tables])
    if folders is not None:
        for name in tables:
            write_table(args.out / name, merge_tables(folders, name))
        for name, books in selections(codec).items():
            sizes = [codec.quantizer.codebook_sizes[m] for m in books]
            write_text(args.out / f"{name}_codebook_sizes", f"[{','.join(map(str, sizes))}]\n")
        print(f"{args.out}: {', '.join(name for name in tables if name.endswith('.scp'))}")


if __name__ == "__main__":
    run_main(main)
