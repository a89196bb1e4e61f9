# Copyright 2026 The hasrd authors
# Apache-2.0
"""TextGrid files (Praat; the Montreal Forced Aligner writes them): one utterance a file, tiers "words" and "phones".

They are read as Praat reads its text files (manual, "TextGrid file formats"): what counts are numbers, texts in double
quotes and flags such as <exists> that stand alone; every other word and what follows a "!" is a comment. The long and
the short form are the same then. (The package praatio refuses exponents, comments and a missing blank line, and takes a
file of the short form that was cut off between two intervals for a whole one.)
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

from hasrd.data.alignments.tracks import DEFAULT_RULES, BadAlignment, Rules, Track, TrackBuilder, seconds, shown
from hasrd.data.problems import Problems
from hasrd.errors import UserError

# Names of tiers in lower case, also after a speaker's name ("HALE - words").
_TIERS = {"words": ("words", "word"), "phones": ("phones", "phone", "phonemes")}
# Comment; text, with its quotes doubled; flag; number; the value after "=", which must be one of these; other word.
_TOKEN = re.compile(
    r'(?P<comment>![^\n]*)|"(?P<text>[^"]*(?:""[^"]*)*)"|<(?P<flag>[^>\s]*)>|(?P<number>[-+]?[0-9]\S*)|'
    r"=[^\S\n]*(?P<bad>[^\s\"<0-9+!-]\S*)|(?P<word>\S+)"
)
_FORMS = ("ooTextFile", "ooTextFile short")
_ADVICE = "make it again or leave it out"


@dataclass
class _Tier:
    """A tier as it stands in the file: class, name, and line, start, end and label of each interval."""

    kind: str
    name: str
    intervals: list[tuple[int, str, str, str]]


def read_textgrid(
    path: Path, kinds: Sequence[str], problems: Problems, rules: Rules = DEFAULT_RULES
) -> dict[str, Track]:
    """Read one file.

    Args:
        path: The file; UTF-8, or UTF-16 with a byte order mark.
        kinds: Which of words and phones to read.
        problems: Takes what is wrong, with its line.
        rules: How segments are taken.

    Returns:
        Kind to track, of those tiers that are there and right.

    Raises:
        UserError: The file is missing or no text.
    """
    try:
        tiers = _Reader(_decode(path)).tiers()
    except BadAlignment as error:
        problems.add(f"{path}{error}")
        return {}
    tracks: dict[str, Track] = {}
    before = len(problems.lines)
    for kind in kinds:
        own = [tier for tier in tiers if tier.name.lower().rpartition(" - ")[2].strip() in _TIERS[kind]]
        own = [tier for tier in own if tier.kind == "IntervalTier"]
        if len(own) > 1:
            problems.add(f"{path}: {len(own)} tiers of {kind} ({_names(own)}): one speaker a file is supported")
        if len(own) != 1:
            continue
        builder = TrackBuilder(kind, rules)
        for line, start, end, label in own[0].intervals:
            try:
                builder.add(start, end, label)
            except BadAlignment as error:
                problems.add(f"{path}:{line}: tier {shown(own[0].name)}: {error}")
                break
        else:
            tracks[kind] = builder.track()
    if not tracks and len(problems.lines) == before:
        wanted = " or ".join(f"'{kind}'" for kind in kinds)
        problems.add(f"{path}: no interval tier named {wanted}, but {_names(tiers) or 'none'}: rename the tiers")
    return tracks


def _decode(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    encoding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        raise UserError(f"{path}: neither UTF-8 nor UTF-16 text: save it again from Praat as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


class _Reader:
    """Takes the values of a file one after the other; BadAlignment begins with the place, `:line: ` or `: `."""

    def __init__(self, content: str) -> None:
        self.content = content
        self.line = 1
        self.tokens = self._tokens()

    def _tokens(self) -> Iterator[tuple[str, str]]:
        position = 0
        for match in _TOKEN.finditer(self.content):
            self.line += self.content.count("\n", position, match.start())
            position = match.start()
            kind = str(match.lastgroup)
            if kind == "bad" or match[0].startswith('"') and kind == "word":
                # A text without its closing quote, or `xmin = abc`.
                yield "bad", match[kind]
            elif kind in ("text", "flag", "number"):
                yield kind, match[kind]

    def take(self, wanted: str, what: str) -> str:
        """The next value, which must be a text, flag or number."""
        kind, value = next(self.tokens, ("end", ""))
        if kind == "end":
            raise BadAlignment(f": it ends where {what} should follow: the file was cut off: {_ADVICE}")
        if kind == "bad" and value.startswith('"'):
            raise BadAlignment(f":{self.line}: a text without its closing quote: the file was cut off: {_ADVICE}")
        if kind != wanted:
            raise BadAlignment(f":{self.line}: {shown(value)} stands where {what} should be: {_ADVICE}")
        return value.replace('""', '"') if kind == "text" else value

    def time(self, what: str) -> str:
        """The next value as a time that is not negative, as it is written."""
        value = self.take("number", what)
        try:
            if seconds(value) < 0:
                raise BadAlignment(f"the time {value} s is negative: times count from the start of the audio")
        except BadAlignment as error:
            raise BadAlignment(f":{self.line}: {error}") from None
        return value

    def count(self, what: str) -> int:
        """The next value as a number of things."""
        value = self.take("number", what)
        if not (value.isascii() and value.isdecimal() and len(value) < 10):
            raise BadAlignment(f":{self.line}: {shown(value)} stands where {what} should be: {_ADVICE}")
        return int(value)

    def tiers(self) -> list[_Tier]:
        """All tiers."""
        try:
            form, kind = self.take("text", "'ooTextFile'"), self.take("text", "'TextGrid'")
        except BadAlignment:
            form, kind = "", ""
        if form not in _FORMS or kind != "TextGrid":
            raise BadAlignment(f": not a TextGrid file (it begins otherwise): {_ADVICE}")
        self.time("the start")
        self.time("the end")
        if self.take("flag", "'<exists>'") != "exists":
            return []
        found = [self._tier() for _ in range(self.count("the number of tiers"))]
        if next(self.tokens, None) is not None:
            raise BadAlignment(f":{self.line}: more than the {len(found)} tiers that it should have: {_ADVICE}")
        return found

    def _tier(self) -> _Tier:
        kind = self.take("text", "a tier's class")
        if kind not in ("IntervalTier", "TextTier"):
            raise BadAlignment(f":{self.line}: {shown(kind)} stands where a tier's class should be: {_ADVICE}")
        name = self.take("text", "a tier's name")
        self.time("the start of the tier")
        self.time("the end of the tier")
        tier = _Tier(kind, name, [])
        for _ in range(self.count("the number of intervals")):
            start = self.time("a time")
            line = self.line
            # A point of a "TextTier" has one time.
            end = self.time("the end of an interval") if kind == "IntervalTier" else start
            tier.intervals.append((line, start, end, self.take("text", "a label")))
        return tier


def _names(tiers: Sequence[_Tier]) -> str:
    return ", ".join(shown(tier.name) for tier in tiers)
