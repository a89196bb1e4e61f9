# Copyright 2026 The hasrd authors
# Apache-2.0
"""Stacks of blocks whose self-attention knows relative positions (Transformer-XL, Dai et al. 2019, section 3.3).

Attention is computed in blocks of queries and heads. Each block sees all keys, so that the result is exact; it needs
the scores of the distances between its queries and the keys alone, and its scores fit into a cache. The memory of an
inference thus grows with the length and not with its square.
"""

from __future__ import annotations

import math
from typing import Iterable

import torch
from torch import Tensor, nn

from hasrd.encoder.attention import attend
from hasrd.encoder.layers import Dropout, length_mask
from hasrd.encoder.tiles import whole


class RelativeStack(nn.Module):
    """Blocks of one kind, each with a RelativeAttention as its part `attention`.

    Args:
        size: attention dimension D; even.
        blocks: modules (x (B, T, D), positions (2 T - 1, D), key_bias (B, 1, 1, T) or None, mask (B, T, 1)) -> (B, T,
            D): key_bias is 0 on frames that may be attended to, else minus infinity, and None if all may; the mask is
            true on valid frames, and the output zero on the others.
        positional_dropout_rate: of the input and of the relative positions.
    """

    def __init__(self, size: int, blocks: Iterable[nn.Module], positional_dropout_rate: float) -> None:
        super().__init__()
        self.size = size
        self.dropout = Dropout(positional_dropout_rate)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """Return the output of each block.

        Args:
            x: (B, T, D).
            lengths: (B,) valid frames of each utterance; 0 is allowed.

        Returns:
            L tensors (B, T, D), zero on padding.
        """
        if not x.shape[1]:
            return (x,) * len(self.blocks)
        mask = length_mask(lengths, x.shape[1])
        # Something has to be attended to, also in an utterance without frames.
        keys = length_mask(lengths.clamp(min=1), x.shape[1])
        key_bias = torch.zeros_like(keys, dtype=x.dtype).masked_fill(~keys, -math.inf)[:, None, None]
        if keys.device.type == "cpu" and not torch.compiler.is_compiling() and keys.all():
            key_bias = None  # a pass over all scores less; a GPU would have to wait for the answer
        positions = self.dropout(relative_positions(x.shape[1], self.size, x.device).to(x.dtype))
        x = self.dropout(x)
        outputs = []
        for block in self.blocks:
            x = block(x, positions, key_bias, mask[..., None])
            outputs.append(x)
        return tuple(outputs)

    @torch.no_grad()
    def keep_positions(self, num_frames: int = 512) -> None:
        """Project the relative positions once for all inputs of up to num_frames frames.

        An inference (eval mode, no gradients) then leaves out this projection, an eighth of the work
        for one utterance. Call it when the weights, their type and their device are final: they are
        not looked at again. It costs 2 num_frames D values a block, which are not part of the state.
        """
        weight = self.blocks[0].attention.position.weight
        positions = relative_positions(num_frames, self.size, weight.device).to(weight.dtype)
        for block in self.blocks:
            block.attention.kept_positions = block.attention.position(positions)


