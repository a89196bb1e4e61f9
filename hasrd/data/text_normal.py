# Copyright 2026 The hasrd authors
# Apache-2.0
"""Transcripts as they are said: words in one case, numbers in words of the language, no punctuation.

What is said cannot be told from some texts ("1/2", "3.5", "A4", "50 %"): they are `Unclear`, and not guessed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from hasrd.data.prompt_text import Unclear
from hasrd.errors import UserError

CASES = ("upper", "lower", "keep")
# Longer ones are read digit by digit, as telephone numbers.
MOST_DIGITS = 9
# Signs of punctuation that are said; so is every sign of the category S (symbols).
_SAID = "@&%#*"
# Zero-width joiners: they tell words of Persian and of Indian languages apart.
_JOINERS = "\u200c\u200d"
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class TextRules:
    """How transcripts are normalised.

    Attributes:
        language: ISO 639-1, such as "ru"; "": numbers stay as they are.
        case: One of `CASES`. The dotted and the dotless i of Turkish and Azerbaijani keep their difference.
        remove: Signs that are left out, also inside of words, such as marks of stress.
    """

    language: str = ""
    case: str = "upper"
    remove: str = ""


def normalize_text(text: str, rules: TextRules, language: str = "") -> str:
    """Return the words of a transcript, with one blank between them.

    Apostrophes inside of words stay, hyphens part words.

    Args:
        text: As written.
        rules: How.
        language: Of this text, where `rules` names none.

    Raises:
        Unclear: What is said cannot be told, or nothing is.
        UserError: There are no words for the numbers of this language.
    """
    language = re.split("[-_]", rules.language or language)[0].lower()
    text = unicodedata.normalize("NFC", text).replace("\u2019", "'")
    text = text.translate({ord(sign): None for sign in rules.remove})
    note = re.search(r"\[[^]]*\]|<[^>]*>|\{[^}]*\}", text)
    if note:
        raise Unclear("a note in brackets")
    if language:
        text = _say_numbers(text, language)
    text = "".join(map(_letter, text))
    if rules.case != "keep":
        text = _in_case(text, rules.case, language)
    words = (word.strip("'") for word in text.split())
    text = " ".join(word for word in words if word)
    if not text:
        raise Unclear("no speech in it")
    return text


def _letter(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] in "LMN" or character == "'" or character in _JOINERS:
        return character
    if category[0] == "S" or character in _SAID:
        raise Unclear(f"the sign {character}")
    # Soft hyphens, marks of direction and the like are not seen.
    return "" if category == "Cf" else " "


def _say_numbers(text: str, language: str) -> str:
    if re.search(r"[^\W\d_]\d|\d[^\W\d_]|\d\w*_|\d\s?[.,:/\u2044-]\s?\d|\d+ \d{3}\b", text):
        raise Unclear("a number that can be read in several ways")
    return _DIGITS.sub(lambda match: f" {number_words(match[0], language)} ", text)


def number_words(digits: str, language: str) -> str:
    """Say a whole number, with the package num2words; the cardinal number in its first form.

    Raises:
        Unclear: It is too long, or begins with a zero: such are read in other ways.
        UserError: The package is missing, or does not know the language.
    """
    if len(digits) > MOST_DIGITS or (len(digits) > 1 and int(digits[0]) == 0):
        raise Unclear("a number that can be read in several ways")
    try:
        from num2words import num2words
    except ImportError:
        raise UserError(
            f"--lang {language}: numbers in transcripts need the package num2words: tools/install.sh --extras data, or "
            "pip install 'hasrd[data]'; or leave --lang out"
        ) from None
    try:
        words = num2words(int(digits), lang=language)
    except NotImplementedError:
        raise UserError(
            f"--lang {language}: num2words knows no numbers of this language: write them as words, or leave --lang out"
        ) from None
    return re.sub(r"[-,]", " ", words)


def _in_case(text: str, case: str, language: str) -> str:
    turkic = language in ("tr", "az")
    if case == "upper":
        return (text.replace("i", "\u0130") if turkic else text).upper()
    return (text.replace("\u0130", "i").replace("I", "\u0131") if turkic else text).lower()
