# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codes as detectors of words: precision, recall and F1 of a code for a word.

Source: Harwath, Hsu and Glass, Learning hierarchical discrete linguistic units from visually-grounded
speech (ResDAVEnet-VQ, ICLR 2020) and the program published with it. Of code c and word w:

    precision  frames of c whose window of +-40 ms around the centre overlaps w / frames of c
    recall     segments of w that hold c (a frame that overlaps the segment) / segments of w

Each word takes the code of highest F1. Here codes are chosen on the training set and scored on other
speech. Overlap means more than a common boundary.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from typing import Mapping, Sequence

import numpy as np

from hasrd.data.alignments.labels import SILENCE
from hasrd.errors import UserError
from hasrd.metrics.influence import DELTA, interval
from hasrd.metrics.measure import Inputs, Measure, Result, content
from hasrd.metrics.scoring.alignment import (
    SHUFFLE_SEED,
    Aligned,
    AlignedReading,
    by_language,
    languages_of,
    read_aligned,
)
from hasrd.metrics.scoring.tokens import TOKENS, codebooks

SOURCE = "ResDAVEnet-VQ: window of +-40 ms; codes chosen on the training set"
HALF_WIDTH = 0.04
MIN_OCCURRENCES = 5
TOP = 250
GOOD = 0.5
NO_CODE = -1
# Rows of the table of words in a score file, and for one of several languages.
BEST_WORDS = 25
FEWER_WORDS = 5


@dataclass(frozen=True)
class Incidence:
    """Which frames meet which words, in a set whose frames and word segments are numbered through.

    Attributes:
        near_frames: Frames whose window overlaps a word, int (A,).
        near_words: That word (A,); a pair of frame and word stands here once.
        held_frames: Frames that overlap a segment (B,).
        held_segments: That segment (B,).
        segment_words: Word of each segment (S,).
    """

    near_frames: np.ndarray
    near_words: np.ndarray
    held_frames: np.ndarray
    held_segments: np.ndarray
    segment_words: np.ndarray


def incidence(starts: np.ndarray, ends: np.ndarray, words: np.ndarray, num_frames: int, frame_rate: float) -> Incidence:
    """Return which frames of one utterance meet which of its words.

    Args:
        starts: Where the words begin, in seconds, ascending (S,).
        ends: Where they end, none after the next begins (S,).
        words: Each word's number (S,).
        num_frames: Frames of the codes.
        frame_rate: Frames a second.
    """
    # Rounded to microseconds: a boundary must not depend on how a division rounds.
    centres = (np.arange(num_frames) + 0.5) / frame_rate
    first = np.searchsorted(ends, np.round(centres - HALF_WIDTH, 6), side="right")
    behind = np.searchsorted(starts, np.round(centres + HALF_WIDTH, 6), side="left")
    frames, segments = _expand(first, behind)
    # A word said twice in a row is near a frame but once.
    near = np.unique(np.stack([frames, words[segments]], 1), axis=0)
    first = np.floor(np.round(starts * frame_rate, 6)).astype(np.int64)
    behind = np.minimum(np.ceil(np.round(ends * frame_rate, 6)).astype(np.int64), num_frames)
    held_segments, held_frames = _expand(first, behind)
    return Incidence(near[:, 0], near[:, 1], held_frames, held_segments, words)


def join(parts: list[Incidence], num_frames: list[int]) -> Incidence:
    """Return the incidence of a set from those of its utterances, with frames of each (U,)."""
    frames = np.cumsum([0, *num_frames])
    segments = np.cumsum([0, *(len(part.segment_words) for part in parts)])
    words = np.zeros_like(frames)
    # By how much the numbers in each field go up from utterance to utterance; words have one number in all.
    moved = zip(fields(Incidence), (frames, words, frames, segments, words))
    return Incidence(
        *(np.concatenate([getattr(part, own.name) + by for part, by in zip(parts, offsets)]) for own, offsets in moved)
    )


