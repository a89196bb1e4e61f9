# Copyright 2026 The hasrd authors
# Apache-2.0
"""Distance from float32."""

from __future__ import annotations

import math

import pytest
import torch

from hasrd.bench.agreement import code_agreement, snr_db


def test_codes_of_all_books_count_alike():
    reference = [torch.zeros(1, 6, dtype=torch.long), torch.zeros(1, 2, dtype=torch.long)]
    codes = [reference[0].clone(), torch.ones(1, 2, dtype=torch.long)]
    assert code_agreement(codes, reference) == 0.75
    assert code_agreement(reference, reference) == 1.0


def test_snr():
    reference = torch.sin(torch.arange(1000.0))
    assert snr_db(reference * 1.01, reference) == pytest.approx(40, abs=1e-3)
    assert snr_db(reference, reference) is None
    assert snr_db(reference, torch.zeros(1000)) == -math.inf
