# Copyright 2026 The hasrd authors
# Apache-2.0
"""Files that appear complete: exclusive names, the umask's rights, no following of links, nothing left."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hasrd.jobs.atomic import atomic_folder, atomic_path, remove_folder, replace_link, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_rights_are_those_of_the_umask_whatever_the_writer_does(tmp_path, mask):
    before = os.umask(mask)
    try:
        with atomic_path(tmp_path / "a.bin") as temporary:
            # As safetensors: a file of its own, with narrow rights, takes the place.
            other = tmp_path / "other"
            other.touch(0o600)
            os.replace(other, temporary)
        with atomic_folder(tmp_path / "folder") as folder:
            (folder / "b").touch(0o600)
    finally:
        os.umask(before)
    for path in (tmp_path / "a.bin", tmp_path / "folder" / "b"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_names_are_new_each_time_and_nothing_is_left(tmp_path):
    seen = set()
    for _ in range(20):
        with atomic_path(tmp_path / "x.npz") as temporary:
            assert temporary.suffix == ".npz" and temporary.parent == tmp_path
            seen.add(temporary.name)
        with pytest.raises(ValueError), atomic_path(tmp_path / "x.npz"):
            raise ValueError
    assert len(seen) == 20 and names(tmp_path) == ["x.npz"]


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a.txt").symlink_to(victim)
    for guess in (".a.tmp.txt", ".a.txt.tmp"):
        (tmp_path / guess).symlink_to(victim)
    write_text(tmp_path / "a.txt", "new")
    assert victim.read_text() == "precious" and (tmp_path / "a.txt").read_text() == "new"
    replace_link(tmp_path / "latest", "a.txt")
    replace_link(tmp_path / "latest", "victim")
    assert (tmp_path / "latest").read_text() == "precious"


@pytest.mark.parametrize("noticed", [True, False], ids=["parent waited", "parent did not"])
def test_what_a_killed_process_left_is_removed_by_the_next_and_a_living_one_is_spared(tmp_path, noticed):
    code = (
        "import os, sys; from hasrd.jobs.atomic import atomic_path, atomic_folder\n"
        "with atomic_path(sys.argv[1] + '/a.txt') as t, atomic_folder(sys.argv[1] + '/f') as g:\n"
        "    t.write_text('half'); (g / 'x').touch(); os.kill(os.getpid(), 9)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    os.waitid(os.P_PID, process.pid, os.WEXITED | (0 if noticed else os.WNOWAIT))
    assert len(names(tmp_path)) == 2
    with atomic_path(tmp_path / "a.txt") as first:
        first.write_text("first")
        with atomic_path(tmp_path / "a.txt") as second:
            second.write_text("second")
        assert first.exists()
    with atomic_folder(tmp_path / "f") as folder:
        (folder / "y").touch()
    assert names(tmp_path) == ["a.txt", "f"] and names(tmp_path / "f") == ["y"]
    process.wait()


def test_a_folder_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "kept").touch()
    with pytest.raises(OSError), atomic_folder(tmp_path / "f") as folder:
        (folder / "x").touch()
    assert names(tmp_path / "f") == ["kept"]
    remove_folder(tmp_path / "f")
    assert names(tmp_path) == []


def test_names_as_long_as_the_file_system_takes(tmp_path):
    name = "x" * 251 + ".txt"
    write_text(tmp_path / name, "a")
    assert names(tmp_path) == [name]


def test_json_without_numbers_that_it_does_not_have(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert names(tmp_path) == []
