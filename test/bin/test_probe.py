# Copyright 2026 The hasrd authors
# Apache-2.0
"""A probe's training and decoding in one command: on several nodes one of them decodes."""

from __future__ import annotations

import contextlib
import sys

import pytest

from hasrd.bin import probe


@pytest.mark.parametrize(
    ("options", "node", "decodes"),
    [
        ([], None, True),
        (["--ngpu", "8", "--multiprocessing_distributed", "true"], None, True),
        (["--dist_rank", "0", "--dist_world_size", "2"], None, True),
        (["--dist_rank", "1", "--dist_world_size", "2"], None, False),
        (["--dist_launcher", "slurm", "--multiprocessing_distributed", "true"], "0", True),
        (["--dist_launcher", "slurm", "--multiprocessing_distributed", "true"], "1", False),
    ],
)
def test_the_first_node_decodes(options, node, decodes, monkeypatch):
    if node is not None:
        step = {"SLURM_NODEID": node, "SLURM_STEP_NUM_NODES": "2", "SLURM_NTASKS": "2", "SLURM_PROCID": node}
        step |= {"SLURM_STEP_NODELIST": "a,b", "SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_NTASKS_PER_NODE": "1"}
        for name, value in step.items():
            monkeypatch.setenv(name, value)
    # Another tool's, on a machine that trains alone.
    monkeypatch.setenv("RANK", "3")
    calls = []

    @contextlib.contextmanager
    def trained(task, argv):
        calls.append(("train", argv))
        yield

    monkeypatch.setattr(probe, "trained", trained)
    monkeypatch.setattr(probe.asr_decode, "main", lambda argv: calls.append(("decode", argv)))
    monkeypatch.setattr(sys, "argv", ["probe", "--exp_dir", "x", "--", "--config", "y", *options])
    probe.main()
    expected = [("train", ["--config", "y", *options])]
    assert calls == expected + [("decode", ["--exp_dir", "x"])] * decodes
