# Copyright 2026 The hasrd authors
# Apache-2.0
"""Compare two experiments: for every score that both have, the difference, its 95% interval and its significance.

Reads the score files below EXP/scores/ and EXP/probe_*/scores/ alone. Utterances are resampled in pairs (bootstrap), so
both experiments must have been scored on the same test set.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Sequence

from hasrd.errors import run_main
from hasrd.jobs.atomic import write_text
from hasrd.report.compare import compare, render


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exp", nargs=2, type=Path, metavar="EXP", help="experiment folder (or that of one probe)")
    parser.add_argument("--test_set", nargs="+", default=[], help="only these test sets")
    parser.add_argument("--measures", type=_names, default=[], help="only these, joined by commas: wer,mel")
    parser.add_argument("--out_md", type=Path, help="also write the table as Markdown")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Compare on the options of the command line, or on `argv`.

    Raises:
        UserError: A folder without scores, damaged score files, or nothing that both have.
    """
    args = get_parser().parse_args(argv)
    comparison = compare((args.exp[0], args.exp[1]), args.test_set, args.measures)
    print(render(comparison), end="")
    if args.out_md is not None:
        write_text(args.out_md, render(comparison, markdown=True))


def _names(text: str) -> list[str]:
    return list(filter(None, text.split(",")))


if __name__ == "__main__":
    run_main(main)
