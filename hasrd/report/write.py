# Copyright 2026 The hasrd authors
# Apache-2.0
"""The report: RESULTS.md and the HTML page, from the score files of experiment folders."""

from __future__ import annotations

import datetime
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hasrd.errors import UserError
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


@dataclass(frozen=True)
class ReportOptions:
    """What a report is made of; the fields are the options of `hasrd report`, whose help explains them."""

    expdir: list[Path]
    datadir: Path
    test_sets: list[str]
    corpus: str
    single_speaker: bool
    only_codecs: bool
    all_tables: bool
    command: str
    num_examples: int
    discussion: Path | None
    out_md: Path | None
    out_html: Path | None


def write_report(options: ReportOptions) -> None:
    """Write the report.

    Raises:
        UserError: No output is named, no score is there and no test set is named, the discussion can't be read, or
            another process writes the same report.
    """
    if options.out_md is None and options.out_html is None:
        raise UserError("nothing to write: give --out_md or --out_html")
    with ExitStack() as stack:
        for path in filter(None, (options.out_md, options.out_html)):
            stack.enter_context(exclusive(path))
        _write(options)


def _write(options: ReportOptions) -> None:
    results = collect(options.expdir)
    scored = sorted({found.score.test_set for found in results.scores})
    test_sets = options.test_sets or scored
    if not test_sets:
        raise UserError(f"{options.expdir[0]}: no score in it: run the scoring stage, or name the --test_sets")
    title = f"Speech tokenizer on {options.corpus}"
    facts = _facts(options, results)
    judged = claims(results, test_sets, options.only_codecs, options.single_speaker, all_rows=options.all_tables)
    tables = build(results, test_sets, options.datadir, options.only_codecs, all_rows=options.all_tables)
    discussion = _discussion(options.discussion, options.out_md)
    if options.out_md:
        folder, record_path = options.out_md.parent, options.out_md.with_suffix(".json")
        shown = relative_to(tables, folder)
        write_json(record_path, record(shown, results, folder))
        write_text(options.out_md, markdown(title, facts, judged, shown, discussion, record_path.name))
        print(f"{options.out_md}: {len(tables)} tables from {len(results.scores)} scores")
    if options.out_html:
        from hasrd.report.audio import examples
        from hasrd.report.page import page

        clips = examples(options.expdir, options.datadir, results, test_sets, options.num_examples)
        shown = relative_to(tables, options.out_html.parent)
        html = page(
            title, LEAD, facts, judged, shown, clips, results, discussion, options.all_tables, options.single_speaker
        )
        write_text(options.out_html, html)
        print(f"{options.out_html}: {len(html) / 1e6:.1f} MB, {len(clips)} utterances to listen to")


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


def _facts(options: ReportOptions, results: Results) -> list[tuple[str, str]]:
    """Return what was run, on what; no paths and no names of machines."""
    versions: dict[str, str] = {}
    for found in results.scores:
        versions.update(found.score.versions)
    scored_at = versions.pop("commit", "")
    facts = [
        ("Corpus", options.corpus + (", one voice" if options.single_speaker else "")),
        ("Licence of the corpus", _licence(options.datadir)),
        ("Experiments", ", ".join(sorted({found.experiment for found in results.scores}))),
        ("Command", _without_folders(options.command)),
        ("Date", datetime.date.today().isoformat()),
        ("Commit", commit() or scored_at or "no checkout"),
        ("Machine", machine()),
        ("Versions", ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))),
    ]
    return [fact for fact in facts if fact[1]]


def _without_folders(command: str) -> str:
    """Return a command with `.../name` for each absolute path: reports are passed on."""
    return re.sub(r"(?<![\w.~/-])~?/(?:[^/\s'\"]+/)+", ".../", command)


def _licence(datadir: Path) -> str:
    path = datadir / "licence"
    return " ".join(path.read_text(encoding="utf-8").split()) if path.is_file() else ""
