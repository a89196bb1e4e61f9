# Copyright 2026 The hasrd authors
# Apache-2.0
"""Training steps side by side: the tasks' own models, optimisers and trainers on batches that are at hand."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import torch
from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.reporter import Reporter
from torch.utils.flop_counter import FlopCounterMode

from hasrd.bench import memory
from hasrd.bench.audio import SAMPLE_RATE, make_audio
from hasrd.bench.environment import environment
from hasrd.bench.ours import SEMANTIC_LAYER, find_config, model_name, read_config
from hasrd.bench.subject import Unavailable
from hasrd.bench.timing import in_turn, quartiles, ratio
from hasrd.codec.build import build_speech_encoder
from hasrd.errors import UserError, first_line
from hasrd.espnet.choices import check_choices
from hasrd.models.checkpoint import save_encoder
from hasrd.models.kmeans import save_kmeans
from hasrd.models.weights import building
from hasrd.progress import progress
from hasrd.tasks.codec import CodecTask
from hasrd.tasks.ssl import SSLTask
from hasrd.train.precision import Autocast, autocast_dtype

MODELS = {
    "full": ("ssl_hasrd", "dac", "dac_fbank", "dac_fbank_sepconv", "hasrd"),
    "small": ("ssl", "dac", "dac_fbank", "dac_fbank_sepconv", "hasrd"),
}
BASELINE = "dac"
# Of the clips of pre-training; a batch has as many as the configuration's `batch_bins` hold.
SSL_SECONDS = 15.0
DTYPES = {"float32": None, "bf16": torch.bfloat16}
# Steps a round: on a GPU the next one is prepared while this one runs.
STEPS = {"cpu": 1, "cuda": 5}
# Name of a GPU -> TFLOP a second in bf16 without sparsity, from the makers' data sheets.
PEAK_TFLOPS = {
    "B200": 2250, "H200": 989, "H100 PCIe": 756, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "A10": 125,
    "RTX 4090": 165, "RTX 3090": 71,
}  # fmt: skip
Row = dict[str, Any]


class Session:
    """One model in training.

    Args:
        path: Its configuration.
        mode: "float32" or "bf16".
        args: As for `bench_steps`.
    """

    def __init__(self, path: Path, mode: str, args: argparse.Namespace) -> None:
        torch.manual_seed(0)
        self.device = args.device
        config = read_config(path)
        task = SSLTask if config.get("loss") else CodecTask
        # In a folder that is gone afterwards: what stages 3 and 4 would bring.
        with tempfile.TemporaryDirectory() as folder:
            allow_import = args.allow_import
            files = stand_ins(config, Path(folder), allow_import) if config.get("frozen_encoder") else []
            options = ["--config", str(path), "--output_dir", folder, "--accum_grad", "1", *files]
            settings = task.get_parser().parse_args(options)
            settings.ngpu = int(args.device == "cuda")
            settings.allow_import = allow_import
            if task is CodecTask and not args.discriminator:
                settings.discriminator = None
            if not allow_import:
                with building(path):
                    check_choices(task, settings)
            self.model = task.build_model(settings).to(args.device)
        self.optimizers = task.build_optimizers(settings, self.model)
        self.options = task.trainer.build_options(settings)
        self.trainer = task.trainer
        self.reporter = Reporter()
        self.stepped = Autocast(self.model, args.device, DTYPES[mode])
        kind, name, seconds, clips = self._sizes(settings, task)
        seconds, clips = args.seconds or seconds, args.batch_size or clips(args.seconds or seconds)
        wave, self.audio = make_audio(args.audio, seconds, clips)
        lengths = torch.full((clips,), wave.shape[1])
        names = [f"clip{index}" for index in range(clips)]
        batch = {name: wave.to(args.device), f"{name}_lengths": lengths.to(args.device)}
        self.epoch = [(names, batch)] * STEPS[args.device]
        self.row: Row = {
            "model": model_name(path), "mode": mode, "kind": kind, "seconds": seconds, "batch_size": clips,
        }  # fmt: skip

    def _sizes(self, settings: argparse.Namespace, task: type) -> tuple[str, str, float, Callable[[float], int]]:
        """Kind of step, name of the input, seconds of a clip, and the number of clips of so many seconds."""
        if task is CodecTask:
            kind = "codec" if self.model.discriminator is not None else "codec, no discriminator"
            return kind, "audio", settings.segment / SAMPLE_RATE, lambda seconds: settings.batch_size
        frontend = self.model.frontend
        most = settings.batch_bins * frontend.frame_shift / frontend.output_size / SAMPLE_RATE  # seconds of a batch
        return "pre-training", "speech", SSL_SECONDS, lambda seconds: max(1, int(most / seconds))

    def steps(self) -> None:
        """Take the steps of a round."""
        self.reporter.set_epoch(self.reporter.get_epoch() + 1)
        with self.reporter.observe("train") as reporter:
            self.trainer.train_one_epoch(
                model=self.stepped,
                iterator=self.epoch,
                optimizers=self.optimizers,
                schedulers=[None] * len(self.optimizers),
                scaler=None,
                reporter=reporter,
                summary_writer=None,
                options=self.options,
                distributed_option=DistributedOption(),
            )


def stand_ins(config: Mapping[str, Any], folder: Path, allow_import: bool = False) -> list[str]:
    """Write a random encoder and random centroids as stages 3 and 4 do; the options that name them."""
    speech_encoder = build_speech_encoder(config, allow_import=allow_import)
    encoder = folder / "encoder.safetensors"
    digest = save_encoder(encoder, dict(config), speech_encoder)
    options = ["--encoder_file", str(encoder)]
    if config["quantizer"] == "hasrd":
        clusters = (config.get("quantizer_conf") or {}).get("num_clusters", 1024)
        centroids = torch.randn(clusters, speech_encoder.output_size).numpy()
        layer = min(SEMANTIC_LAYER, speech_encoder.num_layers - 1)
        save_kmeans(folder / "kmeans.npz", centroids, {"layer": layer, "encoder_sha256": digest})
        options += ["--kmeans_file", str(folder / "kmeans.npz")]
    return options


def bench_steps(args: argparse.Namespace) -> list[Row]:
    """Measure training steps in turn; one row for each model and mode, also for what cannot be measured here.

    Args:
        args: models (None: MODELS), modes (a text, or None), size, device, audio, seconds, batch_size (None: as the
            configurations say), discriminator, repeats, threads, peak_tflops.

    Raises:
        UserError: A model, mode or file that there is not.
    """
    modes = _modes(args)
    sessions: list[Session] = []
    rows: list[Row] = []
    for name in progress(args.models or MODELS[args.size], desc="warm-up", unit="models"):
        try:
            path = find_config(name, args.size)
        except Unavailable as error:
            rows.append({"model": name, "mode": None, "note": str(error)})
            continue
        for mode in modes or _configured(path, args.device):
            session = _prepare(path, mode, args, rows)
            if session is not None:
                sessions.append(session)
    show = partial(progress, desc="in turn", unit="rounds of steps")
    times = in_turn({session: session.steps for session in sessions}, args.repeats, args.device, show)
    for session in sessions:
        base = next((s for s in sessions if (s.row["model"], s.row["mode"]) == (BASELINE, session.row["mode"])), None)
        session.row.update(_figures(times, session, base, args))
    return [row | environment(args) for row in rows]


def _prepare(path: Path, mode: str, args: argparse.Namespace, rows: list[Row]) -> Session | None:
    """Build and warm up; the row goes to `rows`, with what went wrong where it does not run here."""
    try:
        with memory.peak(args.device) as found:
            session = Session(path, mode, args)
            for _ in range(2):
                session.steps()
        if args.device == "cuda":
            session.row["flops"] = count_flops(session.steps) / len(session.epoch)
    except RuntimeError as error:
        note = f"does not run here: {type(error).__name__}: {first_line(error)}"
        rows.append({"model": model_name(path), "mode": mode, "note": note})
        return None
    session.row.update(memory=found.bytes, audio=session.audio)
    rows.append(session.row)
    return session


def count_flops(run: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products, convolutions and fused attention of GPUs in a call."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def peak_tflops(name: str) -> float | None:
    """The bf16 peak of a GPU; None where it is not known."""
    return next((peak for part, peak in PEAK_TFLOPS.items() if part in name), None)


def _modes(args: argparse.Namespace) -> list[str] | None:
    if args.modes is None:
        return None
    modes = list(dict.fromkeys(args.modes.split(",")))
    for mode in modes:
        if mode not in DTYPES:
            raise UserError(f"--modes {args.modes}: training has {' and '.join(DTYPES)}, not '{mode}'")
    return modes


def _configured(path: Path, device: str) -> list[str]:
    """The mode that the trainer takes for a configuration on this machine."""
    dtype = autocast_dtype(bool(read_config(path).get("use_amp")), device)
    return ["bf16" if dtype == torch.bfloat16 else "float32"]


def _figures(
    times: Mapping[Session, Sequence[float]], session: Session, base: Session | None, args: argparse.Namespace
) -> Row:
    row = session.row
    seconds = statistics.median(times[session]) / len(session.epoch)
    audio = row["seconds"] * row["batch_size"]
    figures: Row = {"step_seconds": seconds, "audio_per_second": audio / seconds, "ratio_to_dac": None}
    if base is not None and row["kind"] == base.row["kind"]:
        figures["ratio_to_dac"] = ratio(times[base], times[session])
        figures["ratio_quartiles"] = quartiles(times[base], times[session])
        if row["memory"] and base.row["memory"]:
            figures["memory_to_dac"] = row["memory"] / base.row["memory"]
    if "flops" in row:
        peak = args.peak_tflops or peak_tflops(torch.cuda.get_device_name())
        figures["tflops"] = row["flops"] / seconds / 1e12
        if peak:
            figures["peak_fraction"] = figures["tflops"] / peak
    return figures
