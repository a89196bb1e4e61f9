# Copyright 2026 The hasrd authors
# Apache-2.0
"""Time things side by side on a machine that others use too."""

from __future__ import annotations

import statistics
import time
from typing import Callable, Hashable, Iterable, Mapping, Sequence, TypeVar

import torch

Key = TypeVar("Key", bound=Hashable)


def finish(device: torch.device | str) -> None:
    """Wait until a GPU has done what it was given; a CPU has when the call returns."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def in_turn(
    candidates: Mapping[Key, Callable[[], object]],
    rounds: int,
    device: torch.device | str = "cpu",
    show: Callable[[Iterable[Key]], Iterable[Key]] = iter,
) -> dict[Key, list[float]]:
    """Return the seconds that each candidate takes in each round.

    In a round each runs once, so that a change of the machine's load meets all of them.

    Args:
        candidates: What to run. The caller warms up.
        rounds: How often each is run.
        device: Where they compute.
        show: Gets all turns and yields them, to show how far it is.
    """
    times: dict[Key, list[float]] = {name: [] for name in candidates}
    for name in show([name for _ in range(rounds) for name in candidates]):
        finish(device)
        start = time.perf_counter()
        candidates[name]()
        finish(device)
        times[name].append(time.perf_counter() - start)
    return times


def ratio(of: Sequence[float], to: Sequence[float]) -> float:
    """Median over the rounds of `of` / `to`: load that changes between rounds cancels."""
    return statistics.median(a / b for a, b in zip(of, to))


def quartiles(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """First and third quartile over the rounds of `of` / `to`."""
    values = [a / b for a, b in zip(of, to)]
    if len(values) < 2:
        return values * 2
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return [first, third]


def measure(candidates: Mapping[Key, Callable[[], object]], rounds: int = 15) -> dict[Key, float]:
    """Return the median time of each candidate in seconds, after one round to warm up."""
    in_turn(candidates, 1)
    return {name: statistics.median(times) for name, times in in_turn(candidates, rounds).items()}
