# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading of tokens: archives of integers (T, M), or text."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

import numpy as np

from hasrd.config import parse_count, read_json
from hasrd.data.archive import read_archives, read_integers
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.metrics.measure import Inputs, Reading, content

# What states the tokens, among `Inputs`.
TOKENS = ("codes", "codebook_sizes", "stream_names", "frame_rate")
# Of a codec with a level: one float32 an utterance, beside the tokens.
LOUDNESS_BITS = 32


class CodesReading(Reading):
    """Tokens of a set (`codes`, archives of integers (T, M)) and what `TOKENS` states of them.

    Attributes:
        codes: Utterance to integers (T, M).

    Raises:
        UserError: Not one name a codebook, no utterance, or codes that are not (T, M) inside their codebooks.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.facts = token_facts(inputs)
        if inputs.loudness is not None:
            self.facts["loudness_bits"] = LOUDNESS_BITS
        self.codes = read_codes(inputs.codes, len(inputs.codebook_sizes))
        for utterance, array in self.codes.items():
            check_range(inputs.codes, utterance, array, inputs.codebook_sizes)
        self.read = {"the codes": content({utt: array.tolist() for utt, array in self.codes.items()})}


def read_token_facts(path: Path) -> dict[str, Any]:
    """Read codes.json, which lies beside a set's codes.scp: what `Inputs` says of tokens.

    Raises:
        UserError: It is none, or does not state the frame rate.
    """
    # Imported here: it takes torch along, which text and tables do not need.
    from hasrd.codec.token_file import TokenFacts

    facts = read_json(path, TokenFacts, "run stage 6 again")
    if facts.frame_rate is None:
        raise UserError(f"{path}: no frame_rate in it: run stage 6 again")
    names = ("codebook_sizes", "stream_names", "frame_rate", "loudness", "codebook_strides")
    return {name: getattr(facts, name) for name in names}


def token_facts(inputs: Inputs) -> dict[str, Any]:
    """Return what a score of tokens says of them; UserError unless there is one name a codebook."""
    sizes, names = list(inputs.codebook_sizes), list(inputs.stream_names)
    if len(names) != len(sizes):
        raise UserError(
            f"--stream_names has {len(names)} names for {len(sizes)} --codebook_sizes: give one name a codebook"
        )
    facts = {"codebook_sizes": sizes, "frame_rate": inputs.frame_rate, "stream_names": names}
    if inputs.codebook_strides is not None:
        if len(inputs.codebook_strides) != len(sizes):
            raise UserError(f"--codebook_strides: give one for each of {len(sizes)} codebooks")
        facts["codebook_strides"] = list(inputs.codebook_strides)
    return facts


def codebooks(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a score says of each codebook to tell it from the others: "codebook" (from 0), "stream", "size"."""
    books = enumerate(zip(facts["stream_names"], facts["codebook_sizes"]))
    return [{"codebook": index, "stream": stream, "size": size} for index, (stream, size) in books]


def strides(facts: Mapping[str, Any]) -> list[int]:
    """Return the frames that each codebook's code stands for."""
    return facts.get("codebook_strides", [1] * len(facts["codebook_sizes"]))


def count_codes(codes: np.ndarray, size: int) -> np.ndarray:
    """Return how often each of `size` entries occurs in `codes` (T,): (size,).

    Raises:
        ValueError: A code is not in [0, size).
    """
    outside = codes[(codes < 0) | (codes >= size)]
    if outside.size:
        raise ValueError(f"code {outside[0]} is not in a codebook of {size}")
    return np.bincount(codes, minlength=size)


def read_codes(path: Path, columns: int, fewer: bool = False) -> dict[str, np.ndarray]:
    """Read tokens: utterance to integers (T, M).

    Args:
        path: scp file of archives, or text with lines `utt c0 c1 ...` (one codebook).
        columns: Codebooks that are expected.
        fewer: Whether the first of them alone will do.

    Raises:
        UserError: No utterance, or another number of codebooks; names file and utterance.
    """
    table = read_table(path)
    first = next(iter(table.values()), "").split()
    if first and all(map(str.isdecimal, first)):
        return shaped(path, dict(_text_codes(path, table)), columns, fewer)
    return shaped(path, dict(read_archives(table, read_integers)), columns, fewer)


def check_range(path: Path, utterance: str, codes: np.ndarray, sizes: Sequence[int]) -> None:
    """Raise UserError unless each of `codes` (T, M) is in its codebook."""
    for index, size in enumerate(sizes[: codes.shape[1]]):
        try:
            count_codes(codes[:, index], size)
        except ValueError as error:
            raise UserError(
                f"{path}: utterance '{utterance}', codebook {index}: {error}: check --codebook_sizes"
            ) from None


def _text_codes(path: Path, table: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
    for number, (utterance, line) in enumerate(table.items(), start=1):
        codes = [parse_count(code) for code in line.split()]
        if None in codes:
            wrong = line.split()[codes.index(None)][:40]
            raise UserError(f"{path}:{number}: '{wrong}' is no token: write 'utt 12 7 ...' lines")
        yield utterance, np.array(codes, dtype=np.int64)[:, None]


def shaped(path: Path, arrays: dict[str, np.ndarray], columns: int, fewer: bool = False) -> dict[str, np.ndarray]:
    """Return arrays of utterances, each integers (T, columns), or of fewer columns where that will do.

    Raises:
        UserError: No utterance, or an array of another shape; names file and utterance.
    """
    if not arrays:
        raise UserError(f"{path}: no utterance in it")
    first = next((array for array in arrays.values() if array.size), np.empty((0, columns)))
    allowed = range(1, columns + 1) if fewer else (columns,)
    if fewer and first.ndim == 2 and first.shape[1] in allowed:
        allowed = (first.shape[1],)
    # Kaldi's one empty matrix has no columns.
    arrays = {utt: array if array.size else array.reshape(0, allowed[-1]) for utt, array in arrays.items()}
    for utterance, array in arrays.items():
        if array.ndim != 2 or array.shape[1] not in allowed or not np.issubdtype(array.dtype, np.integer):
            raise UserError(
                f"{path}: utterance '{utterance}' is {array.dtype} {array.shape}, "
                f"but integers (T, {allowed[-1]}) are needed"
            )
    return arrays
