# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a measure is: a class that says what it needs and how it is computed, and its result on a test set.

Each file of this folder may define some; `hasrd.metrics.scores.MEASURES` finds them. One from elsewhere is named by
its import path (`hasrd score my_measures:Loudness`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar, Mapping, Sequence

from hasrd.errors import UserError
from hasrd.metrics.bootstrap import mean_interval, ratio_interval
from hasrd.metrics.scoring.reading import Inputs, Reading


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
        mean: float,
        numerators: Mapping[str, float],
        denominators: Mapping[str, float],
        columns: Sequence[str],
        rows: Mapping[str, Sequence[Any]],
        scale: float = 1.0,
        **details: Any,
    ) -> Result:
        """Return `mean` = scale * sum(numerators) / sum(denominators), one pair an utterance, with its interval."""
        order = sorted(numerators)
        low, high = ratio_interval([numerators[utt] for utt in order], [denominators[utt] for utt in order])
        return cls(mean, (scale * low, scale * high), columns, rows, details)


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
