# Copyright 2026 The hasrd authors
# Apache-2.0
"""Transcripts from the texts of telephone prompts, as the Asterisk packages carry them.

The texts were written for people: notes in brackets, digits, a few lines run together. What is spoken can't be told
from some of them; those are left out, with the reason, and not guessed.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Container

# How the voice reads a single digit. Longer numbers are read in several ways (1234, 28.8): not guessed.
DIGITS = {
    "en": "ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE",
    "es": "CERO UNO DOS TRES CUATRO CINCO SEIS SIETE OCHO NUEVE",
    "fr": "ZÉRO UN DEUX TROIS QUATRE CINQ SIX SEPT HUIT NEUF",
    "it": "ZERO UNO DUE TRE QUATTRO CINQUE SEI SETTE OTTO NOVE",
    "ru": "НОЛЬ ОДИН ДВА ТРИ ЧЕТЫРЕ ПЯТЬ ШЕСТЬ СЕМЬ ВОСЕМЬ ДЕВЯТЬ",
}
# Keys of a telephone, where a language's texts write the sign.
SIGNS = {"en": {"*": "STAR", "#": "POUND"}, "fr": {"*": "ÉTOILE", "#": "DIÈSE"}}
BRACKETED = re.compile(r"\(([^)]*)\)|\[([^]]*)\]|<([^>]*)>")


class Unclear(Exception):
    """What the voice says can't be told from the text; the message says why."""


def parse_prompts(content: bytes) -> tuple[dict[str, str], set[str]]:
    """Read `name: text` lines.

    Returns:
        Name to text, and the names that stand there twice with different texts.
    """
    prompts: dict[str, str] = {}
    ambiguous: set[str] = set()
    for line in content.decode("utf-8-sig").splitlines():
        name, separator, text = line.partition(":")
        if not separator or line.startswith(";"):
            continue
        name, text = name.strip(), text.strip()
        if prompts.get(name, text) != text:
            ambiguous.add(name)
        prompts[name] = text
    return prompts, ambiguous


def transcript(text: str, language: str, names: Container[str] = ()) -> str:
    """What is said, in upper-case words of letters (and apostrophes) alone.

    Args:
        text: As written in the package.
        language: `en`, `es`, `fr`, `it` or `ru`.
        names: Names of all prompts: some lines carry the next one (`text name: next text`).

    Raises:
        Unclear: Nothing spoken, a number of several digits, an unknown sign, a note in the middle.
    """
    text = unicodedata.normalize("NFC", text).replace("’", "'")
    text = _without_next_lines(text, names)
    text = _without_notes(text)
    if re.search(r"\d[\d.,]*\d|\d[^\W\d_]|[^\W\d_]-?\d", text):
        raise Unclear("a number that can be read in several ways")
    if re.search(r"\bwww\.", text):
        raise Unclear("a web address")
    digits = DIGITS[language].split()
    text = re.sub(r"\d", lambda match: f" {digits[int(match.group())]} ", text)
    for sign, word in SIGNS.get(language, {}).items():
        text = text.replace(sign, f" {word} ")
    unknown = re.search(r"[^\w\s.,;:!?'\"“”«»…–/-]|_", text)
    if unknown:
        raise Unclear(f"the sign {unknown.group()}")
    text = re.sub(r"[^\w']+", " ", text.upper())
    # Apostrophes stay inside words (DON'T, L'AGENT); quotation marks go.
    words = [word.strip("'") for word in text.split()]
    text = " ".join(word for word in words if word)
    if not text:
        raise Unclear("no speech in it")
    if language == "en" and not re.fullmatch(r"[A-Z' ]+", text):
        raise Unclear("letters that are not English")
    return text


def _without_next_lines(text: str, names: Container[str]) -> str:
    for match in re.finditer(r"(?:^|[\s.])([A-Za-z0-9_/-]+):\s", text):
        if match.group(1) in names:
            before = text[: match.start(1)].strip()
            return before if before else _without_next_lines(text[match.end() :], names)
    return text


def _without_notes(text: str) -> str:
    if not BRACKETED.sub("", text).strip(" .?!"):
        raise Unclear("no speech in it")
    for match in reversed(list(BRACKETED.finditer(text))):
        note = next(group for group in match.groups() if group is not None)
        at_end = not re.search(r"\w", text[match.end() :])
        # A sign that the word before spells, `at [@]`, or a remark on the recording at the end.
        if not re.search(r"\w", note) or (at_end and match.group().startswith("(")):
            text = text[: match.start()] + " " + text[match.end() :]
        else:
            raise Unclear("a note in the middle of the text")
    return text
