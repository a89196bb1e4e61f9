# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write an encoder that others trained to the file that stages 4 to 7 use frozen, in place of stage 3's."""

from __future__ import annotations

import argparse
import json

from hasrd.errors import run_main
from hasrd.jobs.lock import exclusive
from hasrd.models.checkpoint import save_encoder
from hasrd.models.import_hubert import load_hubert


def main() -> None:
    """Import on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--hubert",
        required=True,
        help="HUBERT_BASE (torchaudio fetches it), a file with a torchaudio model's tensors, a Hugging Face folder, or "
        "the folder of an ESPnet SSL experiment",
    )
    parser.add_argument("--model_file", default="valid.loss.best.pth", help="weights inside an ESPnet experiment")
    parser.add_argument("--out", required=True, help="file to write: encoder.safetensors")
    args = parser.parse_args()
    with exclusive(args.out):
        config, front = load_hubert(args.hubert, args.model_file)
        print(f"{args.out}: SHA-256 {save_encoder(args.out, config, front)}")
    print(json.dumps(config))


if __name__ == "__main__":
    run_main(main)
