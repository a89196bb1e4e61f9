# Copyright 2026 The hasrd authors
# Apache-2.0
"""What every kind of scoring shares: matching of utterances, records of the origin, and writing a score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

import hasrd
from hasrd.errors import UserError
from hasrd.jobs.digest import values_sha256
from hasrd.jobs.origin import Origin, Record, content_sha256
from hasrd.metrics.bootstrap import METHOD, mean_interval, ratio_interval
from hasrd.metrics.scores import MEASURES, Score, check_finite, why_stale, write_score
from hasrd.metrics.versions import versions


@dataclass(frozen=True)
class Job:
    """One measure of one system on one test set, to be written into `out`.

    Attributes:
        run: Which of several trainings this is of ("seed1"); "" for the main one.
    """

    measure: str
    system: str
    test_set: str
    out: Path
    run: str = ""

    def record(self, read: Mapping[str, list], **options: Any) -> Record:
        """Return the record of what the score is taken from.

        Args:
            read: Name to the `content` of what was read, or to the facts of a table that lists files.
            options: What else shapes the score.
        """
        names = {"measure": self.measure, "system": self.system, "test_set": self.test_set, "run": self.run}
        return {**Origin({**names, "hasrd": hasrd.__version__, **options}).record(), "tables": dict(read)}

    def current(self, record: Record) -> bool:
        """Say (and print) whether the score is already there."""
        path = self.out / f"{self.measure}.json"
        if not path.exists():
            return False
        reason = why_stale(path, record)
        print(f"{path}: {f'scored again: {reason}' if reason else 'up to date, skipped'}")
        return not reason

    def write(
        self,
        mean: float,
        ci95: tuple[float, float],
        columns: Sequence[str],
        rows: Mapping[str, Sequence[Any]],
        record: Record,
        **details: Any,
    ) -> None:
        """Write the score and say so."""
        known = MEASURES[self.measure]
        run = {"run": self.run} if self.run else {}
        details = {"interval": METHOD, **run, **details, "fingerprint": content_sha256(record), "origin": record}
        score = Score(
            self.measure,
            self.system,
            self.test_set,
            float(mean),
            ci95,
            len(rows),
            known.unit,
            known.higher_is_better,
            details,
            versions(("numpy", *known.packages)),
        )
        path = write_score(self.out, score, columns, rows)
        unit = f" {known.unit}" if known.unit else ""
        bounds = f"[{ci95[0]:.4g}, {ci95[1]:.4g}]"
        print(f"{path}: {known.label} {mean:.4g}{unit} {bounds}, {len(rows)} utterances")

    def write_mean(self, values: Mapping[str, float], record: Record, **details: Any) -> None:
        """Write the mean of one value an utterance."""
        check_finite(values, f"{self.measure} of {self.system} on {self.test_set}")
        ordered = [values[utterance] for utterance in sorted(values)]
        rows = {utterance: (value,) for utterance, value in values.items()}
        self.write(sum(ordered) / len(ordered), mean_interval(ordered), ("value",), rows, record, **details)

    def write_ratio(
        self,
        mean: float,
        numerators: Mapping[str, float],
        denominators: Mapping[str, float],
        columns: Sequence[str],
        rows: Mapping[str, Sequence[Any]],
        record: Record,
        scale: float = 1.0,
        **details: Any,
    ) -> None:
        """Write `mean` = scale * sum(numerators) / sum(denominators), one pair an utterance, with
        its interval.
        """
        order = sorted(numerators)
        low, high = ratio_interval([numerators[utt] for utt in order], [denominators[utt] for utt in order])
        self.write(mean, (scale * low, scale * high), columns, rows, record, **details)


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
    """Return how many entries there are in what was read, and a hash of it, for `Job.record`."""
    return [len(read), values_sha256(read=read)]
