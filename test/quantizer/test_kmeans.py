# Copyright 2026 The hasrd authors
# Apache-2.0
"""Nearest centroid, against float64 distances."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.quantizer import kmeans
from hasrd.quantizer.kmeans import assign


def distances(x, centroids):
    return torch.cdist(x.double()[None], centroids.double()[None])[0]


@given(rows=st.integers(0, 40), k=st.integers(1, 30), dim=st.integers(1, 12), seed=st.integers(0, 999))
@settings(deadline=None)
def test_nearest(rows, k, dim, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, dim, generator=generator)
    centroids = torch.randn(k, dim, generator=generator)
    index = assign(x, centroids)
    assert index.shape == (rows,) and index.dtype == torch.long
    exact = distances(x, centroids)
    found = exact.gather(1, index[:, None])[:, 0]
    assert torch.allclose(found, exact.min(dim=1).values, atol=1e-5)


def test_pieces_give_the_same(monkeypatch):
    x, centroids = torch.randn(100, 8), torch.randn(16, 8)
    whole = assign(x, centroids)
    monkeypatch.setattr(kmeans, "_MAX_ELEMENTS", 16 * 7)
    assert torch.equal(assign(x, centroids), whole)


def test_float32_under_autocast():
    x, centroids = torch.randn(500, 64), torch.randn(256, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(assign(x, centroids), assign(x.clone(), centroids))
        under = assign(x, centroids)
    assert torch.equal(under, assign(x, centroids))
