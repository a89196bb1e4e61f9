# Copyright 2026 The hasrd authors
# Apache-2.0
"""A folder of audio files, of any depth, with transcripts in tables, in text files beside the audio, or without any."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Sequence

from hasrd.data.audio import AUDIO
from hasrd.data.corpora.recording import AudioFile, Utterance
from hasrd.data.corpora.transcripts import Line, read_transcripts
from hasrd.data.problems import Problems
from hasrd.data.walk import walk_files
from hasrd.errors import UserError
from hasrd.jobs.names import name_problem

# How a speaker is found: see `read_folder`.
SPEAKERS = ("auto", "folder", "prefix", "file", "one")
# Tables that are looked for where none is named.
TABLES = ("metadata.csv", "metadata.tsv", "validated.tsv", "transcripts.tsv", "clips.tsv", "text", "txt.done.data")


def read_folder(
    root: Path, problems: Problems, *, transcripts: Sequence[str] = (), speaker: str = "auto"
) -> list[Utterance]:
    """Find the audio files of a folder.

    Args:
        root: The folder. Its own folders are the parts of the corpus.
        problems: Takes what is wrong with lines of tables, and lines whose audio file is not there.
        transcripts: Tables (see `hasrd.data.corpora.transcripts`), relative to the working folder or to `root`. None
            named: the one of `TABLES`, or all `*.trans.txt`, that are in `root`; else `<audio file>.txt` beside a file.
        speaker: "folder": the name of the file's folder; "prefix": the file's name to the first "-" or "_"; "file":
            each file has a speaker of its own; "one": all have the same; "auto": as the table says, else "folder" where
            the files lie in several folders, else "file".

    Raises:
        UserError: No such folder, no audio in it, or no such table.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder: name the folder with the audio (--root)")
    files = [path for path in walk_files(root) if path.suffix.lower() in AUDIO and not path.name.startswith(".")]
    if not files:
        raise UserError(f"{root}: no audio files in it ({' '.join(AUDIO)})")
    lines = _lines(root, transcripts, problems)
    several = len({path.parent for path in files}) > 1
    names = _names(root, files)
    by_key = {}
    for path in files:
        for key in _keys(root, path):
            # Of two files with one name, the name alone says nothing.
            by_key[key] = None if key in by_key else path
    said: dict[Path, Line] = {}
    for key, line in lines.items():
        path = by_key.get(key.removeprefix("./"))
        if path is None and key.startswith("/"):
            path = next((file for file in files if str(file) == key), None)
        if path is None:
            what = "several audio files have this name" if key in by_key else "no such audio file"
            problems.add(f"{line.where}: '{key}': {what} in {root}: name it from there on, or remove the line")
        elif path in said:
            problems.add(f"{line.where}: '{key}' has a line in {said[path].where} too: keep one of them")
        else:
            said[path] = line
    found = []
    for path, name in zip(files, names):
        line = said.get(path)
        text = line.text if line else None
        beside = path.with_suffix(".txt")
        if not lines and beside.is_file():
            text = _text_beside(beside, problems)
        relative = path.relative_to(root)
        found.append(
            Utterance(
                name=name,
                recording=AudioFile(str(path)),
                where=line.where if line else str(path),
                part=relative.parts[0] if len(relative.parts) > 1 else "",
                text=text,
                speaker=_speaker(path, line, speaker, several, name),
                language=line.language if line else "",
            )
        )
    return found


def _lines(root: Path, named: Sequence[str], problems: Problems) -> dict[str, Line]:
    if named:
        tables = [Path(name) if Path(name).is_file() else root / name for name in named]
        missing = next((name for name, table in zip(named, tables) if not table.is_file()), None)
        if missing:
            raise UserError(f"--transcripts {missing}: no such file, neither here nor in {root}")
    else:
        tables = [root / name for name in TABLES if (root / name).is_file()][:1]
        tables = tables or [path for path in walk_files(root) if path.name.endswith(".trans.txt")]
    found: dict[str, Line] = {}
    for table in tables:
        for name, line in read_transcripts(table, problems).items():
            if name in found:
                problems.add(f"{line.where}: '{name}' stands in {found[name].where} too: keep one of the lines")
            found.setdefault(name, line)
    return found


def _keys(root: Path, path: Path) -> set[str]:
    """What a table may call a file: its path from `root` on, or its name, each with and without suffix."""
    relative = path.relative_to(root)
    return {relative.as_posix(), relative.with_suffix("").as_posix(), path.name, path.stem}


def _names(root: Path, files: Sequence[Path]) -> list[str]:
    """Names of the utterances: the files', or their paths' where two files have one name."""
    stems = [path.stem for path in files]
    if len(set(stems)) < len(stems):
        stems = ["-".join(path.relative_to(root).with_suffix("").parts) for path in files]
    # The names are ours to give: what tables cannot hold is replaced.
    return [stem if not name_problem(stem) else re.sub(r"^[.-]+|[^\w.+=@,-]+", "_", stem) for stem in stems]


def _text_beside(path: Path, problems: Problems) -> str | None:
    try:
        return " ".join(path.read_text(encoding="utf-8-sig").split())
    except UnicodeDecodeError:
        problems.add(f"{path}: not UTF-8 text: convert the file (iconv -t UTF-8)")
        return None


def _speaker(path: Path, line: Line | None, how: str, several: bool, name: str) -> str:
    if how == "auto":
        if line and line.speaker:
            return line.speaker
        how = "folder" if several else "file"
    if how == "folder":
        return re.sub(r"\s+", "_", path.parent.name)
    if how == "prefix":
        return re.split("[-_]", name, maxsplit=1)[0] or name
    return name if how == "file" else "speaker"
