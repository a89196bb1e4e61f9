# Copyright 2026 The hasrd authors
# Apache-2.0
"""Transcripts as they are said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasrd.data.lines import strange_character
from hasrd.data.prompt_text import Unclear
from hasrd.data.text_normal import TextRules, normalize_text
from hasrd.errors import UserError


@pytest.mark.parametrize(
    "text, rules, expected",
    [
        ("Hello, well-known world!", TextRules(), "HELLO WELL KNOWN WORLD"),
        ("It’s 'so' he said.", TextRules(), "IT'S SO HE SAID"),
        ("вол+ос – за ухо", TextRules("ru", remove="+"), "ВОЛОС ЗА УХО"),
        ("cafe\u0301 soft\u00adhyphen", TextRules(case="lower"), "café softhyphen"),
        ("हिन्दी में।", TextRules("hi"), "हिन्दी में"),
        ("iki ılık İzmir", TextRules("tr"), "İKİ ILIK İZMİR"),
        ("İZMİR ILIK", TextRules("tr", "lower"), "izmir ılık"),
        ("Keep Case", TextRules(case="keep"), "Keep Case"),
        ("no language, 12", TextRules(), "NO LANGUAGE 12"),
    ],
)
def test_words(text, rules, expected):
    assert normalize_text(text, rules) == expected


@pytest.mark.parametrize(
    "text, language, expected",
    [
        ("21 men", "en", "TWENTY ONE MEN"),
        ("1234", "en", "ONE THOUSAND TWO HUNDRED AND THIRTY FOUR"),
        ("7 дней", "ru-RU", "СЕМЬ ДНЕЙ"),
        ("41 casas", "es", "CUARENTA Y UNO CASAS"),
        ("80", "fr_FR", "QUATRE VINGTS"),
    ],
)
def test_numbers_are_said(text, language, expected):
    pytest.importorskip("num2words")
    assert normalize_text(text, TextRules(language)) == expected
    # A language that the corpus states serves where none is named.
    assert normalize_text(text, TextRules(), language) == expected


@pytest.mark.parametrize("text", ["1/2", "3.5 km", "10:30", "A4 paper", "2nd", "1 000", "007", "12345678901", ""])
@pytest.mark.parametrize("more", ["", " 50 %", " $5", " a & b", " a <unk> b", " [noise]"])
def test_what_cannot_be_told_is_not_guessed(text, more):
    pytest.importorskip("num2words")
    with pytest.raises(Unclear):
        normalize_text(text + more, TextRules("en"))


def test_a_language_without_words_for_numbers():
    pytest.importorskip("num2words")
    with pytest.raises(UserError, match="--lang xx: num2words knows no numbers"):
        normalize_text("5", TextRules("xx"))
    assert normalize_text("five", TextRules("xx")) == "FIVE"


@given(st.text(max_size=40), st.sampled_from(["upper", "lower", "keep"]))
def test_whatever_is_written_a_table_can_hold_it(text, case):
    try:
        found = normalize_text(text, TextRules("", case))
    except Unclear:
        return
    assert found and found == " ".join(found.split()) and not strange_character(found)
