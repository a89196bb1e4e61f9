# Copyright 2026 The hasrd authors
# Apache-2.0
"""Trainings in child processes of the test: ESPnet is imported once, and a child can be killed.

The models are tiny: what is tested is the training, not what it learns.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Callable, Sequence

import numpy as np
import soundfile
import torch

from hasrd.errors import run_main


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
        torch.set_num_threads(1)
        if before is not None:
            before()
        run_main(lambda: task.main(cmd=argv))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process


def finish(process, log: Path, timeout: float = 240) -> None:
    """Wait for a child and fail with the end of its log if it failed."""
    process.join(timeout)
    assert process.exitcode == 0, log.read_text()[-3000:]


def trains(task: type, argv: list[str], log: Path) -> None:
    """Train in a child to the end."""
    finish(start(task, argv, log), log)


def fails(task: type, argv: list[str], log: Path, before: Callable[[], None] | None = None) -> str:
    """Train in a child that fails; return the line with which it ends."""
    process = start(task, argv, log, before)
    process.join(240)
    assert process.exitcode == 1, log.read_text()[-3000:]
    return error_of(log)


def train_in_two(task: type, argv: list[str], folder: Path) -> list[dict[str, torch.Tensor]]:
    """Train in two processes (gloo on CPUs), which log to `folder`/log0 and log1; the weights that each ends with.

    What each draws is noted in draws0 and draws1 (see `note_randomness`).
    """
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    processes = []
    for rank in range(2):
        own = [
            "--dist_backend", "gloo", "--dist_world_size", "2", "--dist_rank", str(rank), "--dist_master_addr",
            "localhost", "--dist_master_port", str(port), "--multiprocessing_distributed", "true",
        ]  # fmt: skip
        notes = note_weights(task, folder / f"weights{rank}.pth"), note_randomness(folder / f"draws{rank}")
        processes.append(start(task, argv + own, folder / f"log{rank}", all_of(notes)))
    for rank, process in enumerate(processes):
        finish(process, folder / f"log{rank}")
    return [weights(folder, f"weights{rank}.pth") for rank in range(2)]


def all_of(notes: Sequence[Callable[[], None]]) -> Callable[[], None]:
    """Return one function that calls all of these."""

    def before() -> None:
        for note in notes:
            note()

    return before


def note_weights(task: type, path: Path) -> Callable[[], None]:
    """Make the child write the weights that it ends with to `path`, in whichever of several processes it is."""

    def patch() -> None:
        build_model, run = task.build_model, task.trainer.run

        def build(args):
            patch.model = build_model(args)
            return patch.model

        def run_and_note(*args, **kwargs) -> None:
            run(*args, **kwargs)
            torch.save(patch.model.state_dict(), path)

        task.build_model, task.trainer.run = build, run_and_note

    return patch


def note_randomness(path: Path) -> Callable[[], None]:
    """Make the child write the state of torch's generator before each quantizer dropout to `path`, one a line."""

    def patch() -> None:
        from hasrd.quantizer import quantizer

        draw_kept = quantizer.draw_kept

        def noting(*args):
            with open(path, "a") as file:
                file.write(f"{torch.get_rng_state().numpy().tobytes().hex()}\n")
            return draw_kept(*args)

        quantizer.draw_kept = noting

    return patch


def die_in_save(number: int) -> Callable[[], None]:
    """Make the child kill itself with half of its `number`-th file on the disk."""

    def patch() -> None:
        import torch

        save, calls = torch.save, []

        def half_save(value, file, *args, **kwargs):
            calls.append(file.name)
            save(value, file, *args, **kwargs)
            if len(calls) == number:
                file.truncate(file.tell() // 2)
                os.kill(os.getpid(), signal.SIGKILL)

        torch.save = half_save

    return patch


def _common(corpus: Path, out: Path, name: str, max_epoch: int) -> list[str]:
    """The options that both tasks share."""
    return [
        "--output_dir", str(out), "--max_epoch", str(max_epoch), "--num_workers", "0", "--use_tensorboard", "false",
        "--use_matplotlib", "false", "--num_att_plot", "0", "--keep_nbest_models", "2",
        "--train_data_path_and_name_and_type", f"{corpus}/train/wav.scp,{name},sound",
        "--valid_data_path_and_name_and_type", f"{corpus}/valid/wav.scp,{name},sound",
        "--train_shape_file", f"{corpus}/train/utt2num_samples",
        "--valid_shape_file", f"{corpus}/valid/utt2num_samples",
        "--batch_type", "unsorted", "--batch_size", "4", "--optim", "adamw", "--optim_conf", "lr=0.001",
    ]  # fmt: skip


def ssl_options(corpus: Path, out: Path, max_epoch: int = 3) -> list[str]:
    """Options of a small pre-training of two steps an epoch."""
    return _common(corpus, out, "speech", max_epoch) + [
        "--normalize", "utterance", "--best_model_criterion", "['valid', 'loss', 'min']",
        "--encoder_conf", "{cnn_channels: [8, 8, 16], attention_dim: 16, attention_heads: 2}",
        "--encoder_conf", "{linear_units: 32, num_blocks: 1}",
        "--loss_conf", "{codebook_size: 32, codebook_dim: 4}", "--scheduler", "warmuplr",
    ]  # fmt: skip


def codec_options(corpus: Path, out: Path, max_epoch: int = 3) -> list[str]:
    """Options of a small codec training of two steps an epoch, with the discriminator from the third step on."""
    return _common(corpus, out, "audio", max_epoch) + [
        "--best_model_criterion", "['valid', 'mel_distance', 'min']", "--unused_parameters", "true",
        "--encoder", "log_mel_cnn", "--encoder_conf", "{channels: [8, 8, 16], output_size: 16}",
        "--quantizer_conf", "{num_codebooks: 2, codebook_size: 16, codebook_dim: 4}",
        "--decoder", "istft", "--decoder_conf", "{dim: 16, num_layers: 1, intermediate: 32, token_layers: 1}",
        "--discriminator", "mpmb",
        "--discriminator_conf", "{periods: [2], period_channels: 4, period_max_channels: 8}",
        "--discriminator_conf", "{fft_sizes: [512], band_channels: 4}",
        "--adversarial_start_step", "2", "--segment", "8000", "--optim2", "adamw", "--optim2_conf", "lr=0.001",
        "--loudness=-16", "--shift_phase", "true", "--shuffle_within_batch", "true",
    ]  # fmt: skip


def weights(folder: Path, name: str = "latest.pth") -> dict[str, torch.Tensor]:
    """The tensors of a saved model."""
    return torch.load(folder / name, weights_only=True)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two models are bit-identical."""
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def error_of(log: Path) -> str:
    """The one line with which a failed training ends; a stack trace fails the test."""
    lines = log.read_text().splitlines()
    assert "Traceback" not in log.read_text(), "\n".join(lines[-30:])
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1 and lines[-1] == errors[0], "\n".join(lines[-10:])
    return errors[0]
