# Copyright 2026 The hasrd authors
# Apache-2.0
"""Kaldi archives in ESPnet's data loaders, through the reader that the rest of hasrd has.

ESPnet's own readers run an scp value that is a command, and that of ESPnet 202511 unpickles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from espnet2.train import dataset, iterable_dataset

from hasrd.data.archive import read_array
from hasrd.data.kaldi import read_table


class ArchiveTable(Mapping):
    """The arrays of an scp file of archives by utterance, each read when it is asked for.

    Args:
        path: The scp file.

    Raises:
        UserError: A broken table; when an array is asked for, a damaged archive.
    """

    def __init__(self, path: str) -> None:
        self.entries = read_table(path)

    def __getitem__(self, utterance: str) -> np.ndarray:
        return read_array(self.entries[utterance])

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def register() -> None:
    """Put our reader into ESPnet's two tables of data types, in the place of its own for `kaldi_ark`."""
    dataset.DATA_TYPES["kaldi_ark"] = {**dataset.DATA_TYPES["kaldi_ark"], "func": ArchiveTable, "kwargs": []}
    iterable_dataset.DATA_TYPES["kaldi_ark"] = read_array
