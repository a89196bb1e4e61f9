# Copyright 2026 The hasrd authors
# Apache-2.0
"""Word-detection F1 of every codebook, with codes chosen on the training set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from hasrd.data.alignments.labels import SILENCE
from hasrd.errors import UserError
from hasrd.metrics import word_detection as words
from hasrd.metrics.influence import DELTA, interval
from hasrd.metrics.scoring.alignment import SHUFFLE_SEED, Aligned, by_language, languages_of, read_aligned
from hasrd.metrics.scoring.job import Job, content
from hasrd.metrics.scoring.tokens import token_facts

# Rows of the table of words in a score file, and for one of several languages.
BEST_WORDS = 25
FEWER_WORDS = 5


def score_words(
    job: Job,
    codes_scp: Path,
    sizes: Sequence[int],
    frame_rate: float,
    stream_names: Sequence[str],
    ctm: Path,
    train_codes: Path,
    train_ctm: Path,
) -> None:
    """Score codes as detectors of words, chosen on the training set.

    Args:
        codes_scp: Archives of integers (T, M).
        sizes: Entries of each of the M codebooks.
        frame_rate: Tokens a second, in both sets.
        stream_names: Stream of each codebook.
        ctm: words.ctm.
        train_codes: Codes of the training set; those of the first codebooks alone will do for these.
        train_ctm: Its words.ctm.

    Raises:
        UserError: See `read_aligned`; also sets that share an utterance, or no word that occurs often enough.
    """
    facts = token_facts(sizes, frame_rate, stream_names)
    pair = read_aligned(codes_scp, ctm, "words", sizes)
    train = read_aligned(train_codes, train_ctm, "words", sizes, fewer=True)
    shared = sorted(set(pair.utterances) & set(train.utterances))
    if shared:
        raise UserError(
            f"{train_codes}: utterance '{shared[0]}' is in {codes_scp}, too: words are scored on "
            "utterances that no code was chosen on"
        )
    languages, train_languages = languages_of(ctm, pair.utterances), languages_of(train_ctm, train.utterances)
    spoken = {"the languages": content([languages, train_languages])} if languages else {}
    read = {"the test set": pair.content, "the training set": train.content, **spoken}
    record = job.record(read, **facts, interval=DELTA)
    if job.current(record):
        return
    scored = train.codes[0].shape[1]
    if scored < len(sizes):
        print(f"{job.measure}: {len(sizes) - scored} of {len(sizes)} codebooks left out: no training codes of them")
    names = sorted({word for part in (pair, train) for track in part.tracks for word in track.labels})
    numbers = {word: number for number, word in enumerate(word for word in names if word != SILENCE["words"])}
    names = list(numbers)
    test_set, train_set = (_WordSet.make(part, numbers, frame_rate) for part in (pair, train))
    eligible = test_set.eligible(len(names))
    if not len(eligible):
        raise UserError(f"{ctm}: no word occurs {words.MIN_OCCURRENCES} times: a larger test set is needed")

    def books_of(test: _WordSet, trained: _WordSet) -> list[dict]:
        return [
            {"codebook": index, "stream": stream_names[index], "size": sizes[index]}
            | _word_value(test, trained, index, sizes[index], names)
            for index in range(scored)
        ]

    def of_language(language: str) -> list[dict] | str:
        if language not in train_languages:
            return "the training set has no aligned words of it"
        test = _WordSet.make(pair.part(languages[language]), numbers, frame_rate)
        if not len(test.eligible(len(names))):
            return f"no word occurs {words.MIN_OCCURRENCES} times"
        trained = _WordSet.make(train.part(train_languages[language]), numbers, frame_rate)
        return [{**book, "best_words": book["best_words"][:FEWER_WORDS]} for book in books_of(test, trained)]

    books = books_of(test_set, train_set)
    known = np.isin(eligible, train_set.met.segment_words)
    job.write(
        books[0]["value"],
        tuple(books[0]["ci95"]),
        ("tokens", "words"),
        {utt: (len(array), int(number)) for utt, array, number in zip(pair.utterances, pair.codes, test_set.segments)},
        record,
        source=words.SOURCE,
        codebooks=books,
        interval=f"{DELTA}, words and their codes kept",
        min_occurrences=words.MIN_OCCURRENCES,
        top=words.TOP,
        eligible_words=len(eligible),
        words_not_in_training=int((~known).sum()),
        segments=len(test_set.met.segment_words),
        training_segments=len(train_set.met.segment_words),
        training_utterances=len(train.utterances),
        without_alignment=pair.without,
        shuffled=f"codes of both sets shuffled in time, each over its set, seed {SHUFFLE_SEED}",
        **by_language(languages, of_language),
        **facts,
    )


@dataclass(frozen=True)
class _WordSet:
    """Codes (T, M) of a set, which of its frames meet which words, and whose frames and segments they are."""

    codes: np.ndarray
    met: words.Incidence
    frames: np.ndarray
    segments: np.ndarray

    @classmethod
    def make(cls, part: Aligned, numbers: Mapping[str, int], frame_rate: float) -> _WordSet:
        parts = []
        for array, track in zip(part.codes, part.tracks):
            own = np.array([numbers.get(word, -1) for word in track.labels], dtype=np.int64)
            spoken = own >= 0
            parts.append(words.incidence(track.starts[spoken], track.ends[spoken], own[spoken], len(array), frame_rate))
        lengths = [len(array) for array in part.codes]
        return cls(
            np.concatenate(part.codes).astype(np.int64),
            words.join(parts, lengths),
            np.array(lengths),
            np.array([len(own.segment_words) for own in parts]),
        )

    def eligible(self, num_words: int) -> np.ndarray:
        """Words that occur often enough."""
        return np.flatnonzero(np.bincount(self.met.segment_words, minlength=num_words) >= words.MIN_OCCURRENCES)

    def shuffled(self, index: int) -> np.ndarray:
        """Codes of one codebook (T,), shuffled in time over the set."""
        order = np.random.default_rng(SHUFFLE_SEED).permutation(len(self.codes))
        return self.codes[order, index]


def _word_value(test: _WordSet, train: _WordSet, index: int, size: int, names: Sequence[str]) -> dict:
    chosen, _ = words.choose_codes(train.codes[:, index], train.met, len(names), size)
    codes = test.codes[:, index]
    found = words.detect(codes, test.met, chosen, size)
    ranked = words.ranked_words(found)
    top = ranked[: words.TOP]
    value = float(found.f1[top].mean())
    count = len(test.frames)
    influences = words.influences(
        codes,
        test.met,
        chosen,
        size,
        top,
        np.repeat(np.arange(count), test.frames),
        np.repeat(np.arange(count), test.segments),
        count,
    )
    by_chance, _ = words.choose_codes(train.shuffled(index), train.met, len(names), size)
    control = words.detect(test.shuffled(index), test.met, by_chance, size)
    control_ranked = words.ranked_words(control)
    return {
        "value": value,
        "ci95": list(interval(value, influences, 0.0, 1.0)),
        "words": len(top),
        "good_words": int((found.f1[ranked] >= words.GOOD).sum()),
        "shuffled": float(control.f1[control_ranked[: words.TOP]].mean()),
        "shuffled_good_words": int((control.f1[control_ranked] >= words.GOOD).sum()),
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
