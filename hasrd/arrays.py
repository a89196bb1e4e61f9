# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading NumPy files (.npz, .npy) that may be damaged, or come from elsewhere: arrays of the form that is needed, or
one clear line.

Nothing in them is unpickled. What a header promises is compared with the file's size before memory is asked for.
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Mapping

import numpy as np
from numpy.lib import format as npy

from hasrd.errors import UserError, first_line

# Bytes of a header; NumPy's own limit for what is not trusted.
MAX_HEADER = 10_000
# Bytes that a compressed member may have more than the file: it can hold a thousand times as much as it is long.
MAX_UNPACKED = 2**28


@dataclass(frozen=True)
class Array:
    """The form of an array.

    Attributes:
        kinds: Of its type, by NumPy's letters: f (floats), i and u (integers), U (text), b; or a structured type.
        shape: A number for each dimension, or a name, which stands for the same number in all arrays of a file.
        optional: It may be missing.
    """

    kinds: str | np.dtype
    shape: tuple[int | str, ...] = ()
    optional: bool = False


def read_npz(path: str | Path, arrays: Mapping[str, Array], what: str, advice: str) -> dict[str, np.ndarray]:
    """Read arrays from a .npz file.

    Args:
        path: What `numpy.savez` or `numpy.savez_compressed` wrote.
        arrays: Names and forms; what else is in the file is not read. Floats must be finite.
        what: Is wanted, for messages: "k-means file".
        advice: What to do about a file that is not as it should be.

    Returns:
        The arrays that are there.

    Raises:
        UserError: No such file, a damaged one, one without an array that is needed, or one in another form.
    """
    path = Path(path)
    found: dict[str, np.ndarray] = {}
    sizes: dict[str, int] = {}
    try:
        whole = path.stat().st_size
        with zipfile.ZipFile(path) as file:
            members = {member.filename.removesuffix(".npy"): member for member in file.infolist()}
            for name, wanted in arrays.items():
                if name not in members:
                    if wanted.optional:
                        continue
                    raise UserError(f"{path}: not a {what} (no array '{name}' in it): {advice}")
                stored = members[name].compress_type == zipfile.ZIP_STORED
                room = whole if stored else whole + MAX_UNPACKED
                with file.open(members[name]) as opened:
                    found[name] = _read(opened, min(members[name].file_size, room), wanted, sizes, name)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such {what}: {advice}") from None
    except Exception as error:  # zipfile, zlib and NumPy raise many types for damage
        raise UserError(f"{path}: not a {what} ({first_line(error)}): {advice}") from None
    return found


def read_npy(path: str | Path, wanted: Array, what: str, advice: str, mapped: bool = False) -> np.ndarray:
    """Read the array of a .npy file.

    Args:
        path: What `numpy.save` wrote.
        wanted: Its form. Floats must be finite, unless `mapped`.
        what: Is wanted, for messages: "k-means file".
        advice: What to do about a file that is not as it should be.
        mapped: Leave it on disk and read from there what is used (read-only); an empty array is read.

    Raises:
        UserError: No such file, a damaged one, or an array in another form.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            size = path.stat().st_size
            if not mapped:
                return _read(file, size, wanted, {}, "the array")
            shape, _, dtype, start = _header(file)
            _check(shape, dtype, size - start, wanted, {}, "the array")
        return np.load(path, mmap_mode="r" if math.prod(shape) else None, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such {what}: {advice}") from None
    except Exception as error:  # NumPy raises many types for damage
        raise UserError(f"{path}: not a {what} ({first_line(error)}): {advice}") from None


def read_npy_bytes(content: bytes, where: str, wanted: Array, what: str, advice: str) -> np.ndarray:
    """Read the array of a .npy file whose content is at hand, as a member of an archive; see `read_npy`."""
    try:
        return _read(io.BytesIO(content), len(content), wanted, {}, "the array")
    except Exception as error:  # NumPy raises many types for damage
        raise UserError(f"{where}: not a {what} ({first_line(error)}): {advice}") from None


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Read shape, order, type and length of an array's header."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"version {version} of the format")
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(file.read(width), "little")
    if length > MAX_HEADER:
        raise ValueError(f"a header of {length} bytes")
    file.seek(-width, 1)
    # Version 3 differs in its encoding alone, which the reader of version 2 takes too where the names are ASCII.
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file, max_header_size=MAX_HEADER)
    return shape, fortran, dtype, 8 + width + length


def _check(shape: tuple[int, ...], dtype: np.dtype, room: int, wanted: Array, sizes: dict[str, int], name: str) -> None:
    text = isinstance(wanted.kinds, str)
    if (dtype.kind not in wanted.kinds if text else dtype != wanted.kinds) or dtype.hasobject:
        raise ValueError(f"{name} is of type {first_line(ValueError(dtype), 60)}")
    fits = len(shape) == len(wanted.shape)
    for size, needed in zip(shape, wanted.shape):
        fits = fits and size >= 0 and size == (sizes.setdefault(needed, size) if isinstance(needed, str) else needed)
    if not fits:
        raise ValueError(f"{name} is of shape {shape}, not ({', '.join(map(str, wanted.shape))})")
    if math.prod(shape) * dtype.itemsize > room:
        raise ValueError(f"{name} is cut off: its header promises {math.prod(shape) * dtype.itemsize} bytes")


def _read(file: BinaryIO, size: int, wanted: Array, sizes: dict[str, int], name: str) -> np.ndarray:
    shape, fortran, dtype, start = _header(file)
    _check(shape, dtype, size - start, wanted, sizes, name)
    count = math.prod(shape) * dtype.itemsize
    content = file.read(count)
    if len(content) < count:
        raise ValueError(f"{name} is cut off")
    # A copy: what is read is the caller's, to be written to.
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C").copy()
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))
