# Copyright 2026 The hasrd authors
# Apache-2.0
"""Where a measurement was made."""

from __future__ import annotations

import argparse
import platform
from typing import Any

import torch

from hasrd.errors import UserError
from hasrd.machine import machine
from hasrd.train.precision import has_bf16


def set_up(args: argparse.Namespace) -> None:
    """Fix the number of threads.

    Raises:
        UserError: A GPU is asked for, but there is none that torch can use.
    """
    if args.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU here (tools/check.py says what there is)")
    torch.set_num_threads(args.threads)


def environment(args: argparse.Namespace) -> dict[str, Any]:
    """What the figures of all rows depend on: device, threads, versions."""
    return {
        "device": args.device,
        "threads": torch.get_num_threads(),
        "repeats": args.repeats,
        "machine": machine(),
        "native_bf16": has_bf16(args.device),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
