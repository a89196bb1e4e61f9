# Copyright 2026 The hasrd authors
# Apache-2.0
"""Work for the tests of chunks and workers; worker processes import it, which they cannot do with a test module."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from hasrd.errors import UserError


def copy_work(inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
    with open(folder / "out", "w") as file:
        for utterance, source in inputs.items():
            file.write(f"{utterance} {Path(source).read_text()} {final_folder}\n")


def make_copy_work():
    return copy_work


def make_counting_work(log: Path):
    def work(inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        with open(log, "a") as file:
            file.write(f"{' '.join(inputs)}\n")
        copy_work(inputs, folder, final_folder)

    return work


def make_dying_work():
    return lambda inputs, folder, final_folder: die()


def die(*_, **__) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def make_sleeper():
    print(os.getpid(), flush=True)
    return lambda item: time.sleep(60)


def make_failing():
    def work(item):
        raise UserError(f"item {item} is bad")

    return work


def make_refused():
    raise PermissionError(13, "Permission denied", "model.safetensors")


def make_odd():
    class Odd(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    def work(item):
        try:
            raise OSError(28, "No space left on device", "a.npz")
        except OSError as error:
            if item == 2:
                raise Odd("what led to it", "is lost on the way") from error
            raise Odd("no library", "knows why") from None

    return work


def make_killing_work(killed: Path):
    """The work of `copy_work`, in which one process of all kills itself with half of a chunk on the disk."""

    def work(inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        if final_folder.name == "000002":
            try:
                killed.touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                (folder / "out").write_text("half of it")
                die()
        copy_work(inputs, folder, final_folder)

    return work
