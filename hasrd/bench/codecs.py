# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codecs side by side: how fast they encode and decode the same audio, and how far the faster modes are off."""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from typing import Any, Iterator, Sequence

import torch
from torch import Tensor

from hasrd.bench import memory, ours
from hasrd.bench.agreement import code_agreement, snr_db
from hasrd.bench.audio import make_audio, resample
from hasrd.bench.environment import environment
from hasrd.bench.peers import PEERS
from hasrd.bench.subject import Subject, Unavailable
from hasrd.bench.timing import in_turn, quartiles, ratio
from hasrd.errors import UserError, first_line
from hasrd.peers.peer import MissingPackage
from hasrd.progress import progress

BASELINE = "official-dac"
MODELS = (
    *PEERS, "dac", "dac_fbank", "dac_fbank_sepconv", "hasrd", "hasrd_istft", "hasrd_hubert", "hac", "speechtokenizer"
)  # fmt: skip
Row = dict[str, Any]


class Run:
    """A subject with its input, its row of the table and, after the warm-up, its codes.

    Args:
        subject: What is measured; None where it cannot be.
        wave: (B, N) at 16 kHz, where it computes.
        row: What is known of it.
    """

    def __init__(self, subject: Subject | None, wave: Tensor, **row: Any) -> None:
        self.subject = subject
        self.row: Row = row
        self.codes: Any = None
        if subject is not None:
            self.row = {"model": subject.name, "mode": subject.mode, "parameters": subject.parameters, **row}
            self.wave = resample(wave, subject.sample_rate)

    def encode(self) -> Any:
        """Codes of its input."""
        return self.subject.encode(self.wave)

    def decode(self) -> Tensor:
        """The wave of its own codes."""
        return self.subject.decode(self.codes)

    def warm_up(self, reference: Run, device: str) -> None:
        """Run twice; note the memory of the second time and the distance from `reference`, the same model's float32.

        What goes wrong, as a compiler that is not there or too little memory, becomes the row's note.
        """
        subject = self.subject
        try:
            subject.decode(subject.encode(self.wave))
            with memory.peak(device) as found:
                self.codes = subject.encode(self.wave)
                subject.decode(self.codes)
            if found.bytes is not None:
                self.row["memory"] = found.bytes + memory.weights(subject.module)
            if reference is not self:
                expected = reference.subject
                self.row["code_agreement"] = code_agreement(subject.books(self.codes), expected.books(reference.codes))
                # Of the same codes: what differs is the decoder alone.
                self.row["snr_db"] = snr_db(subject.decode(reference.codes), expected.decode(reference.codes))
        except RuntimeError as error:
            self.subject = None
            self.row["note"] = f"does not run here: {type(error).__name__}: {first_line(error)}"


def bench_codecs(args: argparse.Namespace) -> list[Row]:
    """Measure codecs in turn; one row for each and mode, also for what cannot be measured here.

    Args:
        args: models (None: MODELS), modes, size, device, audio, seconds, batch_size, repeats, threads.

    Raises:
        UserError: A model or file that there is not.
    """
    names = list(args.models or MODELS)
    for name in args.models or ():
        _check(name, args.size)
    if BASELINE not in names:
        names.insert(0, BASELINE)
    wave, text = make_audio(args.audio, args.seconds, args.batch_size)
    wave = wave.to(args.device)
    with torch.inference_mode():
        runs = [run for name in progress(names, desc="warm-up", unit="models") for run in _prepare(name, wave, args)]
        ready = [run for run in runs if run.subject is not None]
        candidates = {(run, kind): getattr(run, kind) for run in ready for kind in ("encode", "decode")}
        show = partial(progress, desc="in turn", unit="runs")
        times = in_turn(candidates, args.repeats, args.device, show)
    base = next((run for run in ready if (run.row["model"], run.row["mode"]) == (BASELINE, "float32")), None)
    for run in ready:
        run.row.update(_figures(times, run, base, args.seconds * args.batch_size))
    facts = {**environment(args), "audio": text, "seconds": args.seconds, "batch_size": args.batch_size}
    return [run.row | facts for run in runs]


def _check(name: str, size: str) -> None:
    """Raise UserError for a file that is not there, before anything is timed."""
    if name not in PEERS and not ours.is_trained(name):
        try:
            ours.find_config(name, size)
        except Unavailable:
            pass  # becomes a line of the table


def _prepare(name: str, wave: Tensor, args: argparse.Namespace) -> Iterator[Run]:
    """Yield a model's runs, warmed up."""
    # The float32 one is there in any case: the others are compared with it.
    modes = list(dict.fromkeys(["float32", *args.modes]))
    try:
        runs = [Run(subject, wave) for subject in _subjects(name, modes, args)]
    except UserError as error:
        # Who names a model wants to know what is wrong with it.
        if args.models and not isinstance(error, (Unavailable, MissingPackage)):
            raise
        yield Run(None, wave, model=name, mode=None, note=str(error))
        return
    reference = runs[0]
    for run in runs:
        run.warm_up(reference, args.device)
        if run.row["mode"] in args.modes or name in PEERS:
            yield run
        if reference.subject is None:
            return


def _subjects(name: str, modes: Sequence[str], args: argparse.Namespace) -> list[Subject]:
    """A model in its modes, float32 first; equal weights in all."""
    torch.manual_seed(0)
    if name not in PEERS:
        return ours.subjects(name, args.size, modes, args.device, args.allow_import)
    if name != BASELINE:
        return [PEERS[name](device=args.device)]
    subjects = []
    for mode in modes:
        torch.manual_seed(0)
        subjects.append(PEERS[name](mode=mode, device=args.device))
    return subjects


def _figures(times: dict[tuple[Run, str], list[float]], run: Run, base: Run | None, seconds: float) -> Row:
    """Real-time factors and ratios of a run; the ratios are None where the baseline is not there."""

    def total(of: Run) -> list[float]:
        return [a + b for a, b in zip(times[of, "encode"], times[of, "decode"])]

    row: Row = {
        "encode_rtf": statistics.median(times[run, "encode"]) / seconds,
        "decode_rtf": statistics.median(times[run, "decode"]) / seconds,
        "total_rtf": statistics.median(total(run)) / seconds,
        "ratio_to_dac": None,
    }
    if base is not None:
        row["ratio_to_dac"] = ratio(total(base), total(run))
        row["ratio_quartiles"] = quartiles(total(base), total(run))
        for kind in ("encode", "decode"):
            row[f"{kind}_ratio_to_dac"] = ratio(times[base, kind], times[run, kind])
    return row
