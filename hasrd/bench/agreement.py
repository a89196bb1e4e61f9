# Copyright 2026 The hasrd authors
# Apache-2.0
"""How far a faster mode is from float32."""

from __future__ import annotations

import math
from typing import Sequence

from torch import Tensor


def code_agreement(codes: Sequence[Tensor], reference: Sequence[Tensor]) -> float:
    """The part of the codes that are the same.

    Args:
        codes: Long tensors, one a codebook.
        reference: The same number, of the same shapes.
    """
    same = sum(int((a == b).sum()) for a, b in zip(codes, reference, strict=True))
    return same / sum(b.numel() for b in reference)


def snr_db(wave: Tensor, reference: Tensor) -> float | None:
    """Energy of the reference over that of the difference, in dB; None where there is no difference."""
    reference = reference.double()
    noise = float((wave.double() - reference).square().sum())
    signal = float(reference.square().sum())
    if noise == 0:
        return None
    return 10 * math.log10(signal / noise) if signal else -math.inf
