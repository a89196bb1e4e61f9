# Copyright 2026 The hasrd authors
# Apache-2.0
"""What is wrong with some input, collected so that a user sees it at once and not one error a run."""

from __future__ import annotations

from hasrd.errors import UserError

SHOWN = 10


class Problems:
    """Lines such as `data/train/wav.scp:12: utterance x: ...`; the first ten are shown, then a count."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        """Note one problem: `file:line: what is wrong: what to do`."""
        self.lines.append(line)

    def raise_if_any(self, advice: str = "") -> None:
        """Raise one UserError with the first lines, a count of the rest and `advice`."""
        if not self.lines:
            return
        shown = self.lines[:SHOWN]
        if len(self.lines) > SHOWN:
            shown.append(f"... and {len(self.lines) - SHOWN} more")
        if advice:
            shown.append(advice)
        raise UserError("\n  ".join(shown))
