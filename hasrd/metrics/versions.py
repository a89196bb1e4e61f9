# Copyright 2026 The hasrd authors
# Apache-2.0
"""What made a score: versions of the packages that it depends on, commit of a checkout."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Iterable

import hasrd


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of hasrd (with its commit, if it runs from a checkout), Python and
    `packages`.
    """
    found = {"hasrd": hasrd.__version__, "python": platform.python_version()}
    if commit():
        found["commit"] = commit()
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@lru_cache(maxsize=None)
def commit() -> str:
    """Return the commit of the checkout that hasrd runs from, with "+changes" where it differs; ""
    if there is none.
    """
    root = Path(hasrd.__file__).parent.parent
    # An installed copy may lie inside somebody else's checkout: that one's commit says nothing
    # about it.
    if not (root / ".git").exists():
        return ""
    head = _git(root, "rev-parse", "HEAD")
    if not head:
        return ""
    return head[:12] + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
