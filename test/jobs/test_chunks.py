# Copyright 2026 The hasrd authors
# Apache-2.0
"""Work in chunks: killed at any moment, it ends as if it never had been."""

from __future__ import annotations

import errno
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chunk_works import (
    copy_work,
    make_copy_work,
    make_counting_work,
    make_dying_work,
    make_failing,
    make_killing_work,
    make_odd,
    make_refused,
)

from hasrd.errors import UserError, explain
from hasrd.jobs.chunks import run_in_chunks
from hasrd.jobs.sharing import Sharing, parse_shard
from hasrd.jobs.workers import run_workers

HERE = Path(__file__).resolve().parent
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)])}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(10):
        (folder / f"u{index}").write_text(f"content {index}")
    return {f"u{index}": str(folder / f"u{index}") for index in reversed(range(10))}


def contents(folder: Path) -> dict[str, bytes]:
    """Everything that is not hidden, by relative path."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def log_lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def run(inputs: dict[str, str], out: Path, log: Path, **options) -> list[Path] | None:
    options = {"options": {"of": "a"}, "chunk_size": 3} | options
    return run_in_chunks(inputs, out, functools.partial(make_counting_work, log), **options)


def test_chunks_hold_the_sorted_utterances_and_are_done_once(tmp_path: Path, inputs, capsys):
    folders = run(inputs, tmp_path / "out", tmp_path / "log")
    assert [folder.name for folder in folders] == ["000000", "000001", "000002", "000003"]
    assert log_lines(tmp_path / "log") == ["u0 u1 u2", "u3 u4 u5", "u6 u7 u8", "u9"]
    assert (folders[3] / "out").read_text() == f"u9 content 9 {folders[3]}\n"
    assert run(inputs, tmp_path / "out", tmp_path / "log") == folders
    assert len(log_lines(tmp_path / "log")) == 4
    assert "10 utterances are done already, nothing to compute" in capsys.readouterr().err


@pytest.mark.parametrize("nj", [1, 2])
def test_the_number_of_processes_changes_nothing(tmp_path: Path, inputs, nj: int):
    run(inputs, tmp_path / "out", tmp_path / "log")
    expected = contents(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "before")
    run_in_chunks(inputs, tmp_path / "out", make_copy_work, options={"of": "a"}, chunk_size=3, sharing=Sharing(nj))
    assert contents(tmp_path / "out") == expected


def test_another_configuration_reuses_nothing_and_says_so(tmp_path: Path, inputs, capsys):
    merged = tmp_path / "merged"
    run(inputs, tmp_path / "out", tmp_path / "log")
    merged.touch()
    run(inputs, tmp_path / "out", tmp_path / "log", made_from=[merged])
    assert merged.exists()
    run(inputs, tmp_path / "out", tmp_path / "log", options={"of": "b"}, made_from=[merged])
    assert len(log_lines(tmp_path / "log")) == 8 and not merged.exists()
    assert "removed 4 of an earlier run's parts" in capsys.readouterr().err


def test_a_changed_input_redoes_its_chunk_alone(tmp_path: Path, inputs):
    run(inputs, tmp_path / "out", tmp_path / "log")
    Path(inputs["u4"]).write_text("something else")
    folders = run(inputs, tmp_path / "out", tmp_path / "log")
    assert log_lines(tmp_path / "log")[4:] == ["u3 u4 u5"]
    assert "something else" in (folders[1] / "out").read_text()


def test_an_archive_entry_counts_as_its_archive(tmp_path: Path, inputs):
    archive = tmp_path / "x.ark"
    calls = []

    def make():
        return lambda inputs, folder, final: calls.append(final)

    entries = {"a": f"{archive}:5"}
    archive.write_text("1")
    for _ in range(2):
        run_in_chunks(entries, tmp_path / "out", make, options={"of": "a"})
    assert len(calls) == 1
    archive.write_text("22")
    run_in_chunks(entries, tmp_path / "out", make, options={"of": "a"})
    assert len(calls) == 2


def test_a_shorter_list_leaves_no_chunks_behind(tmp_path: Path, inputs):
    run(inputs, tmp_path / "out", tmp_path / "log")
    fewer = {utterance: inputs[utterance] for utterance in list(inputs)[-4:]}
    folders = run(fewer, tmp_path / "out", tmp_path / "log")
    assert sorted(path.name for path in (tmp_path / "out").glob("0*")) == [folder.name for folder in folders]
    assert len(folders) == 2


def test_shards_share_the_work(tmp_path: Path, inputs):
    run(inputs, tmp_path / "whole", tmp_path / "log")
    assert run(inputs, tmp_path / "out", tmp_path / "log1", sharing=Sharing(shard="1/2")) is None
    assert log_lines(tmp_path / "log1") == ["u0 u1 u2", "u6 u7 u8"]
    folders = run(inputs, tmp_path / "out", tmp_path / "log2", sharing=Sharing(shard="2/2"))
    assert log_lines(tmp_path / "log2") == ["u3 u4 u5", "u9"]
    text = "".join((folder / "out").read_text() for folder in folders).replace("/out/", "/whole/")
    assert text.encode() == b"".join(contents(tmp_path / "whole")[f"00000{i}/out"] for i in range(4))


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", ""])
def test_a_wrong_shard_is_refused(text: str):
    with pytest.raises(UserError, match="give i/n"):
        parse_shard(text)


def test_shards_count_from_one():
    assert [parse_shard(f"{i}/3") for i in (1, 2, 3)] == [(0, 3), (1, 3), (2, 3)]


def test_a_second_process_is_refused(tmp_path: Path, inputs):
    def make():
        def work(*_):
            with pytest.raises(UserError, match=r"process \d+ on .* is writing there"):
                run(inputs, tmp_path / "out", tmp_path / "log")

        return work

    run_in_chunks(inputs, tmp_path / "out", make, options={"of": "a"}, chunk_size=100)
    assert not log_lines(tmp_path / "log")


def test_a_dead_worker_is_one_line_and_leaves_nothing_half_done(tmp_path: Path, inputs):
    with pytest.raises(UserError, match="a worker process died"):
        run_in_chunks(inputs, tmp_path / "out", make_dying_work, options={"of": "a"}, chunk_size=3, sharing=Sharing(2))
    assert not contents(tmp_path / "out")
    assert len(run(inputs, tmp_path / "out", tmp_path / "log")) == 4
    assert not list((tmp_path / "out").glob(".tmp-*"))


def test_a_full_disk_keeps_what_is_done(tmp_path: Path, inputs):
    def make():
        def work(inputs, folder, final_folder):
            copy_work(inputs, folder, final_folder)
            if final_folder.name == "000002":
                raise OSError(errno.ENOSPC, "No space left on device", str(folder / "out"))

        return work

    with pytest.raises(OSError) as caught:
        run_in_chunks(inputs, tmp_path / "out", make, options={"of": "a"}, chunk_size=3)
    assert caught.value.errno == errno.ENOSPC
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if "lock" not in path.name) == ["000000", "000001"]
    run(inputs, tmp_path / "out", tmp_path / "log")
    assert log_lines(tmp_path / "log") == ["u6 u7 u8", "u9"]


KILLED = """
import os, sys
from hasrd.jobs import chunks
from chunk_works import copy_work, die

