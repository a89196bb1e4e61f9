# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading of transcripts beside their references, Kaldi `text` files; also those that a recogniser wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, TypedDict

from hasrd.config import check, read_json
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.metrics.measure import Inputs, Reading, content, match
from hasrd.metrics.text_norm import make_normaliser


class TextReading(Reading):
    """References (`ref`) and each system's transcripts (`hyp`).

    Attributes:
        texts: System to references and transcripts, each utterance to text.

    Raises:
        UserError: The two don't hold the same utterances, or every reference is empty.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        references = read_table(inputs.ref, may_be_empty=True)
        self.texts = {}
        for system, path in inputs.hyp.items():
            self.texts[system] = references, read_table(path, may_be_empty=True)
            match(*self.texts[system], str(inputs.ref), str(path))
            self.note(system)

    def note(self, system: str) -> None:
        """Look at the texts of a system, and state what they are."""
        references, hypotheses = self.texts[system]
        check_references(references, self.inputs.ref)
        self.read_of[system] = {"the references": content(references), "the hypotheses": content(hypotheses)}


class RecognisedReading(TextReading):
    """The same of what `hasrd recognise` wrote, both texts normalised.

    Raises:
        UserError: No recogniser.json lies beside the text, or the normalisation is not installed.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        for system, path in inputs.hyp.items():
            recogniser = read_recogniser(path.with_name("recogniser.json"))
            normalise, name = make_normaliser(recogniser["language"])
            self.facts_of[system] = {"recogniser": recogniser, "normalisation": name}
            self.texts[system] = tuple({utt: normalise(own[utt]) for utt in own} for own in self.texts[system])
            self.note(system)


def check_references(references: Mapping[str, str], path: Path) -> None:
    """Raise UserError where no reference has a word."""
    if not any(text.split() for text in references.values()):
        raise UserError(f"{path}: every reference is empty: there is nothing to score against")


class _Recogniser(TypedDict):
    model: str
    sha256: str
    language: str


def read_recogniser(path: Path) -> dict[str, Any]:
    """Read what says how a recogniser's text was made; UserError where it does not."""
    advice = "make the text with hasrd recognise"
    facts = read_json(path, advice=advice)
    # The rest of it goes into the score as it is.
    check(facts, _Recogniser, path, advice)
    return facts
