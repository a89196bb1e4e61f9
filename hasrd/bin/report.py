# Copyright 2026 The hasrd authors
# Apache-2.0
"""Make RESULTS.md and the HTML page from the score files of experiment folders: HAC's levels, where a codec has them,
and Tables 1-4 of HASRD (left out where there are levels and nothing else), with the papers' own numbers; then
everything else that was measured. What was not measured is not shown, unless all tables are asked for.
"""

from __future__ import annotations

import argparse
import datetime
import re
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Sequence

from hasrd.bin.options import str2bool
from hasrd.errors import UserError, run_main
from hasrd.jobs.atomic import write_json, write_text
from hasrd.jobs.lock import exclusive
from hasrd.machine import machine
from hasrd.metrics.versions import commit
from hasrd.report.builder import build
from hasrd.report.claims import claims
from hasrd.report.collect import Results, collect
from hasrd.report.markdown import discussion_in, markdown
from hasrd.report.record import record, relative_to

LEAD = (
    "A speech tokenizer some of whose tokens say what was spoken and the others how: hear them apart, and see what "
    "each is worth."
)
DISCUSSION = Path("local/discussion.md")


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
    """Write the report on the options of the command line, or on `argv`.

    Raises:
        UserError: No output is named, no score is there and no test set is named, or the discussion can't be read.
    """
    argv = sys.argv[1:] if argv is None else argv
    args = get_parser().parse_args(argv)
    args.command = args.command or shlex.join(["hasrd", "report", *argv])
    if args.out_md is None and args.out_html is None:
        raise UserError("nothing to write: give --out_md or --out_html")
    with ExitStack() as stack:
        for path in filter(None, (args.out_md, args.out_html)):
            stack.enter_context(exclusive(path))
        run(args)


def run(args: argparse.Namespace) -> None:
    """Write the report; errors as of `main`."""
    results = collect(args.expdir)
    scored = sorted({found.score.test_set for found in results.scores})
    test_sets = args.test_sets or scored
    if not test_sets:
        raise UserError(f"{args.expdir[0]}: no score in it: run the scoring stage, or name the --test_sets")
    title = f"Speech tokenizer on {args.corpus}"
    facts = _facts(args, results)
    judged = claims(results, test_sets, args.only_codecs, args.single_speaker, all_rows=args.all_tables)
    tables = build(results, test_sets, args.datadir, args.only_codecs, all_rows=args.all_tables)
    discussion = _discussion(args.discussion, args.out_md)
    if args.out_md:
        folder, record_path = args.out_md.parent, args.out_md.with_suffix(".json")
        shown = relative_to(tables, folder)
        write_json(record_path, record(shown, results, folder))
        write_text(args.out_md, markdown(title, facts, judged, shown, discussion, record_path.name))
        print(f"{args.out_md}: {len(tables)} tables from {len(results.scores)} scores")
    if args.out_html:
        from hasrd.report.audio import examples
        from hasrd.report.page import page

        clips = examples(args.expdir, args.datadir, results, test_sets, args.num_examples)
        shown = relative_to(tables, args.out_html.parent)
        html = page(title, LEAD, facts, judged, shown, clips, results, discussion, show_missing=args.all_tables)
        write_text(args.out_html, html)
        print(f"{args.out_html}: {len(html) / 1e6:.1f} MB, {len(clips)} utterances to listen to")


def _discussion(path: Path | None, out_md: Path | None) -> str:
    """Return what people wrote; where no file has it, what they wrote into the report itself is not lost."""
    if path is None and DISCUSSION.is_file():
        path = DISCUSSION
    if path is None:
        return discussion_in(out_md.read_text(encoding="utf-8")) if out_md and out_md.is_file() else ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"--discussion {path}: {reason}: give a Markdown file, or leave the option out") from None


def _facts(args: argparse.Namespace, results: Results) -> list[tuple[str, str]]:
    """Return what was run, on what; no paths and no names of machines."""
    versions: dict[str, str] = {}
    for found in results.scores:
        versions.update(found.score.versions)
    scored_at = versions.pop("commit", "")
    facts = [
        ("Corpus", args.corpus + (", one voice" if args.single_speaker else "")),
        ("Licence of the corpus", _licence(args.datadir)),
        (
            "Experiments",
            ", ".join(sorted({found.experiment for found in results.scores})),
        ),
        ("Command", _without_folders(args.command)),
        ("Date", datetime.date.today().isoformat()),
        ("Commit", commit() or scored_at or "no checkout"),
        ("Machine", machine()),
        (
            "Versions",
            ", ".join(f"{name} {version}" for name, version in sorted(versions.items())),
        ),
    ]
    return [fact for fact in facts if fact[1]]


def _without_folders(command: str) -> str:
    """Return a command with `.../name` for each absolute path: reports are passed on."""
    return re.sub(r"(?<![\w.~/-])~?/(?:[^/\s'\"]+/)+", ".../", command)


def _licence(datadir: Path) -> str:
    path = datadir / "licence"
    return " ".join(path.read_text(encoding="utf-8").split()) if path.is_file() else ""


if __name__ == "__main__":
    run_main(main)
