# Copyright 2026 The hasrd authors
# Apache-2.0
"""Workers of Dask: the same results as one process's, byte for byte, though one of them is killed on the way."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from chunk_works import make_copy_work, make_failing, make_killing_work

from hasrd.errors import UserError
from hasrd.jobs.chunks import run_in_chunks
from hasrd.jobs.sharing import Sharing

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory) -> str:
    """The address of a scheduler with two workers in processes of their own."""
    folder = tmp_path_factory.mktemp("dask")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=str(folder)
    ) as cluster:
        yield cluster.scheduler_address


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != ".origin.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_killed_worker_changes_nothing(scheduler, tmp_path):
    (tmp_path / "in").mkdir()
    inputs = {f"u{number:02d}": str(tmp_path / f"in/u{number:02d}") for number in range(20)}
    for utterance, path in inputs.items():
        Path(path).write_text(f"what is said in {utterance}")
    run = functools.partial(run_in_chunks, inputs, tmp_path / "out", options={"of": "a"}, chunk_size=3)
    run(make_work=make_copy_work)
    expected = files(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "one_process")
    work = functools.partial(make_killing_work, tmp_path / "killed")
    folders = run(make_work=work, sharing=Sharing(scheduler=scheduler))
    assert (tmp_path / "killed").exists(), "a worker was killed with half of a chunk on the disk"
    assert len(folders) == 7 and files(tmp_path / "out") == expected


def test_bad_input_and_no_scheduler_are_one_line(scheduler, monkeypatch):
    with pytest.raises(UserError, match=r"item \d is bad"):
        list(Sharing(scheduler=scheduler).results(make_failing, range(4)))
    monkeypatch.setattr("hasrd.jobs.dask_workers.ANSWERS", 1)
    with pytest.raises(UserError, match="no Dask scheduler answers there"):
        list(Sharing(scheduler="tcp://127.0.0.1:9").results(make_failing, range(4)))
    assert list(Sharing(scheduler="tcp://127.0.0.1:9").results(make_failing, [])) == []
