# Copyright 2026 The hasrd authors
# Apache-2.0
"""A codec in the form that all are measured in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Sequence

import torch
from torch import Tensor, nn

from hasrd.errors import UserError

# Name of a mode -> type of weights and activations, whether torch.compile translates the model.
MODES: dict[str, tuple[torch.dtype, bool]] = {
    "float32": (torch.float32, False),
    "bf16": (torch.bfloat16, False),
    "compile": (torch.float32, True),
    "bf16+compile": (torch.bfloat16, True),
}


@dataclass(frozen=True)
class Subject:
    """One codec in one mode.

    Attributes:
        name: Of the model.
        mode: One of MODES.
        sample_rate: What `encode` takes, in Hz.
        parameters: Of the model in its training form.
        module: Holds the weights.
        encode: Wave (B, N) to codes, in whatever form `decode` takes.
        decode: Codes to a wave (B, N').
        books: Codes to one long tensor a codebook.
    """

    name: str
    mode: str
    sample_rate: int
    parameters: int
    module: nn.Module
    encode: Callable[[Tensor], Any]
    decode: Callable[[Any], Tensor]
    books: Callable[[Any], Sequence[Tensor]]


class Unavailable(UserError):
    """A model that can't be measured here, and why: a line of the table, not the end of the run."""


def parse_modes(text: str) -> list[str]:
    """The modes of a comma-separated list, each once.

    Raises:
        UserError: One that there is not.
    """
    modes = list(dict.fromkeys(text.split(",")))
    for mode in modes:
        if mode not in MODES:
            raise UserError(f"--modes {text}: '{mode}' is none of {', '.join(MODES)}")
    return modes
