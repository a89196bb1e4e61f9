# Copyright 2026 The hasrd authors
# Apache-2.0
"""hasrd: speech tokenizers whose first stream says what was spoken and whose other streams say how.

Example:
    model = hasrd.load("exp/codec_x")           # or a packed model
    tokens = model.encode(wave, sample_rate)    # hasrd.Tokens: codes (B, T, M)
    speech = model.decode(tokens)               # (B, N)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hasrd.codec.tokenizer import Tokenizer
    from hasrd.codec.tokens import Tokens
    from hasrd.errors import UserError
    from hasrd.models.load import load

__version__ = "0.1.0"
__all__ = ["Tokenizer", "Tokens", "UserError", "load"]

# Imported when they are first asked for: torch takes seconds.
_PLACES = {
    "Tokenizer": "hasrd.codec.tokenizer",
    "Tokens": "hasrd.codec.tokens",
    "UserError": "hasrd.errors",
    "load": "hasrd.models.load",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'hasrd' has no attribute '{name}'")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
