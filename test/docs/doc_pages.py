# Copyright 2026 The hasrd authors
# Apache-2.0
"""The code on the pages of docs/, for the tests that run it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The content of the fenced blocks of `page` in a language, in order ("" for those without one)."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [body for name, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S) if name == language]
