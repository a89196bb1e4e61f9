# Copyright 2026 The hasrd authors
# Apache-2.0
"""Decoding of probes: beam search against all label sequences, and what becomes of labels."""

from __future__ import annotations

import itertools
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.bin import asr_decode
from hasrd.errors import UserError
from hasrd.espnet.decoding import collapse, prefix_search, to_text, total_scores


@st.composite
def posteriors(draw) -> torch.Tensor:
    """Log-probabilities (T, V) from flat to peaked."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    shape = draw(st.integers(1, 5)), draw(st.integers(2, 4))
    return (draw(st.sampled_from([0.1, 1.0, 4.0])) * torch.randn(shape, generator=generator)).log_softmax(-1)


@given(posteriors())
@settings(deadline=None, max_examples=60)
def test_beam_search_against_all_sequences(log_probs):
    pytest.importorskip("fast_ctc_decode")
    frames, size = log_probs.shape
    everything = [list(c) for n in range(frames + 1) for c in itertools.product(range(1, size), repeat=n)]
    best = max(total_scores(log_probs, everything))
    assert total_scores(log_probs, [prefix_search(log_probs, 400)])[0] == pytest.approx(best, abs=1e-4)
    greedy = collapse(log_probs.argmax(-1).tolist())
    assert prefix_search(log_probs, 1) == greedy
    for beam in (2, 3):
        scores = total_scores(log_probs, [prefix_search(log_probs, beam), greedy])
        assert scores[0] >= scores[1]


def test_total_score_is_the_sum_over_paths():
    log_probs = torch.randn(4, 3).log_softmax(-1)
    paths = [path for path in itertools.product(range(3), repeat=4) if collapse(list(path)) == [1, 2]]
    total = torch.stack([sum(log_probs[t, v] for t, v in enumerate(path)) for path in paths]).logsumexp(0)
    assert total_scores(log_probs, [[1, 2], []])[0] == pytest.approx(float(total), abs=1e-5)


def test_beam_search_needs_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "fast_ctc_decode", None)
    log_probs = torch.zeros(3, 4).log_softmax(-1)
    assert prefix_search(log_probs, 1) == []
    with pytest.raises(UserError, match="--beam_size above 1 needs fast-ctc-decode"):
        prefix_search(log_probs, 2)
    words = [word for name in ("exp_dir", "inputs", "ref", "out") for word in (f"--{name}", "x")]
    with pytest.raises(SystemExit):
        asr_decode.main([*words, "--beam_size", "0"])


@given(st.lists(st.integers(0, 4), max_size=20))
def test_collapse(path):
    """Repetitions first, then blanks, as CTC's definition has it."""
    merged = [token for i, token in enumerate(path) if i == 0 or token != path[i - 1]]
    assert collapse(path) == [token for token in merged if token != 0]


def test_to_text():
    assert to_text(["<space>", "A", "B", "<space>", "<space>", "C", "<space>"]) == "AB C"
    assert to_text([]) == ""
