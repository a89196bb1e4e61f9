# Copyright 2026 The hasrd authors
# Apache-2.0
"""One writer at a time, and a lock that dies with its process."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from hasrd.errors import UserError
from hasrd.jobs import lock
from hasrd.jobs.lock import exclusive, exclusive_shard

HOLD = """
import sys, time
from hasrd.jobs.lock import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("name", ["out.npz", "."])
def test_the_second_is_told_who_holds_it_and_a_kill_frees_it(tmp_path, name):
    process = hold(tmp_path / name)
    try:
        with pytest.raises(UserError, match=rf"process {process.pid} on .* is writing there") as caught:
            with exclusive(tmp_path / name):
                raise AssertionError("two writers")
        assert "\n" not in str(caught.value)
    finally:
        process.kill()
        process.wait()
    with exclusive(tmp_path / name):
        pass
    assert list(tmp_path.iterdir()) == []


def test_parts_of_a_folder_are_locked_one_by_one(tmp_path):
    with exclusive(tmp_path, ".1.2"), exclusive(tmp_path, ".2.2"):
        with pytest.raises(UserError), exclusive(tmp_path, ".1.2"):
            pass


def test_waiting_writers_lose_nothing(tmp_path):
    """Each of three processes reads a number and writes the next one, 200 times, while nobody else does."""
    code = """
import sys
from pathlib import Path
from hasrd.jobs.lock import exclusive
number = Path(sys.argv[1], "number")
for _ in range(200):
    with exclusive(sys.argv[1], ".n", wait=True):
        number.write_text(str(int(number.read_text()) + 1))
"""
    (tmp_path / "number").write_text("0")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "600" and len(list(tmp_path.iterdir())) == 1


def test_the_file_may_be_a_link_to_nothing_of_ours(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError) as caught, exclusive(tmp_path):
        pass
    assert caught.value.errno == errno.ELOOP and (tmp_path / "victim").read_text() == "precious"


def test_a_file_system_without_locks_is_said_once(tmp_path, monkeypatch, capsys):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(lock, "_said_no_locks", False)
    for _ in range(2):
        with exclusive(tmp_path):
            pass
    assert capsys.readouterr().err.count("has no locks") == 1


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    """A loader of data that lives on after a kill of the training."""
    # The child says that it runs: until it does, it has not yet let go of what it was born with.
    fork = (
        "    import os\n    read, write = os.pipe()\n    child = os.fork()\n"
        "    if child == 0: os.write(write, b'1'), time.sleep(60)\n    os.read(read, 1)\n    print(child)\n"
    )
    code = HOLD.replace("    print", f"{fork}    print")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    child = int(process.stdout.readline())
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UserError), exclusive(tmp_path):
            pass
        process.kill()
        process.wait()
        with exclusive(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_shards_of_one_number_write_together_and_nothing_else_does(tmp_path):
    whole, other = (0, 1), (0, 3)
    with exclusive_shard(tmp_path, (0, 2), of="a"):
        with exclusive_shard(tmp_path, (1, 2), of="a"):
            pass
        for shard, of in ((whole, ""), (other, "a"), ((1, 2), "b"), ((0, 2), "a")):
            with pytest.raises(UserError, match="is writing"), exclusive_shard(tmp_path, shard, of=of):
                pass
        with exclusive_shard(tmp_path, (1, 2), of="a"):
            pass
    with exclusive_shard(tmp_path, whole):
        with pytest.raises(UserError, match="is writing there"), exclusive_shard(tmp_path, (1, 2)):
            pass
    with exclusive_shard(tmp_path, other):
        pass
    assert not list(tmp_path.iterdir())
