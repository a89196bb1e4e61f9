# Copyright 2026 The hasrd authors
# Apache-2.0
"""Worker processes that import little, use one thread each and never outlive the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, TypeVar

from hasrd.errors import UserError, explain

if TYPE_CHECKING:
    import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Item], Result]

# Blocks that lie ready for each process: no list of the whole work is held.
WAITING = 4

# Set in a worker by its initializer, and built there by `make_work` for the first item.
_make_work: Callable[[], Callable[[Any], Any]] | None = None
_work: Callable[[Any], Any] | None = None


def _start_worker(make_work: Callable[[], Work], parent: int) -> None:
    global _make_work
    # Ctrl-C reaches the whole group: a second for the parent to say so, which a worker's death would hide.
    signal.signal(signal.SIGINT, lambda *_: threading.Timer(1.0, os._exit, (130,)).start())
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _make_work = make_work


def _end_with(parent: int) -> None:
    # A parent killed with -9 cannot stop its workers, which would wait for work for ever.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _run(block: list[Any]) -> list[Any]:
    return explained(lambda: _run_block(block))


def _run_block(block: list[Any]) -> list[Any]:
    global _work
    if _work is None:
        # Not in the initializer: what that raises is lost but for "a worker died".
        assert _make_work is not None
        _work = _make_work()
    return [_work(item) for item in block]


def explained(do: Callable[[], Result]) -> Result:
    """Return what `do` returns; what it raises becomes an error that another process can be told."""
    try:
        return do()
    except Exception as error:
        # What led to an error does not come along to the parent, and some types don't at all.
        line = explain(error)
        if line is not None:
            raise UserError(line) from None
        raise RuntimeError(f"in a worker: {''.join(traceback.format_exception(error))}") from None


def worker_device(ngpu: int) -> torch.device:
    """Return where the model of a worker computes: on the GPU, or (`ngpu` 0) in one thread of the CPU."""
    import torch

    if not ngpu:
        torch.set_num_threads(1)
    return torch.device("cuda" if ngpu else "cpu")


def run_workers(
    make_work: Callable[[], Work], items: Iterable[Item], nj: int, block: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Yield (item, work(item)) as the results come, in no fixed order.

    Args:
        make_work: Builds the work function; called once in each process, so slow set-up (a model) belongs in it.
            Picklable where nj > 1 (a module-level function or class, or a functools.partial of one).
        items: Picklable items; they are drawn as they are needed.
        nj: Number of processes; 1 works in this process.
        block: Items that a process is given at a time: several where one takes no longer than the way there and back.

    Raises:
        UserError: A worker died (killed, out of memory), or what the work itself raised, where that can be explained.
            Work not yet begun is dropped.
    """
    if nj < 1:
        raise UserError(f"--nj {nj}: at least 1 is needed")
    blocks = enumerate(blocks_of(items, block))
    waiting = dict(islice(blocks, WAITING * nj))
    if not waiting:
        return
    if nj == 1 or len(waiting) == 1:
        work = make_work()
        for _, part in chain(waiting.items(), blocks):
            for item in part:
                yield item, work(item)
        return
    # spawn: a fork of a process that holds torch's threads can hang. The variables keep each worker to one thread.
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ.update({name: "1" for name in before})
    try:
        for number, results in _run_pool(make_work, waiting, blocks, nj):
            yield from zip(waiting.pop(number), results)
    except BrokenProcessPool:
        raise UserError(
            "a worker process died (killed, or out of memory): run the same command again to go on from here, with a "
            "smaller --nj if memory is short"
        ) from None
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def blocks_of(items: Iterable[Item], block: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `block`, of which the last may be shorter."""
    items = iter(items)
    while part := list(islice(items, block)):
        yield part


def _run_pool(
    make_work: Callable[[], Work], waiting: dict[int, list[Item]], more: Iterator[tuple[int, list[Item]]], nj: int
) -> Iterator[tuple[int, list[Result]]]:
    """Yield the number and the results of each block of `waiting`, which is filled up with `more`.

    The pool of processes ends with the first one that dies (BrokenProcessPool).
    """
    pool = ProcessPoolExecutor(
        min(nj, len(waiting)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(make_work, os.getpid()),
    )
    try:
        futures: dict[Future, int] = {pool.submit(_run, part): number for number, part in waiting.items()}
        # Python's pool watches over a new worker from the next submission on, which the last one would never see.
        pool.submit(int)
        while futures:
            done, _ = wait(futures, return_when=FIRST_COMPLETED)
            for future in done:
                yield futures.pop(future), future.result()
                for number, part in islice(more, 1):
                    waiting[number] = part
                    futures[pool.submit(_run, part)] = number
    except KeyboardInterrupt:
        # Not what they are at: what is left half done is done again.
        for child in multiprocessing.active_children():
            child.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
