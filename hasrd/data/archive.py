# Copyright 2026 The hasrd authors
# Apache-2.0
"""Kaldi archives of float matrices (features) and of integers (tokens): written with kaldiio, read by a parser of ours.

Kaldi has vectors of integers but no integer matrix. A matrix of integers is therefore stored as Kaldi's float matrix,
which holds every integer below 2 ** 24 exactly and which every reader of Kaldi archives knows: Kaldi's programs,
kaldiio, and the readers of both ESPnet releases. `read_integers` gives the integers back.

An archive may come from anybody. The reader knows Kaldi's binary numeric types and nothing else: no pickle, no NumPy
file, no audio, and no command in place of a file. Sizes in a header are compared with the file's size before memory is
taken.
"""

from __future__ import annotations

import io
import math
import os
import struct
from pathlib import Path
from typing import Callable, Iterable, Iterator, Mapping

import numpy as np

from hasrd.data.kaldi import read_table
from hasrd.errors import UserError, first_line

# Kaldi's compression methods by number (kaldiio's documentation): 2 is 8 bit, 3 is 16 bit over the matrix's own range.
COMPRESSION_METHODS = {"none": None, "2": 2, "3": 3}

# float32 holds the integers up to here, and their negatives.
_LARGEST = 2**24
# Kaldi's types by their name: the sizes that follow it (as struct reads them), and the bytes of a number. A vector of
# integers has no name.
_TYPES = {
    "": ("<Bi", 5),
    "FV": ("<Bi", 4),
    "DV": ("<Bi", 8),
    "FM": ("<BiBi", 4),
    "DM": ("<BiBi", 8),
    "CM": ("<ffii", 1),
    "CM2": ("<ffii", 2),
    "CM3": ("<ffii", 1),
}
# The longest header of these.
_HEADER = 22
# What kaldiio writes for other arrays; hasrd's tokens were NPY once.
_FOREIGN = (b"NPY", b"PKL", b"AUDIO")


def write_archive(
    path: str | Path,
    final_path: str | Path,
    items: Iterable[tuple[str, np.ndarray]],
    compression_method: int | None = None,
) -> dict[str, str]:
    """Write one archive: float matrices or vectors, and integers (matrices as float matrices, vectors as they are).

    Args:
        path: Where to write it now.
        final_path: Where it will lie once it is complete; the entries point there.
        items: Pairs of utterance and array.
        compression_method: Kaldi's method for float matrices; None stores float32.

    Returns:
        Utterance to `final_path:offset`, an scp file's content.

    Raises:
        ValueError: An integer in a matrix beyond 2 ** 24, which float32 cannot hold.
    """
    import kaldiio

    entries: dict[str, str] = {}
    with open(path, "wb") as file:
        for utterance, array in items:
            integer = np.issubdtype(array.dtype, np.integer)
            if integer and array.ndim > 1 and array.size and np.abs(array.astype(np.int64)).max() > _LARGEST:
                raise ValueError(f"{utterance}: an integer above {_LARGEST} does not fit into an archive")
            if array.ndim > 1 and not array.size:
                # Kaldi has one empty matrix.
                array = array.reshape(0, 0)
            dtype = np.int32 if integer and array.ndim == 1 else np.float32
            entries[utterance] = f"{final_path}:{file.tell() + len(utterance.encode()) + 1}"
            kaldiio.save_ark(
                file,
                {utterance: np.ascontiguousarray(array, dtype=dtype)},
                compression_method=None if integer or not array.size else compression_method,
            )
    return entries


def read_array(entry: str) -> np.ndarray:
    """Read one `file.ark:offset` entry: a matrix (T, F) or a vector (T,), of float32 unless another type is stored.

    Raises:
        UserError: No such entry, a missing or damaged archive, or something else than Kaldi's matrices and vectors.
    """
    name, _, offset = entry.rpartition(":")
    if not name or not (offset.isascii() and offset.isdecimal()) or len(offset) > 18:
        raise UserError(f"'{entry}': not an entry of an archive (file.ark:offset); commands are not run")
    try:
        # A pipe or a device has no size that the header's could be compared with, and may never end.
        if os.path.exists(name) and not os.path.isfile(name):
            raise ValueError("not a file")
        with open(name, "rb") as file:
            file.seek(int(offset))
            head = file.read(_HEADER)
            kind, shape, length, size = _header(head)
            if size > os.fstat(file.fileno()).st_size - int(offset) - length:
                raise ValueError(f"the file ends before {size} bytes of {kind or 'integers'}")
            file.seek(int(offset) + length)
            return _decoded(kind, shape, head[:length], file.read(size))
    except FileNotFoundError:
        raise UserError(f"{name}: no such archive: run the stage that makes it again") from None
    except (ValueError, OSError) as error:
        reason = first_line(error)
        raise UserError(f"{entry}: damaged archive ({reason}): remove its folder and run the stage again") from None


