# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the probes read, computed once for a data set (stages 4 and 7).

It comes from a trained codec (--exp_dir), or from an encoder of stage 3 (--encoder_file) with its k-means
(--kmeans_file). Written are, each with a shape file for ESPnet's batches (`<name>_shape`):
  latent.scp            float (T, D): the layer that the semantic tokens come from, or the encoder's output
  tokens.scp            integers (T, M): all codes
  <stream>.scp          integers: the codes of one stream (such as semantic), where the codec has several
  layer_<n>.scp         float (T, D): --layers n
  layers.scp            float (T, L * D): --all_layers, each normalised as in the learned mix, in Kaldi's 16 bits
For codes there is `<name>_codebook_sizes`, what their embeddings need; for the mix `layers_conf`, the arguments of the
frontend layer_mix. Where the layers of all sets would take more than --cache_gb, layers.scp is not written, and that is
said: the probe can compute them as it goes (frontend upstream).
"""

from __future__ import annotations

import argparse
from typing import Sequence

from hasrd.bin.options import add_codec_run, fill
from hasrd.codec.probe_inputs import Extraction, extract
from hasrd.errors import run_main


def parse_layers(text: str) -> list[int]:
    """`2,5` to [2, 5]; argparse reports anything else."""
    try:
        return sorted({int(number) for number in text.replace(",", " ").split()})
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' are no numbers of layers, such as 2,5") from None


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder_file", help="in place of --exp_dir: encoder.safetensors of stage 3")
    parser.add_argument("--kmeans_file", help="with --encoder_file: kmeans.npz of stage 4, for latent and tokens")
    parser.add_argument("--layers", type=parse_layers, default=[], metavar="N,N", help="layers to write one by one")
    parser.add_argument("--all_layers", action="store_true", help="write all layers, for a learned mix")
    parser.add_argument("--cache_gb", type=float, default=20.0, help="bound of what --all_layers writes, for all sets")
    parser.add_argument("--cache_sets", nargs="*", metavar="DATA", help="these sets (default: --data alone)")
    add_codec_run(parser, codec_needed=False)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Extract on the options of the command line, or on `argv`."""
    extract(fill(Extraction, get_parser().parse_args(argv)))


if __name__ == "__main__":
    run_main(main)
