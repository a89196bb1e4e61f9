# Copyright 2026 The hasrd authors
# Apache-2.0
"""The entry point that dumps features: killed, out of disk, in shards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hasrd.bin.dump_feats import main
from hasrd.errors import run_main

pytest.importorskip("kaldiio")
ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: object) -> None:
    run_main(lambda: main([str(argument) for argument in arguments]))


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "hasrd.bin.dump_feats", *map(str, arguments)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True)


def contents(dump: Path) -> dict[str, bytes]:
    files = [path for path in dump.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(dump)): path.read_bytes() for path in files}


@pytest.mark.parametrize("nj", [1, 2])
def test_killed_with_9_and_run_again_gives_the_same_bytes(tmp_path: Path, make_data_dir, monkeypatch, nj: int):
    data = make_data_dir("train", [16000 * 3] * 160)
    monkeypatch.chdir(tmp_path)
    arguments = ("--data", data, "--dump", "dump", "--chunk_size", 4)
    run(*arguments)
    expected = contents(tmp_path / "dump")
    (tmp_path / "dump").rename(tmp_path / "before")

    process = start(*arguments, "--nj", nj)
    deadline = time.monotonic() + 100
    while not list((tmp_path / "dump" / "data").glob("0*")):
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()
    done = list((tmp_path / "dump" / "data").glob("0*"))
    assert 0 < len(done) < 40, "the test must kill it in the middle"
    assert not (tmp_path / "dump" / "feats.scp").exists()
    before = {folder: folder.stat().st_mtime_ns for folder in done}

    if nj > 1:
        time.sleep(1.5)  # for the workers to notice that they are alone
    run(*arguments)
    assert contents(tmp_path / "dump") == expected
    assert {folder: folder.stat().st_mtime_ns for folder in done} == before, "what was done was done again"


def test_a_full_disk_is_one_line(tmp_path: Path, make_data_dir):
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(disk)], capture_output=True)
    if mount.returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        data = make_data_dir("train", [48000] * 6)
        process = start("--data", data, "--dump", disk / "dump", "--chunk_size", 2)
        _, error = process.communicate(timeout=100)
        assert process.returncode == 1
        lines = [line for line in error.splitlines() if "error" in line.lower() or "Traceback" in line]
        assert len(lines) == 1 and re.match("error: the disk is full.*run the same command again", lines[0]), error
        done = list((disk / "dump" / "data").glob("0*"))
        assert len(done) == 1 and not list((disk / "dump" / "data").glob(".tmp-*"))
        subprocess.run(["mount", "-o", "remount,size=30m", str(disk)], check=True)
        run("--data", data, "--dump", disk / "dump", "--chunk_size", 2)
        assert len(list((disk / "dump" / "data").glob("0*"))) == 3
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_in_a_worker_is_one_line_too(tmp_path: Path, make_data_dir):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    data = make_data_dir("train", [4000] * 4)
    # A frontend named by its import path that writes to a full device, as a worker of ours would.
    (tmp_path / "full_disk.py").write_text(
        "from hasrd.frontend.log_mel import LogMel\n"
        "class Full(LogMel):\n"
        "    def forward(self, wave, lengths):\n"
        "        with open('/dev/full', 'w') as file:\n"
        "            file.write('x')\n"
    )
    command = [sys.executable, "-m", "hasrd.bin.dump_feats", "--data", str(data), "--dump", str(tmp_path / "dump")]
    command += ["--feats_type", "full_disk:Full", "--nj", "2", "--chunk_size", "1"]
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    result = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: the disk is full")


def test_shards_make_what_one_run_makes(tmp_path: Path, make_data_dir, monkeypatch, capsys):
    data = make_data_dir("train", [4000] * 10)
    monkeypatch.chdir(tmp_path)
    arguments = ("--data", data, "--dump", "dump", "--chunk_size", 2)
    run(*arguments)
    expected = contents(tmp_path / "dump")
    (tmp_path / "dump").rename(tmp_path / "before")
    run(*arguments, "--shard", "1/2")
    assert not (tmp_path / "dump" / "feats.scp").exists()
    assert "shard 1/2 is done" in capsys.readouterr().out
    run(*arguments, "--shard", "2/2")
    assert contents(tmp_path / "dump") == expected


def test_options_reach_the_frontend(tmp_path: Path, make_data_dir):
    from hasrd.data.archive import read_archives

    run(
        "--data", make_data_dir(), "--dump", tmp_path / "dump", "--feats_conf", "num_mels=40", "--compression_method", 3
    )
    assert {matrix.shape[1] for _, matrix in read_archives(tmp_path / "dump" / "feats.scp")} == {40}
    with np.load(tmp_path / "dump" / "cmvn.npz") as stats:
        assert stats["sum"].shape == (40,)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--feats_type", "nothing"], "unknown class 'nothing'"),
        (["--nj", "0"], "--nj 0"),
        (["--chunk_size", "0"], "--chunk_size 0"),
        (["--shard", "5/2"], "--shard 5/2"),
        (["--data", "nowhere"], "nowhere: no wav.scp"),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, make_data_dir, option: list[str], said: str):
    with pytest.raises(SystemExit, match=f"error: .*{said}"):
        run("--data", make_data_dir(), "--dump", tmp_path / "dump", *option)
