# Copyright 2026 The hasrd authors
# Apache-2.0
"""How much memory a call needs beyond what was taken before it."""

from __future__ import annotations

import contextlib
import ctypes
import re
from typing import Iterator

import torch
from torch import nn

from hasrd.bench.timing import finish


class Peak:
    """Bytes that were taken at most between entry and exit, beyond those at entry; None where nothing tells."""

    bytes: int | None = None


@contextlib.contextmanager
def peak(device: torch.device | str = "cpu") -> Iterator[Peak]:
    """Watch the memory of what runs inside: allocated by torch on a GPU, resident of this process on Linux."""
    found = Peak()
    if torch.device(device).type == "cuda":
        finish(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield found
        finish(device)
        found.bytes = torch.cuda.max_memory_allocated(device) - before
        return
    before = _reset_resident_peak()
    yield found
    if before is not None:
        found.bytes = max(0, _status("VmHWM") - before)


def weights(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def _reset_resident_peak() -> int | None:
    """Let the kernel forget this process's peak; the bytes resident now, or None where that cannot be done."""
    try:
        # What the C library keeps from before would hide what is needed now.
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        pass
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        return _status("VmRSS")
    except (OSError, LookupError):
        return None


def _status(key: str) -> int:
    """A size of /proc/self/status in bytes; LookupError where it is not told."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        found = re.search(rf"^{key}:\s+(\d+) kB", file.read(), re.M)
    if found is None:
        raise LookupError(key)
    return 1024 * int(found[1])
