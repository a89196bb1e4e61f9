# Copyright 2026 The hasrd authors
# Apache-2.0
"""A copy of a recipe with small models, to be run, killed and run again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import yaml

ROOT = Path(__file__).resolve().parents[2]

# What is small: models, epochs, data. All else is the recipe's own.
ENCODER = {
    "cnn_channels": [16, 16, 32], "attention_dim": 32, "attention_heads": 2, "linear_units": 64, "num_blocks": 2,
}  # fmt: skip
SMALL = {
    "ssl": {
        "encoder_conf": ENCODER,
        "loss_conf": {"codebook_size": 64}, "scheduler_conf": {"warmup": 0.5},
        "batch_bins": 120000, "max_epoch": 2, "num_iters_per_epoch": 3,
    },
    "layer_probe": {"encoder_conf": {"projection_size": 32, "hidden_size": 32}, "max_epoch": 2},
    "codec": {
        "encoder_conf": ENCODER,
        "quantizer_conf": {"num_codebooks": 2, "codebook_size": 32, "codebook_dim": 4},
        "decoder_conf": {"dim": 32, "intermediate": 64, "num_layers": 1, "token_layers": 1},
        "discriminator_conf": {"periods": [2], "period_channels": 4, "period_max_channels": 8, "band_channels": 4},
        "adversarial_start_step": 4, "segment": 8000, "batch_size": 4, "max_epoch": 2, "num_iters_per_epoch": 3,
    },
    "probe": {"encoder_conf": {"projection_size": 32, "hidden_size": 32}, "max_epoch": 2},
}  # fmt: skip
SMALL_HAC = {
    **{name: SMALL[name] for name in ("ssl", "probe")},
    "codec_hac": {
        "encoder_conf": {"channels": 4, "output_size": 32},
        "quantizer_conf": {
            "num_codebooks": 2, "codebook_size": 32, "codebook_dim": 4, "attention_dim": 16, "attention_heads": 2,
            "linear_units": 32, "num_blocks": 1,
        },
        "decoder": "istft",
        "decoder_conf": {"dim": 32, "intermediate": 64, "num_layers": 1, "token_layers": 1},
        "segment": 16384, "batch_size": 4, "max_epoch": 2, "num_iters_per_epoch": 3,
    },
}  # fmt: skip
SMALL_OF = {"hasrd1": SMALL, "hac1": SMALL_HAC}


def merged(base: dict, changes: dict) -> dict:
    """`base` with `changes` put into it at every depth."""
    result = dict(base)
    for key, value in changes.items():
        result[key] = merged(result.get(key) or {}, value) if isinstance(value, dict) else value
    return result


class Recipe:
    """A recipe's folder in a copy of egs2/; the package and the installed environment are the repository's.

    Args:
        folder: Where the copy goes.
        name: Corpus: the folder in egs2/.
        system: The folder in that.
    """

    def __init__(self, folder: Path, name: str, system: str = "hasrd1"):
        shutil.copytree(ROOT / "egs2", folder / "egs2", symlinks=True, ignore=_products)
        for part in ("hasrd", "tools"):
            (folder / part).symlink_to(ROOT / part)
        self.folder = folder / "egs2" / name / system
        self.options: list[str] = []
        for config, changes in SMALL_OF[system].items():
            path = self.folder / "conf_small" / f"{config}.yaml"
            path.parent.mkdir(exist_ok=True)
            base = yaml.safe_load((self.folder / "conf" / f"train_{config}.yaml").read_text(encoding="utf-8"))
            if "decoder" in changes:
                del base["decoder_conf"]
            path.write_text(yaml.safe_dump(merged(base, changes)))
            self.options += [f"--{config.partition('_hac')[0]}_config", f"conf_small/{config}.yaml"]

    def start(self, *words: str, log: Path | None = None) -> subprocess.Popen:
        """Start run.sh with the recipe's options and these."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
        if Path(sys.executable) != ROOT / "tools/venv/bin/python":
            env["HASRD_PYTHON"] = sys.executable
        env.pop("OMP_NUM_THREADS", None)
        with open(log or os.devnull, "w") as file:
            return subprocess.Popen(
                ["./run.sh", *self.options, *words], cwd=self.folder, env=env, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def run(self, *words: str, fails: bool = False, timeout: float = 1200) -> str:
        """Run run.sh to its end, which must be one of success or (`fails`) of failure; return what it printed."""
        log = self.folder / "output"
        process = self.start(*words, log=log)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            process.wait(20)
            raise AssertionError(f"not done after {timeout:.0f} s:\n{log.read_text()[-4000:]}") from None
        output = log.read_text()
        assert (process.returncode > 0) == fails and process.returncode >= 0, output[-4000:]
        return output

    def run_killed(self, when: Callable[[], bool], *words: str, timeout: float = 120) -> None:
        """Run run.sh and kill everything that it started as soon as `when()` says so."""
        process = self.start(*words, log=self.folder / "output")
        end = time.monotonic() + timeout
        while not when():
            assert process.poll() is None, "too late to kill it:\n" + (self.folder / "output").read_text()[-3000:]
            assert time.monotonic() < end, "what was waited for did not come"
            time.sleep(0.001)
        self.kill()
        process.wait(20)

    def processes(self) -> list[int]:
        """Processes that work in the recipe's folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    if Path(os.readlink(entry / "cwd")) == self.folder:
                        found.append(int(entry.name))
                except OSError:
                    pass
        return found

    def kill(self) -> None:
        """`kill -9` of all of them, at once."""
        while pids := self.processes():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)

    def found(self, pattern: str) -> Callable[[], bool]:
        """Whether a file or folder of that pattern is there."""
        return lambda: next(self.folder.glob(pattern), None) is not None


def _products(folder: str, names: list[str]) -> set[str]:
    """What runs of the repository's own recipes have left."""
    if Path(folder).name not in SMALL_OF:
        return set()
    return {"data", "downloads", "dump", "exp", "logs", "report"} & set(names)
