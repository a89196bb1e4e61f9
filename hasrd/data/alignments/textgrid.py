# Copyright 2026 The hasrd authors
# Apache-2.0
"""TextGrid files (Praat; the Montreal Forced Aligner writes them): one utterance a file, tiers "words" and "phones".

praatio reads the long and the short form; UTF-8, and UTF-16 with a byte order mark.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any, Sequence

from hasrd.data.alignments.tracks import BadAlignment, Track, TrackBuilder, seconds
from hasrd.data.problems import Problems
from hasrd.errors import UserError

# Names of tiers in lower case, also after a speaker's name ("HALE - words").
_TIERS = {"words": ("words", "word"), "phones": ("phones", "phone", "phonemes")}
# A time in the long form. praatio drops its sign and tells no line.
_TIME = re.compile(r"\s*(?:xmin|xmax)\s*=\s*(\S*)")


def read_textgrid(path: Path, kinds: Sequence[str], problems: Problems) -> dict[str, Track]:
    """Read one file.

    Args:
        path: The file.
        kinds: Which of words and phones to read.
        problems: Takes what is wrong, with the line where there is one, else tier and interval.

    Returns:
        Kind to track, of those tiers that are there and right.

    Raises:
        UserError: praatio is not installed, or the file can't be read.
    """
    content = _decode(path)
    for number, line in enumerate(content.splitlines(), start=1):
        time = _TIME.match(line)
        try:
            if time and seconds(time[1]) < 0:
                raise BadAlignment(f"the time {time[1]} s is negative: times count from the start of the audio")
        except BadAlignment as error:
            problems.add(f"{path}:{number}: {error}")
            return {}
    tiers = _parse(path, content)
    tracks: dict[str, Track] = {}
    for kind in kinds:
        own = [tier for tier in tiers if tier["name"].lower().rpartition(" - ")[2].strip() in _TIERS[kind]]
        own = [tier for tier in own if tier["class"] == "IntervalTier"]
        if len(own) > 1:
            problems.add(f"{path}: {len(own)} tiers of {kind} ({_names(own)}): one speaker a file is supported")
        if len(own) != 1:
            continue
        builder = TrackBuilder(kind)
        try:
            for start, end, label in own[0]["entries"]:
                builder.add(start, end, label)
        except BadAlignment as error:
            # As many as were added, and one.
            number = len(builder.labels) + 1
            problems.add(f"{path}: tier '{own[0]['name']}', interval {number}: {error}")
            continue
        tracks[kind] = builder.track()
    if not tracks and not problems.lines:
        wanted = " or ".join(f"'{kind}'" for kind in kinds)
        problems.add(f"{path}: no interval tier named {wanted}, but {_names(tiers) or 'none'}: rename the tiers")
    return tracks


def _decode(path: Path) -> str:
    raw = path.read_bytes()
    encoding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        raise UserError(f"{path}: neither UTF-8 nor UTF-16 text: save it again from Praat as UTF-8") from None


def _parse(path: Path, content: str) -> list[dict[str, Any]]:
    try:
        from praatio.utilities.errors import PraatioException
        from praatio.utilities.textgrid_io import parseTextgridStr
    except ImportError:
        raise UserError("praatio, which reads TextGrid files, is missing: pip install 'hasrd[eval]'") from None
    try:
        # The parser below `openTextgrid`, which refuses the least overlap and tells no place.
        return parseTextgridStr(content, includeEmptyIntervals=True)["tiers"]
    except (PraatioException, ValueError, LookupError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: not a TextGrid file ({reason}): make it again or leave it out") from None


def _names(tiers: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"'{tier['name']}'" for tier in tiers)
