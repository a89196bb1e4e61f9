# Copyright 2026 The hasrd authors
# Apache-2.0
"""Trainings in child processes of the test: ESPnet is imported once, and a child can be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Callable

import numpy as np
import soundfile


def write_corpus(root: Path, sets: dict[str, int], seconds: float = 1.2) -> None:
    """Write data directories of modulated noise: wav.scp, text and utt2num_samples."""
    generator = np.random.default_rng(0)
    for name, count in sets.items():
        folder = root / name
        folder.mkdir(parents=True)
        rows = {"wav.scp": [], "text": [], "utt2num_samples": []}
        for i in range(count):
            samples = int(16000 * seconds * (0.7 + 0.6 * generator.random()))
            time = np.arange(samples) / 16000
            wave = 0.1 * generator.standard_normal(samples) * (1 + np.sin(2 * np.pi * (2 + i) * time))
            path = folder / f"{name}{i:02d}.wav"
            soundfile.write(path, wave.astype(np.float32), 16000)
            rows["wav.scp"].append(f"{name}{i:02d} {path}")
            rows["text"].append(f"{name}{i:02d} AB A")
            rows["utt2num_samples"].append(f"{name}{i:02d} {samples}")
        for table, lines in rows.items():
            (folder / table).write_text("".join(line + "\n" for line in lines))


def start(task: type, argv: list[str], log: Path, before: Callable[[], None] | None = None, env: dict | None = None):
    """Start a training in a fork of this process; `before` runs there first."""

    def run() -> None:
        # pytest has its own objects in their places.
        sys.stdout = sys.stderr = open(log, "w", buffering=1)
        os.environ.update(env or {})
        # ESPnet configures logging once a process; pytest has done so already here.
        import logging

        logging.root.handlers.clear()
        if before is not None:
            before()
        task.main(cmd=argv)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process


def finish(process, log: Path, timeout: float = 240) -> None:
    """Wait for a child and fail with the end of its log if it failed."""
    process.join(timeout)
    assert process.exitcode == 0, log.read_text()[-3000:]


def die_in_save(number: int) -> Callable[[], None]:
    """Make the child kill itself with half of its `number`-th file on the disk."""

    def patch() -> None:
        import torch

        save, calls = torch.save, []

        def half_save(value, path, *args, **kwargs):
            calls.append(path)
            save(value, path, *args, **kwargs)
            if len(calls) == number:
                with open(path, "rb+") as file:
                    file.truncate(Path(path).stat().st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)

        torch.save = half_save

    return patch
