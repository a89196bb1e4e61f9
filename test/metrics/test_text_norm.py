# Copyright 2026 The hasrd authors
# Apache-2.0
import sys

import pytest

from hasrd.metrics.text_norm import make_normaliser

PAIRS = [
    ("MISTER HALE AND MISSUS THORNTON'S", "Mr. Hale and Mrs. Thornton's."),
    ("TWENTY THREE PEOPLE IN EIGHTEEN FORTY TWO", "23 people in 1842."),
    ("IT'S THE FIRST OF DOCTOR GREY", "It is the 1st of Dr. Gray..."),
    ("ONE OF THEM", "one of them"),
    ("HMM WELL", "Well"),
    ("", "   "),
]


@pytest.mark.parametrize("reference, hypothesis", PAIRS)
def test_what_a_corpus_and_a_recogniser_write_becomes_one_form(reference, hypothesis):
    pytest.importorskip("whisper_normalizer")
    normalise, name = make_normaliser("en")
    assert normalise(reference) == normalise(hypothesis)
    assert normalise(normalise(reference)) == normalise(reference)
    assert "English" in name and "whisper-normalizer" in name


def test_other_languages_lose_case_and_punctuation_alone():
    pytest.importorskip("whisper_normalizer")
    normalise, name = make_normaliser("de")
    assert normalise("  Grüß Gott,  Herr Müller! 23 ") == "grüß gott herr müller 23"
    assert "basic" in name


def test_a_missing_package_is_one_line(monkeypatch, one_line):
    monkeypatch.setitem(sys.modules, "whisper_normalizer.english", None)
    one_line("whisper-normalizer is not installed: pip install", make_normaliser, "en")
