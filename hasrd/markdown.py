# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tables in Markdown."""

from __future__ import annotations

from typing import Iterable


def table_row(cells: Iterable[str]) -> str:
    """Return a row of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
