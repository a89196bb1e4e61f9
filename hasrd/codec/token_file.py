# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens of one utterance as a file: a NumPy archive (.npz) that any program with NumPy can read.

    codes           (T, M) int16, or int32 where a codebook has more than 32767 entries
    num_samples     samples of the speech, at the model's rate
    sample_rate     Hz
    frame_rate      tokens a second
    stream_names    (M,) text: the stream of each codebook
    codebook_sizes  (M,)
    codebook_strides (M,): frames that a codebook's code stands for; missing where each frame has codes of its own
    loudness        LUFS of the speech, float32; missing where the model takes speech at any level
    model           SHA-256 of the weights that made them
    format          1

Only `codes` has to be there: tokens that another program wrote are then the first codebooks of the model they are
decoded with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from hasrd.arrays import Array, read_npz
from hasrd.codec.tokens import Tokens
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path, write_json

FORMAT = 1
_ARRAYS = {
    "codes": Array("iu", ("T", "M")),
    "num_samples": Array("iu", optional=True),
    "frame_rate": Array("fiu", optional=True),
    "stream_names": Array("U", ("M",), optional=True),
    "codebook_sizes": Array("iu", ("M",), optional=True),
    "codebook_strides": Array("iu", ("M",), optional=True),
    "loudness": Array("fiu", optional=True),
    "model": Array("U", optional=True),
    "format": Array("iu", optional=True),
}


@dataclass(frozen=True)
class TokenFacts:
    """What codes.json, beside a set's codes.scp, says of its tokens; None where it does not."""

    stream_names: tuple[str, ...]
    codebook_sizes: tuple[int, ...]
    frame_rate: float | None = None
    loudness: float | None = None
    model: str | None = None
    codebook_strides: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not len(self.stream_names) == len(self.codebook_sizes) == len(self.strides):
            raise ValueError("a name, a size and a stride are needed for each codebook")
        if any(number < 1 for number in (*self.codebook_sizes, *self.strides)):
            raise ValueError("sizes and strides of codebooks are 1 or more")

    @property
    def strides(self) -> tuple[int, ...]:
        """M numbers: `codebook_strides`, 1 for each codebook where it is None."""
        return (1,) * len(self.stream_names) if self.codebook_strides is None else self.codebook_strides


@dataclass(frozen=True)
class TokenFile:
    """What a file of tokens says; None, or "" for the model, where it does not."""

    codes: np.ndarray
    num_samples: int | None = None
    frame_rate: float | None = None
    stream_names: tuple[str, ...] | None = None
    codebook_sizes: tuple[int, ...] | None = None
    loudness: float | None = None
    model: str = ""
    codebook_strides: tuple[int, ...] | None = None


def stride_facts(strides: Sequence[int] | None) -> dict[str, list[int]]:
    """Return what files say of the codebooks' strides: nothing where each frame has codes of its own."""
    return {"codebook_strides": list(strides)} if any(stride > 1 for stride in strides or ()) else {}


def write_facts(path: str | Path, tokens: Any, loudness: float | None, model: str, **more: Any) -> None:
    """Write codes.json, which says what a set's codes are.

    Args:
        tokens: What has codebook_sizes, stream_names, frame_rate and codebook_strides: a codec, or a file of tokens.
        loudness: LUFS that the codec takes speech at; None: any.
        model: SHA-256 of the weights.
        more: What else is to be known.
    """
    facts = {name: getattr(tokens, name) for name in ("codebook_sizes", "stream_names", "frame_rate")}
    write_json(path, {**facts, **stride_facts(tokens.codebook_strides), "loudness": loudness, "model": model, **more})


def write_token_file(path: str | Path, tokens: Tokens, sample_rate: int, model: str) -> None:
    """Write the tokens of one utterance; the file appears when it is complete.

    Raises:
        UserError: Tokens of several utterances, or a name that does not end in .npz.
    """
    if len(tokens) != 1:
        raise UserError(f"{path}: a file takes the tokens of one utterance, not of {len(tokens)}: use tokens.item(i)")
    if Path(path).suffix != ".npz":
        raise UserError(f"{path}: a file of tokens is named .npz")
    small = max(tokens.codebook_sizes, default=0) <= np.iinfo(np.int16).max
    codes = tokens.item(0).codes[0].cpu().numpy().astype(np.int16 if small else np.int32)
    loudness = {} if tokens.loudness is None else {"loudness": np.float32(tokens.loudness[0].item())}
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            codes=codes,
            num_samples=int(tokens.num_samples[0]),
            sample_rate=sample_rate,
            frame_rate=float(tokens.frame_rate),
            stream_names=np.array(tokens.stream_names, dtype=str),
            codebook_sizes=np.array(tokens.codebook_sizes, dtype=np.int64),
            **stride_facts(tokens.codebook_strides),
            **loudness,
            model=model,
            format=FORMAT,
        )


def read_token_file(path: str | Path) -> TokenFile:
    """Read what `write_token_file` wrote, or a .npz with no more than `codes`.

    Raises:
        UserError: No such file, no tokens in it, or of a newer format.
    """
    found = read_npz(path, _ARRAYS, "file of tokens", "encode the speech again")
    if int(found.get("format", FORMAT)) > FORMAT:
        raise UserError(f"{path}: written by a newer hasrd: update hasrd")
    return TokenFile(
        found["codes"],
        int(found["num_samples"]) if "num_samples" in found else None,
        float(found["frame_rate"]) if "frame_rate" in found else None,
        tuple(map(str, found["stream_names"])) if "stream_names" in found else None,
        tuple(map(int, found["codebook_sizes"])) if "codebook_sizes" in found else None,
        float(found["loudness"]) if "loudness" in found else None,
        str(found.get("model", "")),
        tuple(map(int, found["codebook_strides"])) if "codebook_strides" in found else None,
    )
