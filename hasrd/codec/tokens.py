# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens: what every tokenizer here returns and every decoder takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Sequence

import torch
from torch import Tensor

from hasrd.frontend.loudness import FLOOR
from hasrd.quantizer.streams import select_streams

# LUFS, above those of any speech.
LOUDEST = 30.0


@dataclass(frozen=True)
class Tokens:
    """Codes of a batch of utterances, and all that is needed to read them.

    Attributes:
        codes: (B, T, M) long; zero past an utterance's length.
        lengths: (B,) long, tokens of each utterance.
        num_samples: (B,) long, samples that each utterance had and that decoding gives back.
        frame_rate: tokens a second of each codebook.
        stream_names: M names; codebooks of one stream have the same.
        codebook_sizes: M sizes.
        loudness: (B,) float32, LUFS that each utterance had and that decoding gives back; None: not known, decoding
            gives the model's own level.
        codebook_strides: M numbers: a codebook's code stands for so many frames, from the first on, and is repeated in
            `codes`; None: each frame has a code of its own.

    Raises:
        ValueError: The fields do not fit together, or a code is outside its codebook.
    """

    codes: Tensor
    lengths: Tensor
    num_samples: Tensor
    frame_rate: float
    stream_names: tuple[str, ...]
    codebook_sizes: tuple[int, ...]
    loudness: Tensor | None = None
    codebook_strides: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        # Lists are welcome, so that tokens can come from a file.
        object.__setattr__(self, "stream_names", tuple(self.stream_names))
        object.__setattr__(self, "codebook_sizes", tuple(self.codebook_sizes))
        # None stands for ones, so that tokens state it in one way however they were made.
        slow = self.codebook_strides is not None and any(stride != 1 for stride in self.codebook_strides)
        object.__setattr__(self, "codebook_strides", tuple(self.codebook_strides) if slow else None)
        codes = self.codes
        if codes.dim() != 3 or codes.dtype != torch.long:
            shape = tuple(codes.shape)
            raise ValueError(f"codes must be (B, T, M) int64, not {codes.dtype} {shape}")
        batch, frames, books = codes.shape
        for name in ("lengths", "num_samples"):
            value = getattr(self, name)
            if tuple(value.shape) != (batch,) or value.dtype != torch.long:
                shape = tuple(value.shape)
                raise ValueError(f"{name} must be ({batch},) int64, not {value.dtype} {shape}")
            if batch and value.min() < 0:
                raise ValueError(f"{name} must not be negative")
        if self.loudness is not None:
            value = self.loudness
            if tuple(value.shape) != (batch,) or value.dtype != torch.float32:
                raise ValueError(f"loudness must be ({batch},) float32, not {value.dtype} {tuple(value.shape)}")
            if not torch.all((value >= FLOOR) & (value <= LOUDEST)):
                raise ValueError(f"loudness {value.tolist()}: LUFS from {FLOOR:g} to {LOUDEST:g} are needed")
        if batch and self.lengths.max() > frames:
            raise ValueError(f"a length of {int(self.lengths.max())} tokens: codes have {frames}")
        if len(self.stream_names) != books or len(self.codebook_sizes) != books:
            raise ValueError(
                f"{books} codebooks, but {len(self.stream_names)} stream names and "
                f"{len(self.codebook_sizes)} codebook sizes"
            )
        if len(self.strides) != books or any(stride < 1 for stride in self.strides):
            raise ValueError(f"codebook_strides {self.strides}: {books} numbers of 1 or more are needed")
        if not self.frame_rate > 0:
            raise ValueError(f"frame_rate must be positive, not {self.frame_rate}")
        if codes.numel():
            low, high = codes.amin(dim=(0, 1)).tolist(), codes.amax(dim=(0, 1)).tolist()
            for m, size in enumerate(self.codebook_sizes):
                if low[m] < 0 or high[m] >= size:
                    found = f"codes {low[m]} to {high[m]}"
                    raise ValueError(f"codebook {m} has {size} entries: {found}")

    @classmethod
    def from_bkt(cls, codes: Tensor, **fields: Any) -> Tokens:
        """Return tokens of codes (B, K, T), the order of transformers, codec-bpe and Codec-SUPERB; K is M here.

        Args:
            codes: (B, K, T) long.
            fields: All other attributes, by name.

        Raises:
            ValueError: As of Tokens.
        """
        if codes.dim() != 3:
            raise ValueError(f"codes must be (B, K, T), not {tuple(codes.shape)}")
        return cls(codes.transpose(1, 2), **fields)

    def to_bkt(self) -> Tensor:
        """Return the codes as (B, K, T), the order of transformers, codec-bpe and Codec-SUPERB; K is M here."""
        return self.codes.transpose(1, 2)

    def __len__(self) -> int:
        """Return the number of utterances B."""
        return len(self.codes)

    @property
    def strides(self) -> tuple[int, ...]:
        """M numbers: `codebook_strides`, 1 for each codebook where it is None."""
        return self.codebook_strides or (1,) * len(self.stream_names)

    @property
    def bitrate(self) -> float:
        """Bits a second: codes a second times log2 of the codebook's size, in all; without the loudness's 32 in all."""
        return self.frame_rate * sum(math.log2(size) / s for size, s in zip(self.codebook_sizes, self.strides))

    def select(self, streams: Sequence[str]) -> Tokens:
        """Return only the codebooks of some streams, in their order here.

        Raises:
            ValueError: A stream that is not here.
        """
        names = select_streams(self.stream_names, streams)
        return self._books([m for m, name in enumerate(self.stream_names) if name in names])

    def first(self, number: int) -> Tokens:
        """Return only the first `number` codebooks; the acoustic ones come last.

        Raises:
            ValueError: There are not so many, or fewer than one is asked for.
        """
        if not 1 <= number <= len(self.codebook_sizes):
            raise ValueError(f"the first {number} codebooks: there are {len(self.codebook_sizes)}")
        return self._books(range(number))

    def _books(self, index: Sequence[int]) -> Tokens:
        return replace(
            self,
            codes=self.codes[..., list(index)],
            stream_names=tuple(self.stream_names[m] for m in index),
            codebook_sizes=tuple(self.codebook_sizes[m] for m in index),
            codebook_strides=tuple(self.strides[m] for m in index),
        )

    def item(self, i: int) -> Tokens:
        """Return utterance i as a batch of one, without padding."""
        i = range(len(self))[i]
        return replace(
            self,
            codes=self.codes[i : i + 1, : int(self.lengths[i])],
            lengths=self.lengths[i : i + 1],
            num_samples=self.num_samples[i : i + 1],
            loudness=None if self.loudness is None else self.loudness[i : i + 1],
        )

    def to(self, device: torch.device | str) -> Tokens:
        """Return the same tokens on a device."""
        return replace(
            self,
            codes=self.codes.to(device),
            lengths=self.lengths.to(device),
            num_samples=self.num_samples.to(device),
            loudness=None if self.loudness is None else self.loudness.to(device),
        )
