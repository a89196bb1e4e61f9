# Copyright 2026 The hasrd authors
# Apache-2.0
"""Crop agreement: how often a crop of an utterance, encoded alone, gets the tokens that it has within the utterance.

A codec trains on crops, and normalises each over its own frames; in use it sees whole utterances. Ours: the paper does
not report it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Sequence, TypedDict

import numpy as np

from hasrd.config import read_json
from hasrd.data.archive import read_archives, read_integers
from hasrd.errors import UserError
from hasrd.metrics.measure import Inputs, Measure, Reading, Result, content
from hasrd.metrics.scoring.tokens import TOKENS
from hasrd.metrics.undefined import Undefined

# Of the table of utterances: of the first codebook.
COLUMNS = ("agreeing", "tokens", "inner_agreeing", "inner_tokens")


class CropFacts(TypedDict):
    """What crops.json says: samples of a crop, and what `inner` takes."""

    samples: int
    margin: int | None


def read_crop_facts(path: Path) -> CropFacts:
    """Read crops.json, as `hasrd tokenize --crop_seconds` writes it; UserError where it is none."""
    return read_json(path, CropFacts, "run stage 6 again, with --crop_seconds")


class CropReading(Reading):
    """Codes of crops (`crops`), beside them crops.json, and of the utterances (`codes`).

    Attributes:
        crops: Utterance to integers (T', 1 + M), place in the utterance and codes.
        whole: Utterance to integers (T, M), of these utterances and maybe more.

    Raises:
        Undefined: There is no crop.
        UserError: No such files.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.whole = dict(read_archives(inputs.codes, read_integers))
        self.crops = dict(read_archives(inputs.crops, read_integers))
        made_with = read_crop_facts(inputs.crops.with_name("crops.json"))
        self.facts = {"sizes": list(inputs.codebook_sizes), "stream_names": list(inputs.stream_names), **made_with}
        if not self.crops:
            raise Undefined(f"{inputs.crops}: no utterance is longer than a crop")
        whole = {utt: self.whole[utt].tolist() if utt in self.whole else None for utt in self.crops}
        self.read = {"the codes": content({utt: (array.tolist(), whole[utt]) for utt, array in self.crops.items()})}


class CropAgreement(Measure):
    """See the file; the mean is that of the first codebook."""

    name = "crop_agreement"
    label = "Crop agreement"
    unit = "%"
    source = (
        "ours: share of the tokens of one random crop an utterance, encoded alone, that the same frames have in the "
        "whole utterance; the crops begin where a token does"
    )
    inputs = (*TOKENS, "crops")
    taken_of = "tokens"
    reading = CropReading
    table = "crops"
    order = 80

    def compute(self, reading: CropReading, system: str) -> Result:
        """Return the result of one system; see `Measure`.

        Raises:
            UserError: An utterance without codes, or crops and codes that do not fit together.
        """
        crops, whole, margin = reading.crops, reading.whole, reading.facts["margin"]
        sizes, stream_names = reading.facts["sizes"], reading.facts["stream_names"]
        same = {}
        for utt, array in sorted(crops.items()):
            if utt not in whole:
                raise UserError(
                    f"{reading.inputs.codes}: utterance '{utt}' of {reading.inputs.crops} is missing: run stage 6 again"
                )
            try:
                if array.ndim != 2 or array.shape[1] != 1 + len(sizes) or len(stream_names) != len(sizes):
                    raise ValueError(
                        f"crops {array.shape} for {len(sizes)} codebooks, {len(stream_names)} stream names"
                    )
                same[utt] = agreement(array[:, 1:], array[:, 0], whole[utt])
            except ValueError as error:
                raise UserError(f"{reading.inputs.crops}: utterance '{utt}': {error}: run stage 6 again") from None
        middle = {utt: inner(len(hits), margin) for utt, hits in same.items()}
        books, rows = [], []
        for book, (size, stream) in enumerate(zip(sizes, stream_names)):
            rows.append({})
            for utt, hits in same.items():
                own, inside = hits[:, book], hits[middle[utt], book]
                rows[book][utt] = (int(own.sum()), len(own), int(inside.sum()), len(inside))
            all_codes = np.concatenate([array[:, book] for array in whole.values()])
            books.append(
                {
                    "codebook": book,
                    "stream": stream,
                    "size": size,
                    **_share("", rows[book], COLUMNS[:2]),
                    **(_share("inner_", rows[book], COLUMNS[2:]) if any(own.any() for own in middle.values()) else {}),
                    "chance": 100 * chance(all_codes, size),
                }
            )
        return Result.of_books(
            books,
            COLUMNS,
            rows[0],
            crop_samples=reading.facts["samples"],
            margin=margin,
            inner="the middle half" if margin is None else "beyond what the encoder sees of the crop's ends",
            left_out=len(whole) - len(crops),
        )


def agreement(crop: np.ndarray, places: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Say which tokens of a crop are those of the whole utterance.

    Args:
        crop: (T', M) codes of the crop.
        places: (T',) index in the utterance of each of its frames.
        whole: (T, M) codes of the utterance.

    Returns:
        (T', M) bool.

    Raises:
        ValueError: Not as many codebooks or places, or a place outside of the utterance.
    """
    if crop.ndim != 2 or whole.ndim != 2 or crop.shape[1] != whole.shape[1] or places.shape != crop.shape[:1]:
        raise ValueError(f"a crop {crop.shape} at {places.shape} places of an utterance {whole.shape}")
    if len(places) and not 0 <= places.min() <= places.max() < len(whole):
        raise ValueError(f"places {places.min()} to {places.max()} of {len(whole)} tokens")
    return crop == whole[places]


def inner(number: int, margin: int | None) -> np.ndarray:
    """Say which of a crop's tokens count as inner ones.

    Args:
        number: T', tokens of the crop.
        margin: tokens at either end that the surroundings of the crop would change; None where all are: then the
            middle half is inner.

    Returns:
        (T',) bool.
    """
    margin = number // 4 if margin is None else margin
    index = np.arange(number)
    return (index >= margin) & (index < number - margin)


def chance(codes: np.ndarray, size: int) -> float:
    """Agreement of two tokens drawn at random: the sum of the squared shares of the codes (n,)."""
    share = np.bincount(codes, minlength=size) / max(len(codes), 1)
    return float((share**2).sum())


def _share(name: str, rows: Mapping[str, Sequence[int]], ratio: tuple[str, str]) -> dict[str, Any]:
    found = Result.of_ratio(COLUMNS, rows, ratio, 100.0)
    return {f"{name}value": found.mean, f"{name}ci95": list(found.ci95)}