def choose_codes(codes: np.ndarray, met: Incidence, num_words: int, num_codes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each word's code of highest F1, the lowest of equal ones, and that F1.

    Args:
        codes: Code of each frame (T,).
        met: Which frames meet which words.
        num_words: Words W.
        num_codes: Codes K.

    Returns:
        (W,) int, NO_CODE for a word that no code detects; (W,) float.
    """
    cells, hits = np.unique(met.near_words * num_codes + codes[met.near_frames], return_counts=True)
    pairs = np.unique(met.held_segments * num_codes + codes[met.held_frames])
    held_cells, held = np.unique(
        met.segment_words[pairs // num_codes] * num_codes + pairs % num_codes, return_counts=True
    )
    # Only where a code has both can F1 be above 0.
    cells, left, right = np.intersect1d(cells, held_cells, True, return_indices=True)
    words, found = cells // num_codes, cells % num_codes
    occurrences = np.bincount(met.segment_words, minlength=num_words)
    uses = np.bincount(codes, minlength=num_codes)
    score = f1(hits[left] / uses[found], held[right] / occurrences[words])
    order = np.lexsort((found, -score, words))
    first = np.unique(words[order], return_index=True)[1]
    best = order[first]
    chosen = np.full(num_words, NO_CODE, dtype=np.int64)
    value = np.zeros(num_words)
    chosen[words[best]], value[words[best]] = found[best], score[best]
    return chosen, value


@dataclass(frozen=True)
class Detection:
    """What the chosen codes detect: each an array over words (W,).

    Attributes:
        hits: Frames of the word's code near the word.
        uses: Frames of that code.
        held: Segments of the word that hold the code.
        occurrences: Segments of the word.
    """

    hits: np.ndarray
    uses: np.ndarray
    held: np.ndarray
    occurrences: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """0 for a code that does not occur."""
        return self.hits / np.maximum(self.uses, 1)

    @property
    def recall(self) -> np.ndarray:
        """0 for a word that does not occur."""
        return self.held / np.maximum(self.occurrences, 1)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall."""
        return f1(self.precision, self.recall)


def detect(codes: np.ndarray, met: Incidence, chosen: np.ndarray, num_codes: int) -> Detection:
    """Return how well the `chosen` code of each word (W,) detects it in codes (T,)."""
    num_words = len(chosen)
    right, segments = _matches(codes, met, chosen)
    uses = np.bincount(codes, minlength=num_codes)
    return Detection(
        np.bincount(met.near_words[right], minlength=num_words),
        np.where(chosen == NO_CODE, 0, uses[chosen]),
        np.bincount(met.segment_words[segments], minlength=num_words),
        np.bincount(met.segment_words, minlength=num_words),
    )


def ranked_words(detection: Detection) -> np.ndarray:
    """Return the words that occur often enough, best first; the mean is over the first TOP."""
    words = np.flatnonzero(detection.occurrences >= MIN_OCCURRENCES)
    return words[np.argsort(-detection.f1[words], kind="stable")]


def influences(
    codes: np.ndarray,
    met: Incidence,
    chosen: np.ndarray,
    num_codes: int,
    words: np.ndarray,
    frame_utterances: np.ndarray,
    segment_utterances: np.ndarray,
    count: int,
) -> np.ndarray:
    """Return the derivative of the mean F1 of `words` by the weight of each utterance (count,),
    words and codes kept.
    """
    found = detect(codes, met, chosen, num_codes)
    precision, recall = found.precision, found.recall
    both = np.maximum((precision + recall) ** 2, 1e-300)
    share = np.zeros(len(chosen))
    share[words] = 1.0 / len(words)
    by_precision = share * 2 * recall**2 / both / np.maximum(found.uses, 1)
    by_recall = share * 2 * precision**2 / both / np.maximum(found.occurrences, 1)
    by_use = np.zeros(num_codes)
    has_code = chosen != NO_CODE
    np.add.at(by_use, chosen[has_code], -(by_precision * precision)[has_code])
    right, segments = _matches(codes, met, chosen)
    hits = np.bincount(frame_utterances[met.near_frames[right]], by_precision[met.near_words[right]], count)
    uses = np.bincount(frame_utterances, by_use[codes], count)
    held = np.bincount(segment_utterances[segments], by_recall[met.segment_words[segments]], count)
    occurrences = np.bincount(segment_utterances, -(by_recall * recall)[met.segment_words], count)
    return hits + uses + held + occurrences


def f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Return the harmonic mean of two arrays, 0 where both are 0."""
    return 2 * precision * recall / np.maximum(precision + recall, 1e-300)


def _matches(codes: np.ndarray, met: Incidence, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of near frame and word where the frame has the word's code; segments that hold it."""
    right = np.flatnonzero(codes[met.near_frames] == chosen[met.near_words])
    holds = codes[met.held_frames] == chosen[met.segment_words[met.held_segments]]
    return right, np.unique(met.held_segments[holds])


def _expand(first: np.ndarray, behind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(i, j) for all first[i] <= j < behind[i], as two arrays."""
    number = np.maximum(behind - first, 0)
    owner = np.repeat(np.arange(len(first)), number)
    offset = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    return owner, first[owner] + offset


class WordsReading(AlignedReading):
    """Tokens beside words, of the test set and (`train_codes`, `train_words`) of the training set.

    The training codes may be those of the first codebooks alone: then these are scored. `train` and `train_languages`
    are as `pair` and `languages`.

    Raises:
        UserError: Also sets that share an utterance.
    """

    kind = "words"

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.train = read_aligned(inputs.train_codes, inputs.train_words, "words", inputs.codebook_sizes, fewer=True)
        shared = sorted(set(self.pair.utterances) & set(self.train.utterances))
        if shared:
            raise UserError(
                f"{inputs.train_codes}: utterance '{shared[0]}' is in {inputs.codes}, too: words are scored on "
                "utterances that no code was chosen on"
            )
        self.train_languages = languages_of(inputs.train_words, self.train.utterances)
        spoken = {"the languages": content([self.languages, self.train_languages])} if self.languages else {}
        self.read = {"the test set": self.pair.content, "the training set": self.train.content, **spoken}

    @functools.cached_property
    def names(self) -> list[str]:
        """All words of both sets, sorted."""
        every = {word for part in (self.pair, self.train) for track in part.tracks for word in track.labels}
        return sorted(every - {SILENCE["words"]})

    def word_set(self, part: Aligned) -> _WordSet:
        """Return which frames of `pair`, `train` or a part of one meet which of `names`."""
        return _WordSet.make(part, {word: number for number, word in enumerate(self.names)}, self.facts["frame_rate"])


class WordF1(Measure):
    """See the file: of every codebook, in all and by language; the mean is the first's."""

    name = "word_f1"
    label = "Word detection F1"
    source = SOURCE
    inputs = (*TOKENS, "words", "train_codes", "train_words")
    taken_of = "tokens"
    settings = {"interval": DELTA}
    reading = WordsReading
    table = "alignment"
    order = 53

    def compute(self, reading: WordsReading, system: str) -> Result:
        """Return the result of one system; see `Measure`.

        Raises:
            UserError: No word occurs often enough.
        """
        pair, train, names = reading.pair, reading.train, reading.names
        books = codebooks(reading.facts)
        scored = train.codes[0].shape[1]
        if scored < len(books):
            print(f"{self.name}: {len(books) - scored} of {len(books)} codebooks left out: no training codes of them")
        test_set, train_set = reading.word_set(pair), reading.word_set(train)
        eligible = test_set.eligible(len(names))
        if not len(eligible):
            raise UserError(f"{reading.ctm}: no word occurs {MIN_OCCURRENCES} times: a larger test set is needed")

        def books_of(test: _WordSet, trained: _WordSet) -> list[dict]:
            return [book | _word_value(test, trained, book["codebook"], book["size"], names) for book in books[:scored]]

        def of_language(language: str) -> list[dict] | str:
            if language not in reading.train_languages:
                return "the training set has no aligned words of it"
            test = reading.word_set(pair.part(reading.languages[language]))
            if not len(test.eligible(len(names))):
                return f"no word occurs {MIN_OCCURRENCES} times"
            trained = reading.word_set(train.part(reading.train_languages[language]))
            return [{**book, "best_words": book["best_words"][:FEWER_WORDS]} for book in books_of(test, trained)]

        known = np.isin(eligible, train_set.met.segment_words)
        segments = zip(pair.utterances, pair.codes, test_set.segments)
        return Result.of_books(
            books_of(test_set, train_set),
            ("tokens", "words"),
            {utt: (len(array), int(number)) for utt, array, number in segments},
            interval=f"{DELTA}, words and their codes kept",
            min_occurrences=MIN_OCCURRENCES,
            top=TOP,
            eligible_words=len(eligible),
            words_not_in_training=int((~known).sum()),
            segments=len(test_set.met.segment_words),
            training_segments=len(train_set.met.segment_words),
            training_utterances=len(train.utterances),
            without_alignment=pair.without,
            shuffled=f"codes of both sets shuffled in time, each over its set, seed {SHUFFLE_SEED}",
            **by_language(reading.languages, of_language),
            **reading.facts,
        )


@dataclass(frozen=True)
class _WordSet:
    """Codes (T, M) of a set, which of its frames meet which words, and whose frames and segments they are."""

    codes: np.ndarray
    met: Incidence
    frames: np.ndarray
    segments: np.ndarray

    @classmethod
    def make(cls, part: Aligned, numbers: Mapping[str, int], frame_rate: float) -> _WordSet:
        parts = []
        for array, track in zip(part.codes, part.tracks):
            own = np.array([numbers.get(word, -1) for word in track.labels], dtype=np.int64)
            spoken = own >= 0
            parts.append(incidence(track.starts[spoken], track.ends[spoken], own[spoken], len(array), frame_rate))
        lengths = [len(array) for array in part.codes]
        return cls(
            np.concatenate(part.codes).astype(np.int64),
            join(parts, lengths),
            np.array(lengths),
            np.array([len(own.segment_words) for own in parts]),
        )

    def eligible(self, num_words: int) -> np.ndarray:
        """Words that occur often enough."""
        return np.flatnonzero(np.bincount(self.met.segment_words, minlength=num_words) >= MIN_OCCURRENCES)

    def shuffled(self, index: int) -> np.ndarray:
        """Codes of one codebook (T,), shuffled in time over the set."""
        order = np.random.default_rng(SHUFFLE_SEED).permutation(len(self.codes))
        return self.codes[order, index]


def _word_value(test: _WordSet, train: _WordSet, index: int, size: int, names: Sequence[str]) -> dict:
    chosen, _ = choose_codes(train.codes[:, index], train.met, len(names), size)
    codes = test.codes[:, index]
    found = detect(codes, test.met, chosen, size)
    ranked = ranked_words(found)
    top = ranked[:TOP]
    value = float(found.f1[top].mean())
    count = len(test.frames)
    added = influences(
        codes,
        test.met,
        chosen,
        size,
        top,
        np.repeat(np.arange(count), test.frames),
        np.repeat(np.arange(count), test.segments),
        count,
    )
    by_chance, _ = choose_codes(train.shuffled(index), train.met, len(names), size)
    control = detect(test.shuffled(index), test.met, by_chance, size)
    control_ranked = ranked_words(control)
    return {
        "value": value,
        "ci95": list(interval(value, added, 0.0, 1.0)),
        "words": len(top),
        "good_words": int((found.f1[ranked] >= GOOD).sum()),
        "shuffled": float(control.f1[control_ranked[:TOP]].mean()),
        "shuffled_good_words": int((control.f1[control_ranked] >= GOOD).sum()),
        "best_words": [
            {
                "word": names[word],
                "code": int(chosen[word]),
                "precision": float(found.precision[word]),
                "recall": float(found.recall[word]),
                "f1": float(found.f1[word]),
                "occurrences": int(found.occurrences[word]),
            }
            for word in top[:BEST_WORDS]
        ],
    }
