# Copyright 2026 The hasrd authors
# Apache-2.0
"""The use of codebooks over an epoch, against loops."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.quantizer.usage import CodebookUsage, Usage


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), seed=st.integers(0, 999), steps=st.integers(1, 3))
@settings(deadline=None)
def test_counts_are_those_of_all_batches(sizes, seed, steps):
    generator = torch.Generator().manual_seed(seed)
    usage = CodebookUsage([str(m) for m in range(len(sizes))], sizes, "advice")
    for _ in range(2):  # the second epoch starts again
        seen: list[list[int]] = [[] for _ in sizes]
        for _ in range(steps):
            codes = torch.stack([torch.randint(size, (2, 9), generator=generator) for size in sizes], dim=-1)
            mask = torch.rand(2, 9, generator=generator) < 0.6
            usage.add(codes, mask)
            for m, labels in enumerate(seen):
                labels.extend(codes[..., m][mask].tolist())
        for one, labels, size in zip(usage.take(), seen, sizes):
            shares = [labels.count(label) / len(labels) for label in set(labels)]
            assert (one.size, one.total, one.used) == (size, len(labels), len(shares))
            assert math.isclose(one.perplexity, math.exp(-sum(s * math.log(s) for s in shares)), rel_tol=1e-9)
    assert not usage.state_dict() and not list(usage.parameters())


def test_who_is_dead():
    assert Usage("a", 8192, 40000, 300, 16.1).is_dead
    assert not Usage("a", 8192, 40000, 2800, 255.6).is_dead
    assert not Usage("a", 1024, 9, 7, 5.0).is_dead, "9 tokens can't use more"
    assert Usage("a", 1024, 100000, 1, 1.0).is_dead


def test_complaint():
    usage = CodebookUsage(["first", "second", "third"], [64, 64, 64], "do this")
    codes = torch.stack([torch.arange(640) % 64, torch.arange(640) % 2, torch.zeros(640, dtype=torch.long)], dim=-1)
    usage.add(codes, torch.ones(640, dtype=torch.bool))
    text = usage.complaint(usage.take())
    assert "second 2 of 64 (perplexity 2.0), third 1 of 64 (perplexity 1.0)" in text and "first" not in text
    assert text.endswith("do this") and "\n" not in text
    assert usage.complaint(usage.take()) is None, "nothing was counted"
