# Copyright 2026 The hasrd authors
# Apache-2.0
"""Corpora of any form: read, looked at, written, and told of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

if TYPE_CHECKING:
    from hasrd.data.corpora.collect import Rules
    from hasrd.data.corpora.recording import Utterance
    from hasrd.data.problems import Problems

# Forms of corpora, and what each is.
FORMS = {
    "folder": "a folder of audio files, with transcripts in a table, in text files beside them, or without",
    "kaldi": "Kaldi data directories, also with segments and with audio in archives",
    "lhotse": "manifests of Lhotse, or Shar",
    "huggingface": "a data set of Hugging Face: a folder, or a name on the Hub",
}
# What was left out that a dry run shows.
SHOWN = 10


def read_form(form: str, root: str, problems: Problems, cache_dir: Path, options: Mapping[str, Any]) -> list[Utterance]:
    """Read a corpus of one of `FORMS`.

    Args:
        form: Its name.
        root: Where the corpus is.
        problems: Takes what is wrong with lines of tables.
        cache_dir: Where `datasets` keeps what it has read.
        options: Of the form's reader.

    Raises:
        UserError: As of the reader.
    """
    if form == "folder":
        from hasrd.data.corpora.folder import read_folder

        return read_folder(Path(root), problems, **options)
    if form == "kaldi":
        from hasrd.data.corpora.kaldi_folder import read_kaldi

        return read_kaldi(Path(root), problems)
    if form == "lhotse":
        from hasrd.data.corpora.lhotse_manifests import read_lhotse

        return read_lhotse(Path(root), problems)
    from hasrd.data.corpora.hub_sets import read_hub

    return read_hub(root, cache_dir=str(cache_dir), **options)


def prepare_form(
    form: str,
    root: str,
    rules: Rules,
    out: Path,
    download_dir: Path,
    licence: str,
    nj: int,
    dry_run: bool,
    options: Mapping[str, Any],
) -> None:
    """Write the data directories of a corpus, and print what was taken and left out.

    Args:
        form, root, options: See `read_form`.
        rules: What is taken.
        out: Folder of the data directories.
        download_dir: Where audio that is made anew goes, into `audio_<rate>`.
        licence: Of the corpus, for the report.
        nj: Processes.
        dry_run: Write nothing.

    Raises:
        UserError: As of `read_form`, and of `collect`.
    """
    from hasrd.data.corpora.collect import collect
    from hasrd.data.problems import Problems

    problems = Problems()
    found = read_form(form, root, problems, download_dir / "huggingface", options)
    collection = collect(found, problems, rules, download_dir / f"audio_{rules.sample_rate}", nj)
    corpus = collection.corpus
    corpus.licence = licence or "not stated"
    if not dry_run:
        collection.write(out, nj)
    print(corpus.table(rules.sample_rate))
    if dry_run:
        for where, name, reason in corpus.left_out[:SHOWN]:
            print(f"would be left out: {where} {name}: {reason}")
        if len(corpus.left_out) > SHOWN:
            print(f"... and {len(corpus.left_out) - SHOWN} more")
        print("nothing was written (--dry_run)")
    elif corpus.left_out:
        print(f"what was left out, one a line: {out}/left_out")
