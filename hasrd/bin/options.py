# Copyright 2026 The hasrd authors
# Apache-2.0
"""Option types that several entry points share, and how a value that looks like an option is given."""

from __future__ import annotations

import argparse
from typing import Sequence


def str2bool(text: str) -> bool:
    """`true` or `false`, as ESPnet's options are written; argparse reports anything else."""
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no"):
        return False
    raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")


def join_values(argv: Sequence[str], names: Sequence[str]) -> list[str]:
    """Join each of these options to its value: argparse takes a value such as "--max_epoch=3" for an option."""
    argv = list(argv)
    for i in reversed(range(len(argv) - 1)):
        if argv[i] in names:
            argv[i : i + 2] = [f"{argv[i]}={argv[i + 1]}"]
    return argv
