# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tables of transcripts that lie beside audio files, in the forms that public corpora have.

clip TEXT OF IT                       Kaldi's `text`, LibriSpeech's `*.trans.txt`
( clip "Text of it" )                 festvox's `txt.done.data`
clip|Text of it|Text as it is said    LJSpeech's `metadata.csv`, without headings: the last column is taken
path <tab> sentence <tab> ...         TSV and CSV with headings (Common Voice, audiofolder, ...)
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from hasrd.data.lines import read_lines
from hasrd.data.problems import Problems
from hasrd.errors import UserError

# Headings by what stands below them; the first that is there counts.
AUDIO_HEADINGS = ("file", "path", "file_name", "audio", "wav", "filename", "clip", "utterance", "id")
TEXT_HEADINGS = ("text", "sentence", "transcript", "transcription", "normalized_text")
SPEAKER_HEADINGS = ("speaker", "speaker_id", "client_id", "spk")
LANGUAGE_HEADINGS = ("language", "lang", "locale")
_FESTVOX = re.compile(r'\(\s*(\S+)\s+"(.*)"\s*\)')


@dataclass(frozen=True)
class Line:
    """What a table says of one audio file; `where` is file and line, speaker and language may be ""."""

    text: str
    where: str
    speaker: str = ""
    language: str = ""


def heading(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    """Return the first of the `wanted` headings that is among `names`, as it is written there."""
    by_lower = {name.lower(): name for name in reversed(names)}
    return next((by_lower[name] for name in wanted if name in by_lower), None)


def read_transcripts(path: Path, problems: Problems) -> dict[str, Line]:
    """Read a table, whose form its first line shows.

    Args:
        path: UTF-8 text.
        problems: Takes the lines that cannot be read.

    Returns:
        What names the audio file there (a path, or its end, with or without suffix) to what is said of it.

    Raises:
        UserError: No such file, or none of the forms.
    """
    first = _first_line(path)
    if "\t" in first or (path.suffix == ".csv" and "|" not in first):
        return _with_headings(path, problems)
    lines = [(number, text) for number, text in read_lines(path, problems, allow_mark=True) if text.strip()]
    if first.startswith("("):
        rows = [_festvox(path, number, text, problems) for number, text in lines]
    elif "|" in first:
        rows = [(*_bars(text), number) for number, text in lines]
    else:
        rows = [(*(*text.split(maxsplit=1), "")[:2], number) for number, text in lines]
    found: dict[str, Line] = {}
    for name, text, number in filter(None, rows):
        _add(found, name, Line(text.strip(), f"{path}:{number}"), problems)
    return found


def _first_line(path: Path) -> str:
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            first = next((line.strip() for line in file if line.strip()), "")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if not first:
        raise UserError(f"{path}: nothing in it: name the table with the transcripts")
    return first


def _add(found: dict[str, Line], name: str, line: Line, problems: Problems) -> None:
    if name in found:
        problems.add(f"{line.where}: '{name}' stands here a second time: keep one of the lines")
    found.setdefault(name, line)


def _festvox(path: Path, number: int, text: str, problems: Problems) -> tuple[str, str, int] | None:
    match = _FESTVOX.fullmatch(text.strip())
    if not match:
        problems.add(f'{path}:{number}: not of the form ( name "text" ): repair or remove the line')
        return None
    return match[1], re.sub(r"\\(.)", r"\1", match[2]), number


def _bars(text: str) -> tuple[str, str]:
    fields = text.split("|")
    return fields[0].strip(), fields[-1] if len(fields) > 1 else ""


def _with_headings(path: Path, problems: Problems) -> dict[str, Line]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            tabs = "\t" in first
            # Common Voice's tables quote nothing; a lone quotation mark in a sentence is one.
            quoting = csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL
            reader = csv.DictReader(file, delimiter="\t" if tabs else ",", quoting=quoting, restval="")
            names = [name or "" for name in reader.fieldnames or []]
            audio, text = heading(names, AUDIO_HEADINGS), heading(names, TEXT_HEADINGS)
            if audio is None or text is None:
                kind, wanted = ("audio files", AUDIO_HEADINGS) if audio is None else ("transcripts", TEXT_HEADINGS)
                raise UserError(
                    f"{path}:1: no column with {kind} ({', '.join(names)[:80]}): name it one of {', '.join(wanted)}"
                )
            speaker, language = heading(names, SPEAKER_HEADINGS), heading(names, LANGUAGE_HEADINGS)
            found: dict[str, Line] = {}
            for row in reader:
                where = f"{path}:{reader.line_num}"
                if not row[audio]:
                    problems.add(f"{where}: no audio file is named: repair or remove the line")
                    continue
                speaker_name = "_".join(row[speaker].split()) if speaker else ""
                line = Line(row[text].strip(), where, speaker_name, row[language].strip() if language else "")
                _add(found, row[audio].strip(), line, problems)
            return found
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text: convert the file (iconv -t UTF-8)") from None
    except csv.Error as error:
        raise UserError(f"{path}: not a table ({error}): repair it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
