# Copyright 2026 The hasrd authors
# Apache-2.0
"""Kaldi archives through kaldiio: float matrices (features) and int32 matrices (tokens).

Kaldi has vectors of integers but no integer matrix. A matrix of int32 is therefore stored the way kaldiio stores any
array (a `NPY` entry): `kaldiio.load_scp` gives it back as it was, (T, M) int32; Kaldi's own programs cannot read it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, Iterator, Mapping

import numpy as np

from hasrd.data.kaldi import read_table
from hasrd.errors import UserError, first_line

# Kaldi's compression methods by number (kaldiio's documentation): 2 is 8 bit, 3 is 16 bit over the matrix's own range.
COMPRESSION_METHODS = {"none": None, "2": 2, "3": 3}


def write_archive(
    path: str | Path,
    final_path: str | Path,
    items: Iterable[tuple[str, np.ndarray]],
    compression_method: int | None = None,
) -> dict[str, str]:
    """Write one archive; integers as int32, everything else as float32.

    Args:
        path: Where to write it now.
        final_path: Where it will lie once it is complete; the entries point there.
        items: Pairs of utterance and array.
        compression_method: Kaldi's method for float matrices; None stores float32.

    Returns:
        Utterance to `final_path:offset`, an scp file's content.
    """
    import kaldiio

    entries: dict[str, str] = {}
    with open(path, "wb") as file:
        for utterance, array in items:
            integer = np.issubdtype(array.dtype, np.integer)
            array = np.ascontiguousarray(array, dtype=np.int32 if integer else np.float32)
            entries[utterance] = f"{final_path}:{file.tell() + len(utterance.encode()) + 1}"
            if integer and array.ndim > 1:
                kaldiio.save_ark(file, {utterance: array}, write_function="numpy")
            else:
                kaldiio.save_ark(
                    file,
                    {utterance: array},
                    compression_method=None if integer or not array.size else compression_method,
                )
    return entries


def read_array(entry: str) -> np.ndarray:
    """Read one `file.ark:offset` entry: float32 (T, F) or int32 (T, M).

    Raises:
        UserError: The archive is missing or damaged; names it.
    """
    import kaldiio

    archive = entry.rpartition(":")[0]
    try:
        # What kaldiio returns may be a read-only view of its buffer.
        return np.array(kaldiio.load_mat(entry))
    except FileNotFoundError:
        raise UserError(f"{archive}: no such archive: run the stage that makes it again") from None
    except Exception as error:  # kaldiio raises many types for damage
        raise UserError(
            f"{entry}: damaged archive ({first_line(error)}): remove its folder and run the stage again"
        ) from None


def read_archives(scp: str | Path | Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield utterance and array for every line of an scp file (or of a table already read)."""
    table = scp if isinstance(scp, Mapping) else read_table(scp)
    for utterance, entry in table.items():
        yield utterance, read_array(entry)