def read_integers(entry: str) -> np.ndarray:
    """Read one `file.ark:offset` entry of integers, such as tokens: int32 (T, M) or (T,).

    Raises:
        UserError: As `read_array`; or numbers that are not whole, or in a matrix beyond 2 ** 24.
    """
    array = read_array(entry)
    if array.dtype != np.int32:
        with np.errstate(invalid="ignore"):
            whole = np.all((np.abs(array) <= _LARGEST) & (array == np.rint(array)))
        if not whole:
            raise UserError(f"{entry}: its numbers are not whole, but integers (tokens) are needed: name their archive")
        array = array.astype(np.int32)
    return array


def read_archives(
    scp: str | Path | Mapping[str, str], read: Callable[[str], np.ndarray] = read_array
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield utterance and array for every line of an scp file (or of a table already read).

    Args:
        scp: The file or the table.
        read: `read_array` or `read_integers`.
    """
    table = scp if isinstance(scp, Mapping) else read_table(scp)
    for utterance, entry in table.items():
        yield utterance, read(entry)


def _header(head: bytes) -> tuple[str, tuple[int, ...], int, int]:
    """Read an entry's header: its type, the shape, the bytes of the header, and those of the data behind it.

    Raises:
        ValueError: It is none of Kaldi's binary matrices and vectors.
    """
    if head.startswith(_FOREIGN):
        word = next(word.decode() for word in _FOREIGN if head.startswith(word))
        raise ValueError(f"of type {word}, which is not Kaldi's, and which this version does not read")
    kind = "" if head[2:3] == b"\4" else head[2:6].partition(b" ")[0].decode("latin-1")
    if head[:2] != b"\0B" or kind not in _TYPES:
        raise ValueError("no binary matrix or vector of Kaldi")
    layout, width = _TYPES[kind]
    start = 2 + (len(kind) + 1 if kind else 0)
    try:
        fields = struct.unpack_from(layout, head, start)
    except struct.error:
        raise ValueError("the file ends inside of a header") from None
    if layout == "<ffii":
        # Kaldi's least value and range of a compressed matrix.
        shape, valid = fields[2:], all(map(math.isfinite, fields[:2]))
    else:
        # Kaldi puts the bytes of a number before each number.
        shape, valid = fields[1::2], set(fields[::2]) == {4}
    # Rows without columns would cost nothing on the disk, and much in memory.
    if not valid or min(shape) < 0 or (shape[0] > 0 and shape[-1] == 0):
        raise ValueError(f"sizes {shape} in a header that can't be right")
    # Before the columns of a CM stand four percentiles of each.
    size = width * math.prod(shape) + (8 * shape[1] if kind == "CM" else 0)
    return kind, shape, start + struct.calcsize(layout), size


def _decoded(kind: str, shape: tuple[int, ...], header: bytes, data: bytes) -> np.ndarray:
    """Return the array of an entry whose header has been checked."""
    if kind == "":
        pairs = np.frombuffer(data, dtype=[("bytes", "u1"), ("value", "<i4")])
        if not np.all(pairs["bytes"] == 4):
            raise ValueError("not a vector of 4-byte integers")
        return pairs["value"].astype(np.int32)
    if kind.startswith("CM"):
        from kaldiio.matio import read_matrix_or_vector

        with np.errstate(over="ignore", invalid="ignore"):
            return read_matrix_or_vector(io.BytesIO(header + data))
    dtype = np.dtype(f"<f{_TYPES[kind][1]}")
    return np.frombuffer(data, dtype=dtype).astype(dtype.newbyteorder("=")).reshape(shape)
