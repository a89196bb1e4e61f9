# Copyright 2026 The hasrd authors
# Apache-2.0
"""What kind of machine this is, for reports and benchmarks: no names, no paths."""

from __future__ import annotations

import os
import platform
import subprocess


def machine() -> str:
    """Return processor, threads, memory and GPUs in one line."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [f"{_processor()}, {threads} thread{'s' * (threads != 1)}"]
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        parts.append(f"{memory:.0f} GiB of memory")
    except (ValueError, OSError):
        pass
    return ", ".join(parts + _gpus())


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return sorted(filter(None, map(str.strip, done.stdout.splitlines()))) if done.returncode == 0 else []
