# Copyright 2026 The hasrd authors
# Apache-2.0
"""The numbers of an epoch's steps, which stay on the device until somebody wants to read them.

ESPnet's reporter asks the device for each number of each step, and the host can't prepare the next step until it has
the answer. Here a step leaves one small tensor; a log line fetches those of all its steps at once.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from typing import Iterable, Iterator, Mapping

import torch
from espnet2.train.reporter import SubReporter
from torch import Tensor


@dataclass
class _Step:
    """One step: numbers of the host, and names of numbers on the device with their tensor."""

    host: dict[str, float] = field(default_factory=dict)
    weighted: list[tuple[tuple[str, ...], Tensor]] = field(default_factory=list)
    norms: list[tuple[str, float, Tensor]] = field(default_factory=list)


class Statistics:
    """Collect the numbers of steps and give them to ESPnet's reporter, in the order of the steps.

    Args:
        reporter: Of the epoch and phase.
    """

    def __init__(self, reporter: SubReporter):
        self.reporter = reporter
        self.first_step = reporter.count + 1
        self.updates = self.finite_updates = 0
        self._steps: list[_Step] = []
        self._open = _Step()

    def add(self, names: tuple[str, ...], packed: Tensor) -> None:
        """Note a model's numbers: their names and `pack`'s tensor."""
        self._open.weighted.append((names, packed))

    def add_norm(self, prefix: str, norm: Tensor, max_norm: float) -> None:
        """Note an update's gradient norm as "<prefix>grad_norm"; one that is not finite was not taken.

        "<prefix>clip" is 100 where it was clipped to `max_norm`, else 0; a `max_norm` of 0 or less clips nothing.
        """
        self._open.norms.append((prefix, max_norm, norm.detach().float().reshape(1)))

    def add_host(self, values: Mapping[str, float]) -> None:
        """Note numbers that the host has."""
        self._open.host.update(values)

    def time(self, name: str, start: float) -> float:
        """Add the time since `start` to number `name`, in seconds; return the time now.

        It is the host's: a device may still be at work.
        """
        now = time.perf_counter()
        self._open.host[name] = self._open.host.get(name, 0.0) + now - start
        return now

    def timed(self, iterator: Iterable) -> Iterator:
        """Give an iterator's items and note how long each took to come, as "iter_time"."""
        items, start = iter(iterator), time.perf_counter()
        for item in items:
            self.time("iter_time", start)
            yield item
            start = time.perf_counter()

    def next(self) -> None:
        """Close a step."""
        self._steps.append(self._open)
        self._open = _Step()

    def flush(self) -> None:
        """Give the closed steps to the reporter; waits for the device, once."""
        tensors = [t for step in self._steps for *_, t in (*step.weighted, *step.norms)]
        values = iter(torch.cat(tensors).tolist() if tensors else ())
        for number, step in enumerate(self._steps, self.first_step):
            for names, _ in step.weighted:
                stats = dict(zip(names, values))
                self.reporter.register(stats, next(values))
            for prefix, max_norm, _ in step.norms:
                self._register_norm(prefix, next(values), max_norm, number)
            self.reporter.register(step.host)
            self.reporter.next()
        self.first_step += len(self._steps)
        self._steps.clear()

    def _register_norm(self, prefix: str, norm: float, max_norm: float, number: int) -> None:
        self.updates += 1
        if math.isfinite(norm):
            self.finite_updates += 1
            clipped = 100.0 if 0 < max_norm < norm else 0.0
            self.reporter.register({f"{prefix}grad_norm": norm, f"{prefix}clip": clipped})
        else:
            logging.warning(f"step {number}: the {prefix}grad_norm is {norm}: no weight was changed")


def pack(stats: Mapping[str, Tensor | float], weight: Tensor) -> Tensor:
    """Return scalars and their weight as one float32 tensor (n + 1,), the weight last."""
    values = [v if isinstance(v, Tensor) else torch.full_like(weight, v, dtype=torch.float32) for v in stats.values()]
    return torch.stack([v.detach().float().reshape(()) for v in (*values, weight)])
