# Copyright 2026 The hasrd authors
# Apache-2.0
"""Files below a folder, and behind links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hasrd.data.walk import walk_files
from hasrd.errors import UserError


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in walk_files(root)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("root/b/2.wav", "root/b/c/3.wav", "root/a.wav", "far/away/4.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "root"


def test_linked_folders_are_followed(tree: Path):
    (tree / "d").symlink_to(tree.parent / "far")
    (tree / "e").symlink_to(tree / "b" / "c")
    assert names(tree) == ["a.wav", "b/2.wav", "b/c/3.wav", "d/away/4.wav", "e/3.wav"]
    (tree.parent / "link").symlink_to(tree)
    assert names(tree.parent / "link") == names(tree)


def test_loops_end(tree: Path):
    before = names(tree)
    (tree / "b" / "c" / "up").symlink_to(tree)
    (tree / "here").symlink_to(".")
    assert names(tree) == before
    # Two folders that lead into each other are listed once on each way.
    (tree / "d").symlink_to(tree.parent / "far")
    (tree.parent / "far" / "back").symlink_to(tree / "b")
    assert [name for name in names(tree) if name.startswith("d/")] == ["d/away/4.wav", "d/back/2.wav", "d/back/c/3.wav"]


def test_links_to_nothing_are_listed(tree: Path):
    (tree / "gone.wav").symlink_to("nowhere.wav")
    (tree / "self.wav").symlink_to("self.wav")
    assert {"gone.wav", "self.wav"} <= set(names(tree))


def test_a_folder_that_cannot_be_read(tree: Path, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("/c"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match="b/c: the folder cannot be read"):
        names(tree)
    with pytest.raises(UserError, match="nowhere: the folder cannot be read"):
        names(tree / "nowhere")