where, out, *sources = sys.argv[1:]
inputs = {os.path.basename(source): source for source in sources}

def make():
    def work(inputs, folder, final):
        if where == "writing" and final.name == "000002":
            (folder / "out").write_text("half of it")
            die()
        copy_work(inputs, folder, final)
    return work

if where == "renaming":
    rename, calls = os.rename, []
    def os_rename(*paths):
        calls.append(paths)
        die() if len(calls) == 3 else rename(*paths)
    os.rename = os_rename
chunks.run_in_chunks(inputs, out, make, options={"of": "a"}, chunk_size=3)
"""


@pytest.mark.parametrize("where", ["writing", "renaming"])
def test_kill_9_while_a_chunk_is_saved(tmp_path: Path, inputs, where: str):
    run(inputs, tmp_path / "out", tmp_path / "log")
    expected = contents(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "before")

    command = [sys.executable, "-c", KILLED, where, str(tmp_path / "out"), *inputs.values()]
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("0*")) == ["000000", "000001"]
    assert list((tmp_path / "out").glob(".tmp-*"))

    run(inputs, tmp_path / "out", tmp_path / "log2")
    assert log_lines(tmp_path / "log2") == ["u6 u7 u8", "u9"]
    assert contents(tmp_path / "out") == expected
    assert not list((tmp_path / "out").glob(".tmp-*"))


ORPHANS = """
import sys, time
from hasrd.jobs.workers import run_workers
from chunk_works import make_sleeper

for _ in run_workers(make_sleeper, range(4), 2):
    pass
