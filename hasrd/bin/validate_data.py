# Copyright 2026 The hasrd authors
# Apache-2.0
"""Check data directories before anything is trained on them, and write their utt2num_samples.

What is wrong ends the check with an error. What is only odd is a warning each, with a count and the first utterances:
clipped peaks, digital silence, a DC offset (these with --check_audio true), the same audio under two names, a set that
is mostly one clip, transcripts in upper and lower case or with punctuation.
"""

from __future__ import annotations

import argparse
import sys
from typing import Sequence

from hasrd.bin.options import str2bool
from hasrd.data.validate import validate
from hasrd.errors import run_main


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("data_dirs", nargs="+", help="data directories; what they must not share is checked too")
    parser.add_argument("--sample_rate", "--fs", type=int, default=16000, help="the rate every file must have, in Hz")
    parser.add_argument("--min_samples", type=int, default=784, help="samples that one token needs")
    parser.add_argument("--single_speaker", type=str2bool, default=False, help="one voice in all sets is right")
    parser.add_argument("--require_text", type=str2bool, default=True, help="every utterance needs a transcript")
    parser.add_argument(
        "--check_audio", type=str2bool, default=False, help="read the whole audio (NaN, damage), not only the headers"
    )
    parser.add_argument(
        "--drop_bad",
        type=str2bool,
        default=False,
        help="leave bad utterances out, with the reasons in the file 'rejected', and go on",
    )
    parser.add_argument("--nj", type=int, default=1, help="processes")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Check on the options of the command line, or on `argv`."""
    args = get_parser().parse_args(argv)
    reports, warnings = validate(
        args.data_dirs,
        args.sample_rate,
        args.min_samples,
        single_speaker=args.single_speaker,
        require_text=args.require_text,
        check_audio=args.check_audio,
        drop_bad=args.drop_bad,
        nj=args.nj,
    )
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    for report in reports:
        minutes = sum(report.samples.values()) / args.sample_rate / 60
        line = f"{report.data.path}: {len(report.samples)} utterances, {minutes:.1f} minutes"
        if report.rejected:
            line += f"; {len(report.rejected)} left out, reasons in {report.data.path / 'rejected'}"
        print(line)


if __name__ == "__main__":
    run_main(main)
