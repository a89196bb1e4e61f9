# Copyright 2026 The hasrd authors
# Apache-2.0
"""Check a Python environment against the lists in tools/requirements, and show what is in it.

    python tools/check.py train,cpu,eval            # versions by their metadata (quick)
    python tools/check.py train,cpu,eval --imports  # also imports all of it, shows versions and devices

Prints what is missing, one line each, and exits with status 1 if anything is.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import textwrap
import warnings
from importlib import metadata
from pathlib import Path

LISTS = Path(__file__).resolve().parent / "requirements"
# Where the name of the module is not that of the package.
MODULES = {
    "espnet": "espnet2.tasks.abs_task",
    "pyyaml": "yaml",
    "webrtcvad-wheels": "webrtcvad",
    "g722": "G722",
    "descript-audio-codec": "dac",
    "faiss-cpu": "faiss",
    "faiss-gpu": "faiss",
    "pytest-timeout": "pytest_timeout",
    "pytest-xdist": "xdist",
    "scikit-learn": "sklearn",
    "visqol-python": "visqol",
}


def requirements(extras: list[str]):
    """Yield the requirements of the lists that hold on this Python."""
    from packaging.requirements import Requirement

    for extra in ["base", *extras]:
        for line in (LISTS / f"{extra}.txt").read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                requirement = Requirement(line)
                if requirement.marker is None or requirement.marker.evaluate():
                    yield requirement


def missing(extras: list[str]) -> list[str]:
    """Say what is absent or of another version than the lists ask for."""
    if importlib.util.find_spec("packaging") is None:
        return ["packaging: not installed, so the versions of the others cannot be compared"]
    lines = []
    for requirement in requirements(extras):
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            # One faiss is as good as the other.
            if requirement.name == "faiss-cpu" and importlib.util.find_spec("faiss"):
                continue
            lines.append(f"{requirement.name}: not installed")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            lines.append(f"{requirement.name}: {version} is there, needed: {requirement.specifier}")
    return lines


def import_all(extras: list[str]) -> list[str]:
    """Import every required module and show its version; return what fails."""
    lines, versions = [], []
    for name in dict.fromkeys(requirement.name for requirement in requirements(extras)):
        try:
            # What others print at their import concerns nobody here.
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                importlib.import_module(MODULES.get(name, name.replace("-", "_")))
            versions.append(f"{name}\u00a0{metadata.version(name)}")
        except Exception as error:  # a broken package fails in any way
            lines.append(f"{name}: does not import: {type(error).__name__}: {error}".splitlines()[0])
    print(f"Python {sys.version.split()[0]} ({sys.executable})")
    print("\n".join(textwrap.wrap(", ".join(versions), 100, break_on_hyphens=False)).replace("\u00a0", " "))
    return lines


def devices() -> None:
    """Show what there is to compute on."""
    import torch

    flags = cpu_flags()
    bf16 = "fast" if {"amx_bf16", "avx512_bf16"} & flags else "slow, without instructions for it"
    print(f"CPU: {len(os.sched_getaffinity(0))} cores, bfloat16 {bf16}")
    for i in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(i)
        print(f"GPU {i}: {gpu.name}, {gpu.total_memory / 2**30:.0f} GiB")
    if not torch.cuda.is_available():
        print("GPU: none" + driver_hint(torch.version.cuda))


def cpu_flags() -> set[str]:
    """The instruction sets of the CPU (empty where the system does not tell)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return set()
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.split(":", 1)[1].split())
    return set()


def driver_hint(cuda: str | None) -> str:
    """What to do where there is a GPU that this torch cannot use."""
    if shutil.which("nvidia-smi") is None:
        return ""
    if subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode != 0:
        return ""
    return (
        f" that torch (CUDA {cuda}) can use, though nvidia-smi lists one; "
        "HASRD_TORCH_BACKEND=auto tools/install.sh takes the build that fits the driver"
    )


def main() -> None:
    """Check the extras named on the command line."""
    warnings.simplefilter("ignore")
    extras = [extra for extra in sys.argv[1].split(",") if extra]
    lines = missing(extras)
    if not lines and "--imports" in sys.argv:
        lines = import_all(extras)
        if not lines:
            devices()
    if lines:
        print("\n".join(lines), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
