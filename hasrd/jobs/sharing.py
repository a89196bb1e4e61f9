# Copyright 2026 The hasrd authors
# Apache-2.0
"""By whom the work over a data set is done: processes of this machine, the jobs of an array, or the workers of Dask.

The three have one interface, `Sharing`, and give the same results, byte for byte. Any process, job or worker may die:
what it was at is done again, by another process or worker, or when its job is run again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Iterable, Iterator

from hasrd.config import parse_count
from hasrd.errors import UserError
from hasrd.jobs.workers import Item, Result, run_workers


def parse_shard(text: str) -> tuple[int, int]:
    """`i/n` with 1 <= i <= n, as the jobs of an array count, to (i - 1, n); UserError for anything else."""
    first, _, second = text.partition("/")
    index, count = parse_count(first), parse_count(second)
    if index is None or count is None or not 1 <= index <= count:
        raise UserError(f"--shard {text}: give i/n with i from 1 to n, for example 1/4")
    return index - 1, count


@dataclass(frozen=True)
class Sharing:
    """By whom the work over a data set is done; the fields are options of the command line.

    Attributes:
        nj: Processes of this machine; 1 works in this one, with all its threads.
        shard: `i/n` does part i of n alone: for the jobs of an array, on any machines that see the same files.
        scheduler: Address of a Dask scheduler, or the file that names it: its workers, on any machines that see the
            same files, do the work in place of `nj` processes. "": none.
    """

    nj: int = 1
    shard: str = "1/1"
    scheduler: str = ""

    @property
    def part(self) -> tuple[int, int]:
        """(i - 1, n) of `shard`; UserError where it is none."""
        return parse_shard(self.shard)

    @property
    def is_whole(self) -> bool:
        """Whether all is done here."""
        return self.part[1] == 1

    def on_gpu(self, ngpu: int) -> Sharing:
        """Return the same with one process here where it computes on a GPU (`ngpu` above 0)."""
        return replace(self, nj=1) if ngpu else self

    def results(
        self, make_work: Callable[[], Callable[[Item], Result]], items: Iterable[Item], block: int = 1
    ) -> Iterator[tuple[Item, Result]]:
        """Yield (item, work(item)) as the results come; arguments and errors are those of `run_workers`.

        `items` are this shard's own. Work may be done twice (a worker died, or could not be reached, after it had
        done it): it must give the same again.
        """
        if not self.scheduler:
            yield from run_workers(make_work, items, self.nj, block)
            return
        from hasrd.jobs.dask_workers import run_on_dask

        yield from run_on_dask(make_work, items, self.scheduler, block)


# One process does all.
ALONE = Sharing()
