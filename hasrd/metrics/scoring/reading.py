# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading of what measures are taken from: once for all measures that share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

from hasrd.errors import UserError
from hasrd.jobs.digest import values_sha256

if TYPE_CHECKING:
    from hasrd.metrics.measure import Result
    from hasrd.metrics.scoring.job import Job


def option(kind: Any, help: str, default: Any = None, **more: Any) -> Any:
    """Return a field that is an option of the command line; the arguments are argparse's."""
    return field(default=default, metadata={"type": kind, "help": help, "default": default, **more})


def names(text: str) -> list[str]:
    """Return names that were joined by commas."""
    return list(filter(None, text.split(",")))


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


@dataclass(frozen=True)
class Inputs:
    """What measures are taken from: the options of `hasrd score` by the same names; None: not given.

    `hyp` is system to its file.
    """

    ref: Path | None = option(Path, "references: wav.scp (audio measures) or text")
    hyp: Mapping[str, Path] | None = option(Path, "what is scored: wav.scp or text, one a system", nargs="+")
    pairs: Path | None = option(Path, "lines 'source target' of voice conversion (of hasrd convert)")
    losses: Path | None = option(Path, "lines 'utt loss' (CTC loss of an utterance, nats)")
    codes: Path | None = option(Path, "scp file of integers (T, M)")
    codebook_sizes: Sequence[int] | None = option(_sizes, "entries of each codebook, joined by commas")
    stream_names: Sequence[str] | None = option(names, "stream of each codebook, joined by commas")
    frame_rate: float | None = option(float, "tokens a second")
    loudness: float | None = option(float, "LUFS that the codec takes speech at, where tokens carry a loudness")
    phones: Path | None = option(Path, "phones.ctm (hasrd import-alignments)")
    words: Path | None = option(Path, "words.ctm (hasrd import-alignments)")
    train_codes: Path | None = option(
        Path, "codes of the training set: scp file, or text 'utt c0 c1 ...' of codebook 1"
    )
    train_words: Path | None = option(Path, "words.ctm of the training set")
    crops: Path | None = option(Path, "scp file of integers (T, 1 + M): place and codes of crops (hasrd tokenize)")
    masked: Path | None = option(Path, "scp file of integers (T, 2): target, prediction")
    ecapa_dir: Path | None = option(
        Path, "folder with a SpeechBrain ECAPA-TDNN, for ecapa_similarity (its hyperparams.yaml is run: trust it)"
    )
    nj: int = option(int, "processes for audio measures and the recogniser", default=1)


class Reading:
    """What was read and checked for measures that share it.

    A subclass reads in `__init__`. It raises UserError for what can't be used, and Undefined where there is nothing
    that the measures could be taken of, which is no error.

    Attributes:
        read: Name to the `content` of what was read, or to the facts of a table that lists files.
        facts: What else shapes the scores and came with what was read.
        read_of, facts_of: System to what is its own of these.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.read: dict[str, list] = {}
        self.facts: dict[str, Any] = {}
        self.read_of: dict[str, dict[str, list]] = {}
        self.facts_of: dict[str, dict[str, Any]] = {}

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
