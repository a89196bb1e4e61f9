# Copyright 2026 The hasrd authors
# Apache-2.0
"""Word detection against the definition written out, frame by frame and segment by segment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.metrics.word_detection import (
    NO_CODE,
    choose_codes,
    detect,
    f1,
    incidence,
    influences,
    join,
    ranked_words,
)

WORDS, CODES = 3, 4


@st.composite
def utterances(draw):
    """Utterances: codes of frames, and segments (start ms, end ms, word) in steps of 4 ms."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        now, segments = 0, []
        for gap, length in draw(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 40)), max_size=6)):
            now += 4 * gap
            segments.append((now, now + 4 * length, draw(st.integers(0, WORDS - 1))))
            now += 4 * length
        codes = draw(st.lists(st.integers(0, CODES - 1), min_size=1, max_size=20))
        found.append((codes, segments))
    return found


def fast(utterances, rate):
    parts = []
    for codes, segments in utterances:
        starts, ends, words = np.array(segments, float).reshape(-1, 3).T
        parts.append(incidence(starts / 1000, ends / 1000, words.astype(int), len(codes), rate))
    codes = np.concatenate([np.array(codes, int) for codes, _ in utterances])
    return codes, join(parts, [len(codes) for codes, _ in utterances])


def slow(utterances, rate, code, word):
    """(hits, uses, held, occurrences) by the definition, in whole microseconds."""
    hits = uses = held = occurrences = 0
    frame_us = round(1e6 / rate)
    window = 40_000
    for codes, segments in utterances:
        for index, own in enumerate(codes):
            if own != code:
                continue
            uses += 1
            centre = index * frame_us + frame_us // 2
            hits += any(
                max(centre - window, 1000 * start) < min(centre + window, 1000 * end)
                or (start == end and centre - window < 1000 * start < centre + window)
                for start, end, other in segments
                if other == word
            )
        for start, end, other in segments:
            if other != word:
                continue
            occurrences += 1
            held += any(
                own == code
                and (
                    max(index * frame_us, 1000 * start) < min((index + 1) * frame_us, 1000 * end)
                    or (start == end and index * frame_us < 1000 * start < (index + 1) * frame_us)
                )
                for index, own in enumerate(codes)
            )
    return hits, uses, held, occurrences


@settings(deadline=None)
@given(utterances(), st.sampled_from([31.25, 50.0, 12.5]), st.integers(0, CODES - 1))
def test_detection_agrees_with_the_definition(utterances, rate, code):
    codes, met = fast(utterances, rate)
    found = detect(codes, met, np.full(WORDS, code), CODES)
    for word in range(WORDS):
        counts = (found.hits, found.uses, found.held, found.occurrences)
        assert tuple(int(own[word]) for own in counts) == slow(utterances, rate, code, word)


@settings(deadline=None)
@given(utterances(), st.sampled_from([31.25, 50.0]))
def test_each_word_takes_its_best_code(utterances, rate):
    codes, met = fast(utterances, rate)
    chosen, best = choose_codes(codes, met, WORDS, CODES)
    for word in range(WORDS):
        scores = []
        for code in range(CODES):
            hits, uses, held, occurrences = slow(utterances, rate, code, word)
            precision, recall = hits / max(uses, 1), held / max(occurrences, 1)
            scores.append(2 * precision * recall / (precision + recall) if hits and held else 0.0)
        assert best[word] == pytest.approx(max(scores))
        if max(scores) > 0:
            assert scores[chosen[word]] == pytest.approx(max(scores))
        else:
            assert chosen[word] == NO_CODE


def test_by_hand():
    # 20 ms frames; "a" on 100-160 ms, "b" on 400-440 ms. Centres at 10, 30, ... ms.
    starts, ends = np.array([0.1, 0.4]), np.array([0.16, 0.44])
    met = incidence(starts, ends, np.array([0, 1]), 30, 50.0)
    # A window of 40 ms on either side touches 100 ms at a centre of 60, and 160 ms at one of 200.
    near = [frame for frame, word in zip(met.near_frames, met.near_words) if word == 0]
    assert near == list(range(3, 10))
    assert met.held_frames[met.held_segments == 0].tolist() == [5, 6, 7]
    codes = np.zeros(30, int)
    codes[[3, 6, 20]] = 1
    found = detect(codes, met, np.array([1, 1]), 2)
    assert found.precision.tolist() == [2 / 3, 1 / 3] and found.recall.tolist() == [1.0, 1.0]
    assert found.f1.tolist() == pytest.approx([0.8, 0.5])
    nothing = detect(codes, met, np.array([NO_CODE, 1]), 2)
    assert nothing.f1.tolist() == pytest.approx([0.0, 0.5])


def test_words_need_five_occurrences():
    starts = np.arange(14) * 0.2
    words = np.array([0] * 4 + [1] * 5 + [2] * 5)
    met = incidence(starts, starts + 0.1, words, 140, 50.0)
    codes = np.zeros(140, int)
    codes[met.held_frames[words[met.held_segments] == 2]] = 1
    chosen, _ = choose_codes(codes, met, 3, 2)
    found = detect(codes, met, chosen, 2)
    assert chosen[2] == 1 and found.f1[2] == 1.0
    assert ranked_words(found).tolist() == [2, 1]


def test_influences_against_reweighting():
    generator = np.random.default_rng(0)
    utterances = []
    for _ in range(6):
        edges = np.cumsum(generator.integers(10, 60, size=9)) * 4
        segments = [
            (start, end, int(word)) for start, end, word in zip(edges, edges[1:], generator.integers(WORDS, size=8))
        ]
        utterances.append((generator.integers(CODES, size=40).tolist(), segments))
    codes, met = fast(utterances, 31.25)
    chosen = np.array([0, 1, 1])
    words = np.array([0, 2])
    frames = np.repeat(np.arange(6), 40)
    segments = np.repeat(np.arange(6), 8)
    own = influences(codes, met, chosen, CODES, words, frames, segments, 6)

    def value(weights):
        found = []
        for word in words:
            parts = np.array([slow([one], 31.25, chosen[word], word) for one in utterances])
            hits, uses, held, occurrences = weights @ parts
            found.append(f1(np.array(hits / uses), np.array(held / occurrences)))
        return np.mean(found)

    even = np.ones(6)
    slopes = [(value(even + 1e-6 * (np.arange(6) == i)) - value(even)) / 1e-6 for i in range(6)]
    assert own == pytest.approx(slopes, abs=1e-5)
    assert own.sum() == pytest.approx(0.0, abs=1e-9)
