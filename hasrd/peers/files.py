# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading what others have published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hasrd.errors import UserError


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UserError: No such file, or no object in it.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: give the model's folder as it was published") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not JSON: {reason(error)}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: not a JSON object")
    return value


def reason(error: Exception) -> str:
    """What an error says, as one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]} ..."
