# Copyright 2026 The hasrd authors
# Apache-2.0
"""How much a small language model has to be told of the units: bits per second of speech.

An n-gram model is trained on the units of the training set; the score is what it needs, in bits, to predict those of
the test set and their end, over the seconds of speech. Units that are easy to predict need few bits, as do units that
say little: read it beside what is understood of the speech.

Smoothing: interpolated Kneser-Ney, with one discount an order (Ney, Essen and Kneser, 1994) and the uniform
distribution below the unigrams. Chen and Goodman (An empirical study of smoothing techniques for language modeling,
1999) find it, with its modified form, the best of n-gram smoothings at all sizes of data. The modified form's three
discounts need n-grams that occur once to four times; the closed vocabularies of units often have none.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from typing import Any, Mapping, Sequence

import numpy as np

from hasrd.errors import UserError
from hasrd.metrics.bootstrap import METHOD, ratio_interval
from hasrd.metrics.measure import Inputs, Measure, Result, content
from hasrd.metrics.scoring.tokens import TOKENS, CodesReading, check_range, read_codes
from hasrd.metrics.undefined import Undefined
from hasrd.quantizer.streams import ACOUSTIC
from hasrd.units import SPECIAL
from hasrd.units.arrangements import deduplicate, once
from hasrd.units.bpe import UnitBpe

ORDER = 3
# Of the training set; utterances are left out evenly beyond: BPE takes 15 s a million.
MOST_CODES = 2_000_000
# Pieces for each unit of the codebook.
PIECES = 2


class KneserNey:
    """An interpolated Kneser-Ney n-gram model of sequences of integers and their end.

    Args:
        sequences: Integers in [0, size), each (L,).
        size: How many different ones there can be.
        order: n.
    """

    def __init__(self, sequences: Sequence[np.ndarray], size: int, order: int = ORDER) -> None:
        self.size, self.order = size, order
        self.base = size + 2
        keys, counts = np.unique(self._grams(sequences), return_counts=True)
        self.levels = []
        for length in range(order, 0, -1):
            self.levels.append(_Level(keys, counts, self.base))
            # How many different ones stand before the shorter one: its count, except in the longest.
            keys, counts = np.unique(keys % self.base ** (length - 1), return_counts=True)

    def bits(self, sequence: np.ndarray) -> float:
        """Return what a sequence and its end cost, in bits."""
        grams = self._grams([sequence])
        chance = np.full(len(grams), 1 / (self.size + 1))
        for length, level in enumerate(reversed(self.levels), start=1):
            chance = level.interpolate(grams % self.base**length, chance)
        return float(-np.log2(chance).sum())

    def _grams(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Return the n-gram that ends with each integer and with each end, as a number in base `size` + 2."""
        start, end = [self.size + 1] * (self.order - 1), [self.size]
        padded = np.concatenate([np.concatenate([start, sequence, end]).astype(np.int64) for sequence in sequences])
        lengths = np.array([len(sequence) + 1 for sequence in sequences])
        last = np.arange(lengths.sum()) + np.repeat(np.arange(1, len(lengths) + 1) * len(start), lengths)
        return sum(padded[last - back] * self.base**back for back in range(self.order))


