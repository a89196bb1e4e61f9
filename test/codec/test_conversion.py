# Copyright 2026 The hasrd authors
# Apache-2.0
"""Voice conversion of a data set: who is paired with whom."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hasrd.codec.conversion import pair_up


@given(
    counts=st.lists(st.integers(1, 8), min_size=2, max_size=5),
    num_pairs=st.one_of(st.none(), st.integers(1, 40)),
    seed=st.integers(0, 99),
)
def test_pairs(counts, num_pairs, seed):
    speakers = {f"u{s}-{i}": f"s{s}" for s, count in enumerate(counts) for i in range(count)}
    pairs = pair_up(speakers, num_pairs, seed)
    assert len(pairs) == min(len(speakers), num_pairs or len(speakers))
    assert all(speakers[utterance] != speakers[target] for utterance, target in pairs.items())
    assert pairs == pair_up(dict(reversed(speakers.items())), num_pairs, seed), "the order does not matter"
    if num_pairs is None and len(set(counts)) == 1:
        times = Counter(speakers[target] for target in pairs.values())
        assert max(times.values()) - min(times[f"s{s}"] for s in range(len(counts))) <= 3, "equal speakers, equal turns"
    # No utterance more often than another of its speaker.
    for s, count in enumerate(counts):
        uses = Counter(target for target in pairs.values() if speakers[target] == f"s{s}")
        numbers = [uses[f"u{s}-{i}"] for i in range(count)]
        assert max(numbers) - min(numbers) <= 1
