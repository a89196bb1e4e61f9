# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading what others have published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hasrd import config


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UserError: No such file, or no object in it.
    """
    return config.read_json(path, advice="give the model's folder as it was published")


def reason(error: Exception) -> str:
    """What an error says, as one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]} ..."
