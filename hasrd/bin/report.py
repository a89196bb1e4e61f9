# Copyright 2026 The hasrd authors
# Apache-2.0
"""Make RESULTS.md and the HTML page from the score files of experiment folders: HAC's levels, where a codec has them,
and Tables 1-4 of HASRD (left out where there are levels and nothing else), with the papers' own numbers; then
everything else that was measured. What was not measured is not shown, unless all tables are asked for.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Sequence

from hasrd.bin.options import fill, str2bool
from hasrd.errors import run_main
from hasrd.report.write import ReportOptions, write_report


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "--expdir",
        type=Path,
        nargs="+",
        required=True,
        help="experiments, or folders of experiments: scanned for scores/, history.json, info.json and audio",
    )
    parser.add_argument(
        "--datadir",
        type=Path,
        default=Path("data"),
        help="data directories of the test sets, for audio",
    )
    parser.add_argument(
        "--test_sets",
        nargs="*",
        default=[],
        help="sets that are listened to, and with --all_tables shown as missing where nothing was scored",
    )
    parser.add_argument("--corpus", required=True, help="name of the corpus, for the title")
    parser.add_argument("--single_speaker", type=str2bool, default=False, help="say that the corpus has one voice")
    parser.add_argument(
        "--only_codecs", type=str2bool, default=False, help="leave out what is about encoders and probes"
    )
    parser.add_argument(
        "--all_tables",
        type=str2bool,
        default=False,
        help="show all rows, tables and claims, those too of which nothing was measured, as missing",
    )
    parser.add_argument("--command", help="command that is shown (default: this one)")
    parser.add_argument("--num_examples", type=int, default=4, help="utterances to listen to")
    parser.add_argument(
        "--discussion",
        type=Path,
        help="Markdown that people wrote about the results, put into both; default: local/discussion.md where it "
        "exists, else what stands in the RESULTS.md that is replaced",
    )
    parser.add_argument(
        "--out_md", type=Path, help="RESULTS.md; beside it RESULTS.json says which score file each cell comes from"
    )
    parser.add_argument("--out_html", type=Path, help="index.html")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the report on the options of the command line, or on `argv`."""
    argv = sys.argv[1:] if argv is None else argv
    args = get_parser().parse_args(argv)
    args.command = args.command or shlex.join(["hasrd", "report", *argv])
    write_report(fill(ReportOptions, args))


if __name__ == "__main__":
    run_main(main)
