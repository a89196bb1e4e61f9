# Copyright 2026 The hasrd authors
# Apache-2.0
"""Scaled dot-product attention in the form that is fastest on each device and in each type."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, dropout_rate: float = 0.0) -> Tensor:
    """Return the attention of queries on keys and values.

    Args:
        q: (B, H, R, D / H).
        k, v: (B, H, T, D / H).
        mask: broadcast to (B, H, R, T): bool, true on what may be attended to, or numbers that are added to the scores.
        dropout_rate: of the weights.

    Returns:
        (B, H, R, D / H).
    """
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        # torch computes this in float32 when there are gradients, and its fused kernel is slow: written out it takes
        # half the time with numbers as the mask, 0.7 of it with bool.
        scores = (q * q.shape[-1] ** -0.5) @ k.mT
        scores = scores.masked_fill_(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
        weights = scores.softmax(-1)
        return (functional.dropout(weights, dropout_rate) if dropout_rate else weights) @ v
    return fused_attention(q, k, v, mask, dropout_rate, multiple=8 if q.is_cuda else 1)


def fused_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, dropout_rate: float, multiple: int) -> Tensor:
    """As attend, with the heads filled up with zeros to a multiple of that size.

    On GPUs torch fuses attention with a mask for multiples of 8 alone; HASRD's heads have size 43.
    """
    size = q.shape[-1]
    if size % multiple:
        q, k, v = (functional.pad(part, (0, -size % multiple)) for part in (q, k, v))
    y = functional.scaled_dot_product_attention(q, k, v, mask, dropout_rate, scale=size**-0.5)
    return y[..., :size]
