# Copyright 2026 The hasrd authors
# Apache-2.0
"""Memory that a call needs."""

from __future__ import annotations

import pytest
import torch

from hasrd.bench import memory


def test_the_peak_counts_what_is_gone_again():
    with memory.peak() as found:
        torch.ones(16 << 20).sum()
    if found.bytes is None:
        pytest.skip("this system does not tell the peak")
    assert found.bytes >= 60 << 20
    with memory.peak() as small:
        torch.ones(1 << 20).sum()
    assert small.bytes < 40 << 20


def test_a_system_that_tells_nothing_is_no_error(monkeypatch):
    monkeypatch.setattr(memory, "_reset_resident_peak", lambda: None)
    with memory.peak() as found:
        pass
    assert found.bytes is None


def test_weights_are_parameters_and_buffers_in_their_type():
    norm = torch.nn.BatchNorm1d(10, dtype=torch.bfloat16)
    assert memory.weights(norm) == 4 * 10 * 2 + 8
