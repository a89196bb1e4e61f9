# Copyright 2026 The hasrd authors
# Apache-2.0
"""Work that the workers of a Dask cluster do (`pip install 'hasrd[dask]'`).

The workers run where Dask was told to start them (SSH, Kubernetes, PBS, Slurm, clouds), with this package installed and
the same files under the same paths. Start them with one thread each (`dask worker ADDRESS --nthreads 1 --nworkers N`):
a worker does one thing at a time. When one dies, Dask gives what it was at to another; what has killed several is an
error.
"""

from __future__ import annotations

import os
import pickle
import threading
import uuid
from itertools import chain
from typing import Any, Callable, Iterable, Iterator

from hasrd.errors import UserError, first_line
from hasrd.jobs.workers import WAITING, Item, Result, blocks_of, explained

# Seconds in which a scheduler must answer.
ANSWERS = 30

# In a worker: what `make_work` has built, by the run that it is of.
_built: dict[str, Callable[[Any], Any]] = {}
_one_at_a_time = threading.Lock()


def run_on_dask(
    make_work: Callable[[], Callable[[Item], Result]], items: Iterable[Item], address: str, block: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, work(item)) as the results come, in no fixed order; see `run_workers`.

    Args:
        make_work: Is called once in each worker.
        address: Of the scheduler, such as tcp://host:8786, or a scheduler file.

    Raises:
        UserError: Dask is not installed, no scheduler answers, several workers died of the same work, or what the work
            itself raised, where that can be explained.
    """
    blocks = blocks_of(items, block)
    first = next(blocks, None)
    if first is None:
        return
    blocks = chain([first], blocks)
    try:
        from distributed import CancelledError, Client, KilledWorker, as_completed
        from distributed.comm import CommClosedError
    except ImportError:
        raise UserError("--scheduler: Dask is not installed: pip install 'hasrd[dask]'") from None
    # Pickled once: Dask would do it anew, and look into it, for each block.
    run, work = uuid.uuid4().hex, pickle.dumps(make_work)
    try:
        where = {"scheduler_file": address} if os.path.isfile(address) else {"address": address}
        client = Client(**where, timeout=ANSWERS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"--scheduler {address}: no Dask scheduler answers there ({first_line(error)}): start one (dask scheduler) "
            "and its workers (dask worker), or leave --scheduler out"
        ) from None
    with client:
        parts = {}
        done = as_completed(loop=client.loop)

        def submit() -> None:
            most = WAITING * max(1, sum(client.ncores().values()))
            while len(parts) < most and (part := next(blocks, None)) is not None:
                future = client.submit(_run, run, work, part, pure=False)
                parts[future.key] = part
                done.add(future)

        submit()
        for future in done:
            try:
                results = future.result()
            except (CommClosedError, CancelledError):
                raise UserError(
                    f"--scheduler {address}: the scheduler is gone: start it again, and run the same command to go on"
                ) from None
            except KilledWorker:
                raise UserError(
                    "several workers died (killed, or out of memory) of the same work: run the same command again to "
                    "go on from here, with more memory for each worker"
                ) from None
            yield from zip(parts.pop(future.key), results)
            submit()


def _run(run: str, make_work: bytes, block: list[Any]) -> list[Any]:
    with _one_at_a_time:
        return explained(lambda: [_work_of(run, make_work)(item) for item in block])


def _work_of(run: str, make_work: bytes) -> Callable[[Any], Any]:
    if run not in _built:
        # A model of an earlier run takes memory.
        _built.clear()
        _built[run] = pickle.loads(make_work)()
    return _built[run]
