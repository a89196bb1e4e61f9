# Copyright 2026 The hasrd authors
# Apache-2.0
"""Progress with the time left, readable on a terminal and in a log file."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Iterable, Iterator, TypeVar

Item = TypeVar("Item")


class _Lines:
    """A file for tqdm that gets whole lines where a terminal would draw over the last one."""

    def write(self, text: str) -> None:
        # At the start there is no rate, at the end nothing left.
        line = text.strip().removesuffix(", ? left").removesuffix(", 00:00 left")
        if line:
            print(line, file=sys.stderr, flush=True)

    def flush(self) -> None:
        sys.stderr.flush()


def progress(items: Iterable[Item], total: int | None = None, desc: str = "", unit: str = "utt") -> Iterator[Item]:
    """Yield `items`, showing how far it is and the time left: a bar on a terminal, else a line every 10 s."""
    from tqdm import tqdm

    if sys.stderr.isatty():
        return tqdm(items, total=total, desc=desc, unit=unit, mininterval=0.5, dynamic_ncols=True)
    line = "{desc}: {n_fmt}/{total_fmt} {unit} ({percentage:.0f}%), {remaining} left"
    return tqdm(items, total=total, desc=desc, unit=unit, mininterval=10.0, bar_format=line, file=_Lines())


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Leave out the bars that transformers shows while it loads a model, which takes a second."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
