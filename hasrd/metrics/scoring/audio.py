# Copyright 2026 The hasrd authors
# Apache-2.0
"""Measures of decoded audio beside its recordings: one pass over the files for all measures and systems.

An utterance is read, resampled and cut once, and what several measures need of it (levels, embeddings) is
computed once. What is done is kept in `parts` in the folder of the first score until all scores are
written: a run that was interrupted goes on from there.
"""

from __future__ import annotations

import functools
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, ClassVar, Iterator, Mapping, Sequence

import numpy as np

from hasrd.config import read_json
from hasrd.data.audio import audio_info, read_audio
from hasrd.data.kaldi import read_table
from hasrd.data.resample import resample
from hasrd.errors import UserError
from hasrd.jobs.chunks import run_in_chunks
from hasrd.jobs.origin import content_sha256, table_facts
from hasrd.metrics import level
from hasrd.metrics.measure import Inputs, Measure, Reading, Result, ScoreJob, match, set_aside
from hasrd.metrics.undefined import Undefined

SAMPLE_RATE = 16000
SILENT_REFERENCE = "the reference is digital silence"
# One token of 31.25 Hz at 16 kHz: a reconstruction further off is not this utterance's.
TOLERANCE = 512
# Utterances between two points that an interrupted run goes on from.
_CHUNK = 10