class _Level:
    """N-grams of one length: sorted keys (G,) and counts (G,)."""

    def __init__(self, keys: np.ndarray, counts: np.ndarray, base: int) -> None:
        self.keys, self.counts, self.base = keys, counts, base
        once_only, twice = (counts == 1).sum(), (counts == 2).sum()
        self.discount = once_only / (once_only + 2 * twice) if once_only else 0.5
        self.contexts, index = np.unique(keys // base, return_inverse=True)
        self.totals, self.types = np.bincount(index, counts), np.bincount(index)

    def interpolate(self, grams: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """Return the chances (N,) of n-grams from those that the next shorter ones give."""
        found, place = _find(self.contexts, grams // self.base)
        held, own = _find(self.keys, grams)
        counts = np.where(held, self.counts[own] - self.discount, 0.0)
        mixed = (counts + self.discount * self.types[place] * lower) / self.totals[place]
        return np.where(found, mixed, lower)


def _find(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return keys[place] == wanted, place


class UnitsReading(CodesReading):
    """Tokens of a set and those of the training set.

    Attributes:
        train: Utterance to integers (T, M) of the training set; M may be less.

    Raises:
        Undefined: The sets have an utterance in common.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.train = read_codes(inputs.train_codes, len(inputs.codebook_sizes), fewer=True)
        for utterance, array in self.train.items():
            check_range(inputs.train_codes, utterance, array, inputs.codebook_sizes)
        if set(self.train) & set(self.codes):
            raise Undefined(f"{inputs.train_codes} has utterances of {inputs.codes}, which a model would know")
        # Not as text: it may be 1000 h.
        hashes = {utt: hashlib.sha256(array.tobytes()).hexdigest() for utt, array in self.train.items()}
        self.read["the training set's codes"] = content(hashes)


class UnitBits(Measure):
    """See the file: of each codebook that is not acoustic (of the first, where all are)."""

    name = "unit_bits"
    label = "Unit language model"
    unit = "bit/s"
    higher_is_better = False
    source = f"interpolated Kneser-Ney {ORDER}-gram of the training set's units, ends included, on the test set's"
    inputs = (*TOKENS, "train_codes")
    taken_of = "tokens"
    reading = UnitsReading
    settings = {"order": ORDER, "most_codes": MOST_CODES, "pieces": PIECES, "interval": METHOD}
    table = "units"
    order = 72

    def compute(self, reading: UnitsReading, system: str) -> Result:
        """Return the bits of the first such codebook's codes; the details have all, deduplicated and joined too."""
        names, sizes = reading.facts["stream_names"], reading.facts["codebook_sizes"]
        strides = reading.facts.get("codebook_strides", [1] * len(sizes))
        order = sorted(reading.codes)
        seconds = np.array([len(reading.codes[utt]) for utt in order]) / reading.facts["frame_rate"]
        columns = next(iter(reading.train.values())).shape[1]
        chosen = [m for m, name in enumerate(names[:columns]) if name != ACOUSTIC] or [0]
        books: list[dict[str, Any]] = []
        for m in chosen:
            test = _units([reading.codes[utt][:, m] for utt in order], strides[m], reading.inputs.codes)
            train = _units(_some(reading.train, m), strides[m], reading.inputs.train_codes)
            forms = _forms(train, test, sizes[m], seconds)
            books.append({"codebook": m, "stream": names[m], "size": sizes[m], **forms.pop("codes"), "forms": forms})
        bits = books[0].pop("bits")
        for book in books:
            book.pop("bits", None)
        rows = {utt: (cost, second) for utt, cost, second in zip(order, bits, seconds.tolist())}
        return Result.of_books(books, ("bits", "seconds"), rows, **{**reading.facts, "interval": METHOD})


def _units(columns: Sequence[np.ndarray], stride: int, where: Any) -> list[np.ndarray]:
    try:
        return [once(column.astype(np.int64), stride) for column in columns]
    except ValueError as error:
        raise UserError(f"{where}: {error}: make the tokens again") from None


def _some(train: Mapping[str, np.ndarray], book: int) -> list[np.ndarray]:
    """Return the codes of utterances of the training set, evenly taken, up to the most that are used."""
    step = -(-sum(map(len, train.values())) // MOST_CODES)
    return [train[utterance][:, book] for utterance in sorted(train)[:: max(step, 1)]]


def _forms(
    train: list[np.ndarray], test: list[np.ndarray], size: int, seconds: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Return the scores of the units as they are, deduplicated (without durations), and those joined by BPE."""
    forms = {"codes": _score(train, test, size, seconds)}
    train, test = ([deduplicate(units)[0] for units in part] for part in (train, test))
    forms["deduplicated"] = _score(train, test, size, seconds)
    pieces = PIECES * size + len(SPECIAL)
    if find_spec("sentencepiece") is None:
        forms["bpe"] = {"missing": "pip install sentencepiece"}
    else:
        try:
            bpe = UnitBpe(UnitBpe.train(train, size, pieces), size)
            train, test = ([bpe.encode(units) for units in part] for part in (train, test))
            forms["bpe"] = {"pieces": pieces, **_score(train, test, pieces, seconds)}
        except UserError as error:
            # Few units give few pieces.
            forms["bpe"] = {"missing": str(error)}
    for name in ("deduplicated", "bpe"):
        forms[name].pop("bits", None)
    return forms


def _score(train: list[np.ndarray], test: list[np.ndarray], size: int, seconds: np.ndarray) -> dict[str, Any]:
    model = KneserNey(train, size)
    bits = [model.bits(units) for units in test]
    low, high = ratio_interval(bits, seconds)
    total, number = float(seconds.sum()), sum(map(len, test))
    return {
        "value": sum(bits) / total,
        "ci95": [low, high],
        "units_per_second": number / total,
        "bits_per_unit": sum(bits) / max(number, 1),
        "bits": bits,
    }
