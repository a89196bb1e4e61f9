# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading of what measures are taken from: once for all measures that share it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

from hasrd.errors import UserError
from hasrd.jobs.digest import values_sha256

if TYPE_CHECKING:
    from hasrd.metrics.measure import Result
    from hasrd.metrics.scoring.job import Job


@dataclass(frozen=True)
class Inputs:
    """What measures are taken from: the options of `hasrd score` by the same names; None: not given.

    Attributes:
        hyp: System to its file.
        nj: Processes.
    """

    ref: Path | None = None
    hyp: Mapping[str, Path] | None = None
    pairs: Path | None = None
    losses: Path | None = None
    codes: Path | None = None
    codebook_sizes: Sequence[int] | None = None
    stream_names: Sequence[str] | None = None
    frame_rate: float | None = None
    loudness: float | None = None
    phones: Path | None = None
    words: Path | None = None
    train_codes: Path | None = None
    train_words: Path | None = None
    crops: Path | None = None
    masked: Path | None = None
    ecapa_dir: Path | None = None
    nj: int = 1


class Reading(ABC):
    """What was read and checked for measures that share it.

    A subclass reads in `__init__(inputs)`. It raises UserError for what can't be used, and Undefined where there is
    nothing that the measures could be taken of, which is no error.
    """

    @abstractmethod
    def __init__(self, inputs: Inputs) -> None:
        """Read `inputs`."""

    @abstractmethod
    def tables(self, system: str) -> dict[str, list]:
        """Return name to the `content` of what was read, or to the facts of a table that lists files."""

    def options(self, system: str) -> dict[str, Any]:
        """Return what else shapes the scores and came with what was read."""
        return {}

    def results(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
        """Yield each job with its result; whoever asks for the next one has written it."""
        for job in jobs:
            yield job, job.measure.compute(self, job.system)


def match(reference: Mapping[str, Any], other: Mapping[str, Any], reference_name: str, other_name: str) -> list[str]:
    """Return the utterances, sorted, which both must hold.

    Raises:
        UserError: One is missing in either, or there is none at all.
    """
    for have, need, name, from_name in (
        (other, reference, other_name, reference_name),
        (reference, other, reference_name, other_name),
    ):
        missing = sorted(set(need) - set(have))
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise UserError(
                f"{name}: utterance '{missing[0]}'{more} of {from_name} is missing: "
                "make it again or leave it out of both"
            )
    if not reference:
        raise UserError(f"{reference_name}: no utterance in it")
    return sorted(reference)


def content(read: Sequence[Any] | Mapping[str, Any]) -> list:
    """Return how many entries there are in what was read, and a hash of it, for the record of a score."""
    return [len(read), values_sha256(read=read)]
