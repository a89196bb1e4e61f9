# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a measure is: a class that says what it needs and how it is computed, from a reading of its inputs that several
may share, and its result on a test set.

Each file of this folder may define some; `hasrd.metrics.scores.MEASURES` finds them. One from elsewhere is named by
its import path (`hasrd score my_measures:SNR`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Iterator, Mapping, Sequence

from hasrd.errors import UserError
from hasrd.jobs.digest import values_sha256
from hasrd.jobs.origin import Record
from hasrd.jobs.sharing import Sharing
from hasrd.metrics.bootstrap import mean_interval, ratio_interval


def option(kind: Any, help: str, default: Any = None, **more: Any) -> Any:
    """Return a field that is an option of the command line; the arguments are argparse's."""
    return field(default=default, metadata={"type": kind, "help": help, "default": default, **more})


def names(text: str) -> list[str]:
    """Return names that were joined by commas or blanks."""
    return text.replace(",", " ").split()


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
    codebook_strides: Sequence[int] | None = option(
        _sizes, "frames that each codebook's code stands for, joined by commas (default: 1 each)"
    )
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
    shard: str = option(
        str,
        "I/N: do part I of N of the audio measures and the recogniser (for the jobs of an array); what writes the "
        "scores, and takes the other measures, is a run without it",
        default="1/1",
    )
    scheduler: str = option(
        str, "address of a Dask scheduler: its workers do it in place of --nj processes (docs/scale.md)", default=""
    )

    @property
    def sharing(self) -> Sharing:
        """By whom audio is measured and recognised."""
        return Sharing(self.nj, self.shard, self.scheduler)


@dataclass(frozen=True)
class Result:
    """A measure's value on a test set.

    Attributes:
        ci95: Interval over utterances.
        columns: Names of the columns in the table of utterances.
        rows: Utterance to its cells; as many count as there are.
        details: How it was taken, what else was found.
    """

    mean: float
    ci95: tuple[float, float]
    columns: Sequence[str]
    rows: Mapping[str, Sequence[Any]]
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_mean(cls, values: Mapping[str, float], **details: Any) -> Result:
        """Return the mean of one value an utterance."""
        ordered = [values[utterance] for utterance in sorted(values)]
        rows = {utterance: (value,) for utterance, value in values.items()}
        return cls(sum(ordered) / len(ordered), mean_interval(ordered), ("value",), rows, details)

    @classmethod
    def of_books(
        cls,
        books: Sequence[Mapping[str, Any]],
        columns: Sequence[str],
        rows: Mapping[str, Sequence[Any]],
        **details: Any,
    ) -> Result:
        """Return the value of the first codebook; all stand in the details, each with "value" and "ci95"."""
        return cls(books[0]["value"], tuple(books[0]["ci95"]), columns, rows, {"codebooks": books, **details})

    @classmethod
    def of_ratio(
        cls,
        columns: Sequence[str],
        rows: Mapping[str, Sequence[Any]],
        ratio: tuple[str, str],
        scale: float = 1.0,
        **details: Any,
    ) -> Result:
        """Return scale * sum / sum of the two columns that `ratio` names; not all of the second's may be zero."""
        above, below = ([rows[utt][columns.index(name)] for utt in sorted(rows)] for name in ratio)
        low, high = ratio_interval(above, below)
        return cls(scale * sum(above) / sum(below), (scale * low, scale * high), columns, rows, details)


def set_aside(left_out: Mapping[str, str], silent: Sequence[str] = (), worst: float = 0.0) -> dict[str, Any]:
    """Return the details of utterances without a value (to the reason), and of silent outputs, which have the worst."""
    found: dict[str, Any] = {"left_out": dict(left_out)} if left_out else {}
    return found | ({"silent_outputs": {"value": worst, "utterances": list(silent)}} if silent else {})


class Reading:
    """What was read and checked for measures that share it.

    A subclass reads in `__init__`. It raises UserError for what can't be used, and Undefined where there is nothing
    that the measures could be taken of, which is no error.

    Attributes:
        read: Name to the `content` of what was read, or to the facts of a table that lists files.
        facts: What else shapes the scores and came with what was read.
        read_of, facts_of: System to what is its own of these.
        is_shared: Whether a shard does its part of what the results need; of others it does nothing.
    """

    is_shared: ClassVar[bool] = False

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.read: dict[str, list] = {}
        self.facts: dict[str, Any] = {}
        self.read_of: dict[str, dict[str, list]] = {}
        self.facts_of: dict[str, dict[str, Any]] = {}

    def results(self, jobs: Sequence[ScoreJob]) -> Iterator[tuple[ScoreJob, Result]]:
        """Yield each job with its result; whoever asks for the next one has written it."""
        for job in jobs:
            yield job, job.measure.compute(self, job.system)


class Measure:
    """A measure. A subclass with a `name` is one; one without is what several have in common.

    Attributes:
        name: Of the score file and on the command line.
        label: For people.
        unit: "%", "kbps", or "".
        source: Stated in the score: how it is taken, whose definition it is.
        packages: Whose versions stand in the score.
        modules: Python modules without which it can't be taken.
        missing: What to say and do where one of them is not installed.
        inputs: Names of `Inputs` that it needs.
        taken_of: What of an experiment it is taken of (hasrd.metrics.scoring.experiment): "decoded" (all decoded
            speech), "reconstruction" (that of all tokens alone), "references", "tokens", "conversion", "recognised",
            "probe" or "training".
        reading: How the inputs are read; measures with the same one share it.
        table: Key of the report's table that shows it; "": none does.
        order: Its place where measures are listed.
        settings: What else than the inputs shapes the score: if it changes, the score is taken again.
        worst: Values (those of `columns`, if it has some) of an output that holds nothing, digital silence; None: what
            `compute` says of it.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool] = True
    source: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()
    modules: ClassVar[tuple[str, ...]] = ()
    missing: ClassVar[str] = ""
    inputs: ClassVar[tuple[str, ...]] = ()
    taken_of: ClassVar[str] = ""
    reading: ClassVar[type[Reading]] = Reading
    table: ClassVar[str] = ""
    order: ClassVar[int] = 1000
    settings: ClassVar[Mapping[str, Any]] = {}
    worst: ClassVar[tuple[float, ...] | None] = None

    @classmethod
    def available(cls) -> bool:
        """Say whether all that it needs is installed."""
        return all(find_spec(name) is not None for name in cls.modules)

    @classmethod
    def require(cls) -> None:
        """Raise UserError where something that it needs is not installed."""
        if not cls.available():
            raise UserError(f"{cls.label}: {cls.missing}")

    def why_not(self, inputs: Inputs) -> str:
        """Say why it can't be taken here, which is no error; "" where it can."""
        return "" if self.available() else self.missing

    def options(self, inputs: Inputs) -> dict[str, Any]:
        """Return `settings`, and what the inputs add to them."""
        return dict(self.settings)

    def compute(self, reading: Any, system: str) -> Result:
        """Return the result of one system from what its `reading` read."""
        raise NotImplementedError


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


@dataclass(frozen=True)
class ScoreJob:
    """One measure of one system on one test set, to be written into `out`.

    Attributes:
        run: Which of several trainings this is of ("seed1"); "" for the main one.
        options: What else shapes the score (`Measure.options`; the code of a measure from elsewhere).
        record: What the score is taken from.
    """

    measure: Measure
    system: str
    test_set: str
    out: Path
    run: str
    options: Mapping[str, Any]
    record: Record
