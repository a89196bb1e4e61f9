# Copyright 2026 The hasrd authors
# Apache-2.0
"""One run, one end: a signal to any process of a recipe ends all of them, and the same command then goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UTILS = ROOT / "egs2/TEMPLATE/hasrd1/utils"
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL]
# Seconds until nothing may be left, on a busy machine; those that heed no signal are killed after three.
SECONDS = 5

# A job with worker processes of its own, as hasrd.jobs.workers starts them.
JOB = """
import time
from hasrd.jobs.workers import run_workers
def make():
    return time.sleep
if __name__ == "__main__":
    list(run_workers(make, [300, 300], 2))
"""
# All ways in which the recipes start processes: scripts that call one another, jobs in the foreground and side by side,
# programs without a job's log, a script that calls a program.
SCRIPTS = {
    "local/paper.sh": """. "$(dirname "$0")/../utils/guard.sh"
cd "$(dirname "$0")/.."
attend ./run.sh "$@"
echo went-on
""",
    "run.sh": '. "$(dirname "$0")/utils/guard.sh"\ncd "$(dirname "$0")"\nexec ./hasrd.sh "$@"\n',
    "hasrd.sh": """. utils/guard.sh
case $1 in
    data) attend local/data.sh ;;
    job) attend utils/run.sh exp/job.log "${PYTHON}" job.py ;;
    program) attend "${PYTHON}" job.py ;;
    probes)
        (heed_interrupts; attend utils/run.sh exp/a.log "${PYTHON}" job.py) &
        pids=($!)
        (heed_interrupts; attend utils/run.sh exp/b.log sleep 300) &
        pids+=($!)
        while true; do
            for pid in "${pids[@]}"; do kill -0 "${pid}" 2>/dev/null || wait "${pid}"; done
            sleep 0.2
        done
        ;;
    array) attend utils/run.sh JOB=1:2 exp/JOB.log sleep 300 ;;
esac
echo went-on
""",
    "local/data.sh": '. utils/guard.sh\nattend "${PYTHON}" job.py\necho went-on\n',
}
# Programs that are in the tree for each, by what their command line holds.
KINDS = {
    "data": ["local/paper.sh", "hasrd.sh", "local/data.sh", "job.py", "spawn_main"],
    "job": ["hasrd.sh", "utils/run.sh", "job.py", "spawn_main", "tail", "sed"],
    "program": ["hasrd.sh", "job.py", "spawn_main"],
    "probes": ["hasrd.sh", "last hasrd.sh", "utils/run.sh exp/a.log", "utils/run.sh exp/b.log", "sleep 300"],
    "array": ["utils/run.sh", "sleep 300"],
}


def heed_signals() -> None:
    """Undo what a shell in the background, and nohup, leave to all that they start: signals that are ignored."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def processes(marker: str) -> dict[int, str]:
    """Command lines of the processes that have this in their environment."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                pass
    return found


def wait_for(condition, seconds: float, message: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, message
        time.sleep(0.05)


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(UTILS, tmp_path / "utils", symlinks=True)
    (tmp_path / "job.py").write_text(JOB)
    for name, text in SCRIPTS.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/usr/bin/env bash\nset -euo pipefail\n" + text)
        path.chmod(0o755)
    return tmp_path


@contextmanager
def running(folder: Path, way: str):
    """A run that has come to where it waits: its process, and the mark of all of its processes."""
    marker = f"TEST_RUN={uuid.uuid4()}"
    name, _, value = marker.partition("=")
    env = {**os.environ, name: value, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    env.pop("HASRD_RUN", None)
    with open(folder / "output", "w") as output:
        process = subprocess.Popen(
            ["local/paper.sh", way], cwd=folder, env=env, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            preexec_fn=heed_signals, start_new_session=True,
        )  # fmt: skip
    try:
        wanted = [kind.removeprefix("last ") for kind in KINDS[way]]
        wait_for(
            lambda: all(any(kind in line for line in processes(marker).values()) for kind in wanted),
            60, f"{way}: {processes(marker)}\n{(folder / 'output').read_text()}",
        )  # fmt: skip
        # Workers that have just started have not come to set their signals.
        time.sleep(1)
        yield process, marker
    finally:
        for pid in processes(marker):
            os.kill(pid, signal.SIGKILL)
        process.wait(20)


def victims(marker: str, process: subprocess.Popen, way: str) -> dict[str, int]:
    """One process of each kind, both guards of the run among them."""
    found = processes(marker)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    second = next(int(child) for child in children if b"HASRD_RUN=" not in Path(f"/proc/{child}/environ").read_bytes())
    chosen = {"first guard": process.pid, "second guard": second}
    for kind in KINDS[way]:
        pids = [pid for pid, line in found.items() if kind.removeprefix("last ") in line and pid not in chosen.values()]
        # Of a shell and its subshells, which have the same command line, the first or the last.
        chosen[kind] = max(pids) if kind.startswith("last ") else min(pids)
    return chosen


CASES = [(way, kind) for way in KINDS for kind in KINDS[way]] + [("job", "first guard"), ("job", "second guard")]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("way, kind", CASES)
def test_a_signal_to_any_process_ends_all(folder, way, kind, number):
    with running(folder, way) as (process, marker):
        os.kill(victims(marker, process, way)[kind], number)
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            pass
        wait_for(lambda: not processes(marker), SECONDS, f"left after {SECONDS} s: {processes(marker)}")
        assert process.returncode != 0
    assert "went-on" not in (folder / "output").read_text()