"""


def test_workers_end_with_a_killed_parent():
    parent = subprocess.Popen([sys.executable, "-c", ORPHANS], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived the process that started it"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("nj", [1, 2])
def test_what_the_work_raises_reaches_the_caller(nj: int):
    with pytest.raises(UserError, match=r"item \d is bad"):
        list(run_workers(make_failing, range(4), nj))


def test_zero_processes_are_refused():
    with pytest.raises(UserError, match="--nj 0"):
        list(run_workers(make_failing, range(4), 0))


def test_the_documented_layout(tmp_path: Path, inputs):
    (folder, *_) = run(inputs, tmp_path / "out", tmp_path / "log")
    assert sorted(path.name for path in folder.iterdir()) == [".origin.json", "out"]


@pytest.mark.parametrize("nj", [1, 2])
def test_what_a_worker_meets_while_it_starts_is_one_line(nj, capfd):
    with pytest.raises((UserError, PermissionError)) as error:
        list(run_workers(make_refused, range(4), nj))
    assert explain(error.value).startswith("no permission") and "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(("items", "line"), [([2, 2], "the disk is full: a.npz"), ([3, 3], "no library and knows why")])
def test_errors_that_no_process_can_pass_on(items, line):
    """What led to an error, and types that only their own process can build."""
    with pytest.raises(Exception) as error:
        list(run_workers(make_odd, items, 2))
    assert line in (explain(error.value) or str(error.value))


def test_what_a_dead_worker_was_at_is_done_by_the_same_command_again(tmp_path: Path, inputs):
    """A run ends with any of its processes, so that nothing of it stays behind."""
    run(inputs, tmp_path / "out", tmp_path / "log")
    expected = contents(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "before")
    work = functools.partial(make_killing_work, tmp_path / "killed")
    with pytest.raises(UserError, match="a worker process died .* run the same command again"):
        run_in_chunks(inputs, tmp_path / "out", work, options={"of": "a"}, chunk_size=3, sharing=Sharing(2))
    assert (tmp_path / "killed").exists()
    run_in_chunks(inputs, tmp_path / "out", work, options={"of": "a"}, chunk_size=3, sharing=Sharing(2))
    assert contents(tmp_path / "out") == expected


def test_shards_are_joined_when_all_have_run_again(tmp_path: Path, inputs):
    """After a change nothing old is joined with something new."""
    first, second = (functools.partial(run, sharing=Sharing(shard=f"{i}/2")) for i in (1, 2))
    merged = tmp_path / "merged"
    for change in (False, True):
        if change:
            merged.touch()
            Path(inputs["u0"]).write_text("something else")
            Path(inputs["u3"]).write_text("something else")
        assert first(inputs, tmp_path / "out", tmp_path / "log", made_from=[merged]) is None
        assert not merged.exists()
        assert len(second(inputs, tmp_path / "out", tmp_path / "log", made_from=[merged])) == 4
    assert not (tmp_path / "out" / ".shards").exists()
    # What other options or numbers of shards had done does not count.
    assert first(inputs, tmp_path / "out", tmp_path / "log") is None
    assert run(inputs, tmp_path / "out", tmp_path / "log", sharing=Sharing(shard="2/3")) is None
    assert second(inputs, tmp_path / "out", tmp_path / "log") is None


def test_a_shard_reads_its_own_lines_of_a_table_and_looks_at_its_own_files(tmp_path: Path, inputs, monkeypatch):
    from hasrd.data import kaldi
    from hasrd.jobs import listing, origin

    monkeypatch.setattr(listing, "STEP", 2)
    table = tmp_path / "wav.scp"
    table.write_text("".join(f"{utterance} {inputs[utterance]}\n" for utterance in sorted(inputs)))
    run(inputs, tmp_path / "whole", tmp_path / "log")
    read, looked = [], set()
    read_table, look = kaldi.read_table, origin._look
    monkeypatch.setattr(kaldi, "read_table", lambda *a, **k: read.append(read_table(*a, **k)) or read[-1])
    monkeypatch.setattr(origin, "_look", lambda path: looked.add(os.path.basename(path)) or look(path))
    for i in (1, 2):
        read.clear(), looked.clear()
        folders = run(table, tmp_path / "out", tmp_path / f"log{i}", sharing=Sharing(shard=f"{i}/2"))
        own = {1: {"u0", "u1", "u2", "u6", "u7", "u8"}, 2: {"u3", "u4", "u5", "u9"}}[i]
        assert looked - {"wav.scp"} == own
        # Lines are found in steps.
        assert sum(map(len, read)) <= len(own) + 2
    text = "".join((folder / "out").read_text() for folder in folders).replace("/out/", "/whole/")
    assert text.encode() == b"".join(contents(tmp_path / "whole")[f"00000{i}/out"] for i in range(4))
    # A changed table is seen; one that is not sorted is read as a whole.
    table.write_text("".join(f"{utterance} {inputs[utterance]}\n" for utterance in ("u5", "u1")))
    folders = [run(table, tmp_path / "out", tmp_path / "log3", sharing=Sharing(shard=f"{i}/2")) for i in (1, 2)][-1]
    assert [path.name for path in folders] == ["000000"] and log_lines(tmp_path / "log3") == ["u1 u5"]
    assert not (tmp_path / "out/000001").exists()
