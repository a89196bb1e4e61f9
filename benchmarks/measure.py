# Copyright 2026 The hasrd authors
# Apache-2.0
"""Time things side by side on a machine that others use too."""

from __future__ import annotations

import statistics
import time
from typing import Callable, Mapping


def measure(candidates: Mapping[str, Callable[[], object]], rounds: int = 15) -> dict[str, float]:
    """Return the median time of each candidate in seconds.

    The candidates take turns, so that a change of the machine's load meets all of them. One round
    before the first warms up.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}
