# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a language model gets of the codes of an utterance: ids of one vocabulary, and the way back to the codes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from hasrd.codec.token_file import TokenFacts
from hasrd.codec.tokens import Tokens
from hasrd.units import PAD, SPECIAL
from hasrd.units.arrangements import deduplicate, delay, first_ids, flatten, held, once, repeat, undelay, unflatten

# Archives of tokens hold no larger codes.
MOST_CODES = 2**24
# Days of speech.
MOST_FRAMES = 2**26
KINDS = ("flat", "delay", "frames")


@dataclass(frozen=True)
class Units:
    """An utterance as a language model gets it.

    Attributes:
        ids: (L,) int64, or (L, M) of the kinds with a row a frame.
        frames: T, of the codes.
        durations: (R,) int64 of deduplicated units: codes that each stands for; None: not deduplicated.
    """

    ids: np.ndarray
    frames: int
    durations: np.ndarray | None = None


@dataclass(frozen=True)
class Layout:
    """An arrangement of codes, and the numbers of their ids.

    Attributes:
        kind: "flat": one sequence, the codebooks of a frame one after the other. "delay": a row a frame, codebook m
            delayed by m frames. "frames": a row a frame, as the codes are.
        facts: Streams, sizes and strides of the codebooks.
        dedup: Drop repetitions of the one codebook that there is.

    Raises:
        ValueError: Another kind, deduplication of several codebooks, or more than 2 ** 24 codes.
    """

    kind: str
    facts: TokenFacts
    dedup: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind '{self.kind}': choose one of {', '.join(KINDS)}")
        if self.dedup and (len(self.sizes) > 1 or self.kind != "flat"):
            raise ValueError(
                f"deduplication takes one codebook, flat, not {len(self.sizes)} with kind '{self.kind}': choose a "
                "stream of one"
            )
        if sum(self.sizes) > MOST_CODES:
            raise ValueError(f"codebooks of {sum(self.sizes)} entries: {MOST_CODES} are the most")

    @classmethod
    def of(cls, tokens: Tokens, kind: str = "flat", dedup: bool = False) -> Layout:
        """Return an arrangement of the codebooks of tokens, such as those that a tokenizer's `encode` gives."""
        names, sizes, strides = tokens.stream_names, tokens.codebook_sizes, tokens.codebook_strides
        return cls(kind, TokenFacts(names, sizes, tokens.frame_rate, codebook_strides=strides), dedup)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Entries of each codebook."""
        return self.facts.codebook_sizes

    @property
    def strides(self) -> tuple[int, ...]:
        """Frames that each codebook's code stands for."""
        return self.facts.strides

    @property
    def delays(self) -> tuple[int, ...]:
        """Frames by which each codebook is late."""
        return tuple(range(len(self.sizes))) if self.kind == "delay" else (0,) * len(self.sizes)

    @property
    def starts(self) -> tuple[int, ...]:
        """The id of code 0 of each codebook."""
        return first_ids(self.sizes, len(SPECIAL))

    @property
    def vocabulary(self) -> list[str]:
        """The words by id: `SPECIAL`, then a word for each code of each codebook, such as <semantic_12>."""
        names = self.facts.stream_names
        words = list(SPECIAL)
        for book, (name, size) in enumerate(zip(names, self.sizes)):
            number = names[:book].count(name) if names.count(name) > 1 else ""
            word = re.sub(r"\s", "_", f"{name}{number}")
            words += [f"<{word}_{code}>" for code in range(size)]
        return words

    def arrange(self, codes: np.ndarray) -> Units:
        """Return the units of codes (T, M).

        Raises:
            ValueError: Codes that are not (T, M) inside their codebooks, or that change within their stride.
        """
        codes = self._checked(np.asarray(codes))
        starts = np.array(self.starts)
        durations = None
        if self.dedup:
            units, durations = deduplicate(once(codes[:, 0], self.strides[0]))
            ids = units + starts[0]
        elif self.kind == "flat":
            flat, books = flatten(codes, self.strides)
            ids = flat + starts[books]
        elif self.kind == "delay":
            ids = delay(codes + starts, self.strides, self.delays, PAD)
        else:
            ids = codes + starts
        return Units(ids, len(codes), durations)

    def restore(self, units: Units) -> np.ndarray:
        """Return the codes (T, M) of units.

        Raises:
            ValueError: Ids that are none of this layout, or not as many as the frames need.
        """
        ids = np.asarray(units.ids, dtype=np.int64)
        books = len(self.sizes)
        if not 0 <= units.frames <= MOST_FRAMES:
            raise ValueError(f"{units.frames} frames: {MOST_FRAMES} are the most")
        if ids.ndim != (1 if self.kind == "flat" else 2) or (ids.ndim == 2 and ids.shape[1] != books):
            raise ValueError(f"ids of shape {ids.shape}: kind '{self.kind}' of {books} codebooks has others")
        if self.dedup:
            if units.durations is None:
                raise ValueError("deduplicated units without durations")
            if sum(units.durations.tolist()) != -(-units.frames // self.strides[0]):
                raise ValueError(f"durations that are not those of {units.frames} frames")
            codes = held(repeat(ids, np.asarray(units.durations)), self.strides[0], units.frames)[:, None]
        elif self.kind == "flat":
            codes = unflatten(ids, units.frames, self.strides)
        elif self.kind == "delay":
            codes = undelay(ids, self.strides, self.delays)
        else:
            codes = ids
        if len(codes) != units.frames:
            raise ValueError(f"ids of {len(codes)} frames, not of {units.frames}")
        return self._checked(codes - np.array(self.starts))

    def _checked(self, codes: np.ndarray) -> np.ndarray:
        if codes.ndim != 2 or codes.shape[1] != len(self.sizes) or codes.dtype.kind not in "iu":
            raise ValueError(f"codes are {codes.dtype} {codes.shape}: integers (T, {len(self.sizes)}) are needed")
        for book, size in enumerate(self.sizes):
            wrong = codes[(codes[:, book] < 0) | (codes[:, book] >= size), book]
            if wrong.size:
                raise ValueError(f"codebook {book} has {size} entries, and no code {wrong[0]}")
        return codes.astype(np.int64)