class Signal:
    """A file's wave at 16 kHz, (N,) float32.

    Attributes:
        rate: Sample rate of the file in Hz.
        silent: Whether it is digital silence.
    """

    def __init__(self, path: str) -> None:
        self.rate = audio_info(path).sample_rate
        self.wave = resample(read_audio(path, self.rate), self.rate, SAMPLE_RATE)
        self.silent = not np.any(self.wave)
        self._found: dict[tuple, Any] = {}

    def once(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return function(wave, *arguments), computed once however many measures and systems ask for it."""
        key = (function, *arguments)
        if key not in self._found:
            self._found[key] = function(self.wave, *arguments)
        return self._found[key]


class Pair:
    """A reference and one system's output of it.

    Attributes:
        reference, estimate: The whole signals.
        cut: Their waves, cut to the shorter, (N,) float32.
        inputs: All inputs, for what a measure needs besides audio.

    Raises:
        UserError: As `cut_to_shorter`.
    """

    def __init__(self, reference: Signal, estimate: Signal, inputs: Inputs) -> None:
        self.reference, self.estimate, self.inputs = reference, estimate, inputs
        self.cut = cut_to_shorter(reference.wave, estimate.wave)

    @functools.cached_property
    def levelled(self) -> tuple:
        """`cut` at the levels that DAC's evaluation compares signals at (hasrd.metrics.level), two tensors (N,)."""
        import torch

        return level.level_pair(*map(torch.from_numpy, self.cut), SAMPLE_RATE)


def cut_to_shorter(reference: Any, estimate: Any) -> tuple[Any, Any]:
    """Cut two signals (N,), (N',), tensors or arrays, to the shorter.

    Raises:
        UserError: They are more than 512 samples apart, or one is empty.
    """
    lengths = reference.shape[-1], estimate.shape[-1]
    if abs(lengths[0] - lengths[1]) > TOLERANCE:
        raise UserError(
            f"the reference has {lengths[0]} samples and the output {lengths[1]}: "
            f"more than one token ({TOLERANCE}) apart"
        )
    if min(lengths) == 0:
        raise UserError("it has no samples")
    return reference[..., : min(lengths)], estimate[..., : min(lengths)]


class AudioReading(Reading):
    """References and the outputs of several systems: `ref` and each of `hyp` a wav.scp of any sample rate.

    Raises:
        UserError: References and outputs that don't match in utterances or length, audio that can't be read,
            a measure that fails on an utterance, or that has a value for none.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.references = read_table(inputs.ref)
        self.outputs = {system: read_table(path) for system, path in inputs.hyp.items()}
        for system, path in inputs.hyp.items():
            match(self.references, self.outputs[system], str(inputs.ref), str(path))
        self.read = {"the references": table_facts(inputs.ref)}
        self.read_of = {system: {"the outputs": table_facts(path)} for system, path in inputs.hyp.items()}

    is_shared = True

    def results(self, jobs: Sequence[ScoreJob]) -> Iterator[tuple[ScoreJob, Result]]:
        """Yield each job with its result, of one pass over the files."""
        measures: dict[str, list[AudioMeasure]] = {}
        for job in jobs:
            measures.setdefault(job.system, []).append(job.measure)
        parts = jobs[0].out / "parts"
        folders = run_in_chunks(
            self.references,
            parts,
            functools.partial(_Scorer, {system: self.outputs[system] for system in measures}, measures, self.inputs),
            options=dict(jobs=sorted(content_sha256(job.record) for job in jobs)),
            chunk_size=_CHUNK,
            sharing=self.inputs.sharing,
            desc=f"scoring {jobs[0].test_set}",
        )
        if folders is None or not self.inputs.sharing.is_whole:
            print(f"{parts}: shard {self.inputs.shard} is done; a run without --shard writes the scores")
            return
        scored: dict[str, dict] = {}
        for folder in folders:
            scored.update(read_json(folder / "values.json", advice="remove its folder and score again"))
        empty = []
        for job in jobs:
            found = {utterance: scored[utterance][job.system] for utterance in sorted(scored)}
            if any(job.measure.name in one["values"] for one in found.values()):
                yield job, job.measure.summarise(found, job.options)
            else:
                empty.append((job, *next(iter(found.items()))))
        shutil.rmtree(parts)
        for job, utterance, one in empty:
            name = job.measure.name
            raise UserError(
                f"{self.inputs.ref}: no utterance gives a value for {name} of {job.system}; '{utterance}': "
                f"{one['left_out'][name]}"
            )


class AudioMeasure(Measure):
    """A measure of an output beside its reference: a subclass computes `value`, and says how in `source`.

    Attributes:
        columns: Names of the values; the first one is the score.
        facts: More for the score file.
    """

    inputs = ("ref", "hyp")
    taken_of = "decoded"
    reading = AudioReading
    table = "reconstruction"
    columns: ClassVar[tuple[str, ...]] = ("value",)
    facts: ClassVar[Mapping[str, str]] = {}

    def value(self, pair: Pair) -> float | tuple[float, ...]:
        """Return the value of a pair, or one for each of `columns`.

        Raises:
            Undefined: It has none here; says why.
        """
        raise NotImplementedError

    def values(self, pair: Pair, where: str) -> list[float]:
        """Return one value for each of `columns`, `worst` for an output of digital silence.

        Raises:
            Undefined: It has none here.
            UserError: It fails, or gives NaN; says `where`.
        """
        if pair.reference.silent:
            raise Undefined(SILENT_REFERENCE)
        if pair.estimate.silent and self.worst is not None:
            return list(self.worst)
        try:
            found = self.value(pair)
        except (Undefined, UserError):
            raise
        except Exception as error:  # other people's code, on any signal
            raise UserError(
                f"{where}: {self.name} fails ({type(error).__name__}: {error}): look at the file, or leave it out of "
                "the set"
            ) from error
        values = [float(value) for value in (found if isinstance(found, tuple) else (found,))]
        if not all(map(math.isfinite, values)):
            raise UserError(f"{where}: {self.name} gives {values[0]}: look at the file, or leave it out of the set")
        return values

    def summarise(self, found: Mapping[str, dict[str, Any]], options: Mapping[str, Any]) -> Result:
        """Return the result of a system.

        Args:
            found: Utterance, sorted, to what `_Scorer` found.
            options: See `ScoreJob`.
        """
        rows = {utt: one["values"][self.name] for utt, one in found.items() if self.name in one["values"]}
        first, *others = np.asarray(list(rows.values()), dtype=np.float64).T
        means = {name: float(column.mean()) for name, column in zip(self.columns[1:], others)}
        left_out = {utt: one["left_out"][self.name] for utt, one in found.items() if utt not in rows}
        silent = [] if self.worst is None else [utt for utt in rows if found[utt]["silent"]]
        aside = set_aside(left_out, silent, self.worst[0] if silent else 0.0)
        details = {"sample_rate": SAMPLE_RATE, **self.facts, **options, **means, **aside}
        for what in ("reference", "output"):
            rates = [one["rates"][what] for one in found.values()]
            others = {str(rate): rates.count(rate) for rate in sorted(set(rates)) if rate != SAMPLE_RATE}
            if others:
                details.setdefault("resampled", {})[f"{what}s"] = others
        return replace(Result.of_mean(dict(zip(rows, first.tolist())), **details), columns=self.columns, rows=rows)


class _Scorer:
    """In a worker: scores a chunk of utterances into `values.json`."""

    def __init__(
        self,
        outputs: Mapping[str, Mapping[str, str]],
        measures: Mapping[str, Sequence[AudioMeasure]],
        inputs: Inputs,
    ) -> None:
        import torch

        torch.set_num_threads(1)
        self.outputs, self.measures, self.inputs = outputs, measures, inputs

    def __call__(self, inputs: dict[str, str], folder: Path, final: Path) -> None:
        scored = {utterance: self._utterance(utterance, path) for utterance, path in inputs.items()}
        (folder / "values.json").write_text(json.dumps(scored), encoding="utf-8")

    def _utterance(self, utterance: str, path: str) -> dict[str, dict]:
        reference = Signal(path)
        found = {}
        for system, measures in self.measures.items():
            output = self.outputs[system][utterance]
            estimate = Signal(output)
            where = f"{output}: utterance '{utterance}' of {system}"
            try:
                pair = Pair(reference, estimate, self.inputs)
            except UserError as error:
                raise UserError(f"{where}: {error}") from None
            found[system] = one = {
                "values": {},
                "left_out": {},
                "silent": estimate.silent,
                "rates": {"reference": reference.rate, "output": estimate.rate},
            }
            for measure in measures:
                try:
                    one["values"][measure.name] = measure.values(pair, where)
                except Undefined as reason:
                    one["left_out"][measure.name] = str(reason)
        return found
