# Copyright 2026 The hasrd authors
# Apache-2.0
"""Mel distance of a constant output: the mean log-mel spectrum of the whole test set in every
frame.

A control of ours: the constant knows the test set's own mean, so a model that beats it says more
about each frame than any constant of this kind. Mel scales, clamp and level are those of
hasrd.metrics.spectral.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Callable, Sequence

from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.jobs.origin import table_facts
from hasrd.metrics import level
from hasrd.metrics.measure import Inputs, Measure, Reading, Result, set_aside
from hasrd.metrics.scoring.audio import SAMPLE_RATE, SILENT_REFERENCE, Signal
from hasrd.metrics.spectral import distance_module
from hasrd.progress import progress

if TYPE_CHECKING:
    from torch import Tensor


class References(Reading):
    """The recordings alone: `ref`, a wav.scp of any sample rate.

    Raises:
        UserError: No utterance in it.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.recordings = read_table(inputs.ref)
        if not self.recordings:
            raise UserError(f"{inputs.ref}: no utterance in it")
        self.read = {"the references": table_facts(inputs.ref)}


class MeanSpectrum(Measure):
    """See the file; silent recordings are left out."""

    name = "mean_spectrum"
    label = "Mel distance"
    higher_is_better = False
    source = "mel distance to the test set's own mean log-mel spectrum in every frame, level-normalised"
    packages = ("torch", "torchaudio")
    inputs = ("ref",)
    taken_of = "references"
    reading = References
    table = "reconstruction"
    order = 60

    def compute(self, reading: References, system: str) -> Result:
        """Take two passes: the mean, then the distances.

        Raises:
            UserError: A recording that can't be read, or nothing but silence.
        """
        items, ref, sharing = sorted(reading.recordings.items()), reading.inputs.ref, reading.inputs.sharing
        found = dict(progress(sharing.results(_make_sums, items), total=len(items), desc=f"mean spectrum of {ref}"))
        # In sorted order: the sum of floats must not depend on which worker was first.
        sums = {item: found[item] for item in items if found[item] is not None}
        if not sums:
            raise UserError(f"{ref}: every utterance is digital silence: there is nothing to score")
        make = functools.partial(_make_constant_distance, mean_spectra(list(sums.values())))
        results = progress(sharing.results(make, sums), total=len(sums), desc=f"distances of {ref}")
        values = {item[0]: value for item, value in results}
        silent = sorted(set(reading.recordings) - set(values))
        return Result.of_mean(values, sample_rate=SAMPLE_RATE, **set_aside(dict.fromkeys(silent, SILENT_REFERENCE)))


def log_mels(wave: Tensor) -> list[Tensor]:
    """Return the log10 mel spectra of `wave` (N,), one (mels, frames) a scale, in float64."""
    import torch

    module = distance_module("MelDistance")
    with torch.no_grad():
        return [module._log_mel(scale, wave[None])[0].double() for scale in range(len(module.magnitudes))]


def spectrum_sums(mels: Sequence[Tensor]) -> list[Tensor]:
    """Return per scale the sum over frames and, last, their number: (mels + 1,)."""
    import torch

    return [torch.cat([mel.sum(1), mel.new_tensor([mel.shape[1]])]) for mel in mels]


def mean_spectra(sums: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Return the mean log-mel (mels,) of each scale over all frames of all utterances, from their
    sums.
    """
    import torch

    totals = [torch.stack(list(scale)).sum(0) for scale in zip(*sums)]
    return [total[:-1] / total[-1] for total in totals]


def distance_to_constant(mels: Sequence[Tensor], constants: Sequence[Tensor]) -> float:
    """Return the mel distance of log-mels [(mels, frames)] to constants [(mels,)]: L1 means summed
    over the scales.
    """
    return float(sum((mel - constant[:, None]).abs().mean() for mel, constant in zip(mels, constants)))


def _log_mels_of(path: str) -> list[Tensor] | None:
    import torch

    torch.set_num_threads(1)
    signal = Signal(path)
    return None if signal.silent else log_mels(level.level(torch.from_numpy(signal.wave), SAMPLE_RATE))


def _make_sums() -> Callable[[tuple[str, str]], list[Tensor] | None]:
    return _sums


def _sums(item: tuple[str, str]) -> list[Tensor] | None:
    mels = _log_mels_of(item[1])
    return None if mels is None else spectrum_sums(mels)


def _make_constant_distance(constants: list[Tensor]) -> Callable[[tuple[str, str]], float]:
    return lambda item: distance_to_constant(_log_mels_of(item[1]), constants)