class RelativeAttention(nn.Module):
    """Multi-head self-attention with relative positions (Transformer-XL).

    The projections of queries, keys and values have no bias: the biases u and v contain the
    queries', the softmax cancels the keys' and the output's contains the values'.

    Args:
        size: D.
        heads: H.
        dropout_rate: of the attention weights.
    """

    def __init__(self, size: int, heads: int, dropout_rate: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout_rate = dropout_rate
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.position = nn.Linear(size, size, bias=False)
        self.out = nn.Linear(size, size)
        self.content_bias = nn.Parameter(torch.empty(heads, 1, size // heads))  # u
        self.position_bias = nn.Parameter(torch.empty(heads, 1, size // heads))  # v
        for bias in (self.content_bias, self.position_bias):
            nn.init.xavier_uniform_(bias.data[:, 0])
        self.register_buffer("kept_positions", None, persistent=False)

    def forward(self, x: Tensor, positions: Tensor, key_bias: Tensor | None) -> Tensor:
        """Attend within x (B, T, D); see RelativeStack for the other shapes."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        p = self.project(positions).unflatten(1, (self.heads, -1)).permute(1, 2, 0)
        batch, heads, num_frames, head_size = q.shape
        by_content = q + self.content_bias.to(q.dtype)
        by_position = (q + self.position_bias.to(q.dtype)) * head_size**-0.5
        key_bias = None if key_bias is None else key_bias.to(q.dtype)
        dropout_rate = self.dropout_rate if self.training else 0.0

        def block(some: slice, start: int, end: int) -> Tensor:
            # Queries start .. end - 1 and all keys: the distances end - 1, ..., start + 1 - T.
            distances = p[some, :, num_frames - end : 2 * num_frames - 1 - start]
            bias = align_positions(by_position[:, some, start:end] @ distances)
            bias = bias if key_bias is None else bias + key_bias
            return attend(by_content[:, some, start:end], k[:, some], v[:, some], bias, dropout_rate)

        if whole():
            return self.out(block(slice(heads), 0, num_frames).transpose(1, 2).flatten(2))
        rows, group = block_sizes(batch, heads, num_frames, q.device.type)
        # Blocks are written to one tensor: kept one by one, they would leave holes of their scores' size in memory.
        y = torch.empty_like(q, memory_format=torch.contiguous_format)
        for first in range(0, heads, group):
            some = slice(first, first + group)
            for start in range(0, num_frames, rows):
                end = min(start + rows, num_frames)
                y[:, some, start:end] = block(some, start, end)
        return self.out(y.transpose(1, 2).flatten(2))

    def project(self, positions: Tensor) -> Tensor:
        """Project positions (2 T - 1, D), or take what Conformer.keep_positions has kept of them."""
        kept, length = self.kept_positions, positions.shape[0]
        if kept is None or len(kept) < length or self.training or torch.is_grad_enabled():
            return self.position(positions)
        return kept.narrow(0, (len(kept) - length) // 2, length)


def block_sizes(batch: int, heads: int, num_frames: int, device_type: str) -> tuple[int, int]:
    """Return how many queries and how many heads attention takes at a time.

    On a CPU a block's scores, at most 4 million, stay in its caches: with 1875 frames attention takes
    half the time that it takes in one piece. On a GPU only its memory counts.
    """
    rows, scores = (256, 2**22) if device_type == "cpu" else (num_frames, 2**28)
    rows = min(rows, num_frames, max(32, scores // (batch * num_frames)))
    rows = math.ceil(num_frames / math.ceil(num_frames / rows))  # of about equal size
    return rows, min(heads, max(1, scores // (batch * rows * num_frames)))


def feed_forward(size: int, hidden: int, dropout_rate: float) -> nn.Sequential:
    """Return the position-wise layers size -> hidden -> size with Swish."""
    return nn.Sequential(nn.Linear(size, hidden), nn.SiLU(), Dropout(dropout_rate), nn.Linear(hidden, size))


def relative_positions(num_frames: int, size: int, device: torch.device) -> Tensor:
    """Return sinusoids (2 T - 1, size) of the distances T - 1, ..., 0, ..., 1 - T in frames.

    Sine and cosine alternate along the last axis (Transformer-XL's, in ESPnet's order).
    """
    distance = torch.arange(num_frames - 1, -num_frames, -1, device=device, dtype=torch.float32)
    rate = torch.arange(0, size, 2, device=device, dtype=torch.float32)
    angle = distance[:, None] * torch.exp(rate * (-math.log(10000.0) / size))
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


def align_positions(scores: Tensor) -> Tensor:
    """Turn scores by distance (..., R, T + R - 1) into scores by key (..., R, T), without a copy.

    The columns of R queries that follow each other are the distances from the last query to key 0
    down to the first query to key T - 1. Query i of them meets key j in column R - 1 - i + j. In the
    flattened matrix these are rows of T values that start T + R - 2 values apart.
    """
    rows, width = scores.shape[-2:]
    if rows == 1:
        return scores
    aligned = scores.flatten(-2).narrow(-1, rows - 1, rows * (width - 1))
    return aligned.unflatten(-1, (rows, width - 1))[..., : width + 1 - rows]
