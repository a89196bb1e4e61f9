# Copyright 2026 The hasrd authors
# Apache-2.0
"""One form for what a recogniser writes and what a corpus writes, so that only words are compared.

A recogniser writes "Mr. Hale, 23", a corpus "MISTER HALE TWENTY THREE". English goes through Whisper's normalisation
(lower case, no punctuation, numbers as digits, titles and contractions in full, American spelling, no fillers such as
"hmm"), the one that published Whisper WERs use; other languages through its basic one (lower case, no punctuation or
symbols). What has no letter or digit is no word. Source: Radford et al., Robust Speech Recognition via Large-Scale Weak
Supervision (2022), appendix C, as the package whisper-normalizer has it.
"""

from __future__ import annotations

import functools
from typing import Callable

from hasrd.errors import UserError
from hasrd.metrics.versions import versions

PACKAGE = "whisper-normalizer"


def make_normaliser(language: str) -> tuple[Callable[[str], str], str]:
    """Return the normalisation for a language (ISO 639-1, such as en) and its name with its version.

    Raises:
        UserError: The package is not installed.
    """
    try:
        if language == "en":
            from whisper_normalizer.english import EnglishTextNormalizer as Normaliser
        else:
            from whisper_normalizer.basic import BasicTextNormalizer as Normaliser
    except ImportError:
        raise UserError(f"{PACKAGE} is not installed: pip install 'hasrd[eval]'") from None
    normalise = Normaliser()
    kind = "English" if language == "en" else "basic"
    name = f"Whisper's {kind} normalisation ({PACKAGE} {versions([PACKAGE])[PACKAGE]})"
    return functools.partial(_words, normalise), name


def _words(normalise: Callable[[str], str], text: str) -> str:
    # Of an ellipsis, Whisper's leaves a full stop that would count as a word.
    return " ".join(word for word in normalise(text).split() if any(map(str.isalnum, word)))
