# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasrd.data.archive import write_archive
from hasrd.data.kaldi import write_table
from hasrd.metrics.measure import Inputs
from hasrd.metrics.scoring.job import take
from hasrd.metrics.unit_lm import KneserNey, UnitBits

SIZE = 4
END, START = SIZE, SIZE + 1
sequences = st.lists(st.lists(st.integers(0, SIZE - 1), max_size=8), min_size=1, max_size=5)


def textbook(train: list[list[int]], history: tuple[int, ...], word: int) -> float:
    """The recursion as it is written, with counters."""
    grams = Counter()
    for sequence in train:
        padded = [START, START, *sequence, END]
        grams.update(tuple(padded[i - 2 : i + 1]) for i in range(2, len(padded)))

    def chance(counts: Counter, history: tuple[int, ...]) -> float:
        shorter = Counter(gram[1:] for gram in counts)
        lower = chance(shorter, history[1:]) if history else 1 / (SIZE + 1)
        own = {gram: count for gram, count in counts.items() if gram[:-1] == history}
        if not own:
            return lower
        values = list(counts.values())
        n1, n2 = values.count(1), values.count(2)
        discount = n1 / (n1 + 2 * n2) if n1 else 0.5
        total = sum(own.values())
        kept = max(own.get((*history, word), 0) - discount, 0) if (*history, word) in own else 0
        return (kept + discount * len(own) * lower) / total

    return chance(grams, history)


@given(sequences, st.lists(st.integers(0, SIZE - 1), max_size=6))
def test_it_is_the_textbooks(train, test):
    padded = [START, START, *test, END]
    expected = sum(-math.log2(textbook(train, (a, b), c)) for a, b, c in zip(padded, padded[1:], padded[2:]))
    model = KneserNey([np.array(s, dtype=np.int64) for s in train], SIZE)
    assert model.bits(np.array(test, dtype=np.int64)) == pytest.approx(expected)


@given(sequences, st.integers(0, SIZE - 1), st.integers(0, SIZE - 1))
def test_chances_sum_to_one(train, a, b):
    assert sum(textbook(train, (a, b), word) for word in range(SIZE + 1)) == pytest.approx(1)


def test_it_finds_the_entropy_of_a_known_source():
    # A chain of order 2 over 6 units: what follows is one of 6 by known chances.
    chance = np.random.default_rng(0)
    table = chance.dirichlet(np.full(6, 0.5), size=(6, 6))
    entropy, sets = [], []
    for length in (100_000, 20_000):
        units = [0, 1]
        for draw in chance.random(length):
            row = table[units[-2], units[-1]]
            units.append(min(int(np.searchsorted(np.cumsum(row), draw)), 5))
            entropy.append(-float(row @ np.log2(np.maximum(row, 1e-300))))
        sets.append(np.array(units))
    bits = KneserNey([sets[0]], 6).bits(sets[1]) / len(sets[1])
    assert bits == pytest.approx(np.mean(entropy[100_000:]), rel=0.02)


def test_score(tmp_path, capsys):
    chance = np.random.default_rng(0)
    words = chance.integers(0, 20, (8, 5))
    paths = {}
    for name, count in (("train", 60), ("test", 12)):
        codes = {}
        for index in range(count):
            semantic = np.repeat(words[chance.integers(0, 8, 6)].ravel(), chance.integers(1, 4, 30))
            slow = np.repeat(chance.integers(0, 4, -(-len(semantic) // 2)), 2)[: len(semantic)]
            codes[f"{name}-{index}"] = np.stack([semantic, slow], axis=1)
        archive = tmp_path / f"{name}.ark"
        paths[name] = tmp_path / f"{name}.scp"
        write_table(paths[name], write_archive(archive, archive, codes.items()))
    names = ["semantic", "acoustic"]
    inputs = dict(codes=paths["test"], codebook_sizes=[20, 4], stream_names=names, frame_rate=50.0)
    inputs = Inputs(**inputs, train_codes=paths["train"], codebook_strides=[1, 2])
    take([UnitBits()], {"combined": tmp_path / "scores"}, inputs, "test")
    score = json.loads((tmp_path / "scores/unit_bits.json").read_text())
    (book,) = score["details"]["codebooks"]
    assert score["mean"] == book["value"] and score["ci95"][0] < score["mean"] < score["ci95"][1]
    # Fewer than the nominal 50 x log2(20); less still without what repetitions cost.
    assert book["forms"]["deduplicated"]["value"] < score["mean"] < 50 * math.log2(20)
    bpe = book["forms"]["bpe"]
    assert bpe["units_per_second"] < book["forms"]["deduplicated"]["units_per_second"] < 50
    rows = (tmp_path / "scores/unit_bits.tsv").read_text().splitlines()[1:]
    bits, seconds = (sum(float(row.split("\t")[column]) for row in rows) for column in (1, 2))
    assert bits / seconds == pytest.approx(score["mean"], rel=1e-6)
    assert "acoustic" not in json.dumps(score["details"]["codebooks"])
    take([UnitBits()], {"combined": tmp_path / "seen"}, replace(inputs, train_codes=paths["test"]), "test")
    assert "left out" in capsys.readouterr().out and not (tmp_path / "seen").exists()
