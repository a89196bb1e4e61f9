# Copyright 2026 The hasrd authors
# Apache-2.0
"""Quality of audio: one pass over the files for all measures and systems.

An utterance is read, resampled and cut once, and what several measures need of it (levels, embeddings) is
computed once. What is done is kept in `parts` in the folder of the first score until all scores are
written: a run that was interrupted goes on from there.
"""

from __future__ import annotations

import functools
import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import numpy as np

from hasrd.config import read_json
from hasrd.data.audio import audio_info, read_audio
from hasrd.data.kaldi import read_table
from hasrd.data.resample import resample
from hasrd.errors import UserError
from hasrd.jobs.chunks import run_in_chunks
from hasrd.jobs.origin import Record, content_sha256, table_facts
from hasrd.jobs.workers import run_workers
from hasrd.metrics import dnsmos, ecapa_similarity, level, pesq, speaker_similarity, stoi, visqol
from hasrd.metrics.bootstrap import mean_interval
from hasrd.metrics.scoring.job import Job, match
from hasrd.metrics.undefined import Undefined
from hasrd.progress import progress

SAMPLE_RATE = 16000
SILENT_REFERENCE = "the reference is digital silence"
# Utterances between two points that an interrupted run goes on from.
_CHUNK = 10


class _Signal:
    """A wave at 16 kHz, (N,) float32, and its embeddings, each computed at most once."""

    def __init__(self, path: str, ecapa_dir: Path | None) -> None:
        self.rate = audio_info(path).sample_rate
        self.wave = resample(read_audio(path, self.rate), self.rate, SAMPLE_RATE)
        self.silent = not np.any(self.wave)
        self._ecapa_dir = ecapa_dir

    @functools.cached_property
    def ge2e(self) -> np.ndarray | None:
        return speaker_similarity.embed(self.wave)

    @functools.cached_property
    def ecapa(self) -> np.ndarray | None:
        return ecapa_similarity.embed(self.wave, self._ecapa_dir)


class _Pair:
    """A reference and one system's output of it: whole, cut to the shorter, and at one level."""

    def __init__(self, reference: _Signal, estimate: _Signal) -> None:
        from hasrd.metrics.spectral import cut_to_shorter

        self.reference, self.estimate = reference, estimate
        self.cut = cut_to_shorter(reference.wave, estimate.wave)

    @functools.cached_property
    def levelled(self) -> tuple:
        import torch

        return level.level_pair(*map(torch.from_numpy, self.cut), SAMPLE_RATE)


def _mel(pair: _Pair) -> float:
    from hasrd.metrics.spectral import mel_distance

    return mel_distance(*pair.levelled)


def _stft(pair: _Pair) -> float:
    from hasrd.metrics.spectral import stft_distance

    return stft_distance(*pair.levelled)


def _visqol(pair: _Pair) -> tuple[float, ...]:
    return visqol.quality(*(wave.numpy() for wave in pair.levelled))


def _always() -> bool:
    return True


@dataclass(frozen=True)
class _Measure:
    """How a measure is taken.

    Attributes:
        compute: A pair to its value, or to the values of `columns`.
        source: What is stored of how it was taken.
        columns: Names of the values; the first one is the score.
        worst: What an output that is digital silence gets; None: what `compute` says of it.
        available: Whether its package is there, and, where it is not, what to do.
        facts: More for the score file.
    """

    compute: Callable[[_Pair], Any]
    source: str
    columns: tuple[str, ...] = ("value",)
    worst: tuple[float, ...] | None = None
    available: Callable[[], bool] = _always
    missing: str = ""
    facts: tuple[tuple[str, str], ...] = ()


TABLE = {
    "mel": _Measure(_mel, f"DAC's MelSpectrogramLoss; {level.DESCRIPTION}"),
    "stft": _Measure(_stft, f"DAC's MultiScaleSTFTLoss; {level.DESCRIPTION}"),
    "visqol": _Measure(
        _visqol,
        f"{visqol.SOURCE}; {level.DESCRIPTION}",
        ("value", "nsim"),
        visqol.WORST,
        visqol.available,
        visqol.MISSING,
        (("mapper", visqol.MAPPER),),
    ),
    "pesq": _Measure(
        lambda pair: pesq.wide_band(*pair.cut),
        pesq.SOURCE,
        worst=(pesq.WORST,),
        available=pesq.available,
        missing=pesq.MISSING,
    ),
    "stoi": _Measure(
        lambda pair: stoi.intelligibility(*pair.cut),
        stoi.SOURCE,
        worst=(stoi.WORST,),
        available=stoi.available,
        missing=stoi.MISSING,
    ),
    "dnsmos": _Measure(
        lambda pair: dnsmos.opinion(pair.estimate.wave),
        dnsmos.SOURCE,
        ("value", "sig", "bak", "p808"),
        dnsmos.WORST,
        dnsmos.available,
        dnsmos.MISSING,
    ),
    "speaker_similarity": _Measure(
        lambda pair: speaker_similarity.similarity(pair.reference.ge2e, pair.estimate.ge2e),
        speaker_similarity.SOURCE,
        worst=(0.0,),
        available=speaker_similarity.available,
        missing=speaker_similarity.MISSING,
    ),
    "ecapa_similarity": _Measure(
        lambda pair: speaker_similarity.similarity(pair.reference.ecapa, pair.estimate.ecapa),
        ecapa_similarity.SOURCE,
        worst=(0.0,),
        available=ecapa_similarity.available,
        missing=ecapa_similarity.MISSING,
    ),
}


def score_audio(
    jobs: Sequence[Job],
    reference: Path,
    outputs: Mapping[str, Path],
    nj: int,
    ecapa_dir: Path | None = None,
) -> None:
    """Score the audio of several systems against the same references.

    Args:
        jobs: Measures of `TABLE`, each of one of the systems.
        reference: wav.scp of the references; what is not at 16 kHz is resampled.
        outputs: System to the wav.scp of its outputs, likewise.
        nj: Processes.
        ecapa_dir: Folder with a SpeechBrain ECAPA-TDNN, for ecapa_similarity.

    Raises:
        UserError: References and outputs that don't match in utterances or length, audio that can't be read,
            a measure that fails on an utterance, or that has a value for none.
    """
    references = read_table(reference)
    tables = {system: read_table(path) for system, path in outputs.items()}
    for system, path in outputs.items():
        match(references, tables[system], str(reference), str(path))
    jobs = _possible(jobs, ecapa_dir)
    model = {}
    if any(job.measure == "ecapa_similarity" for job in jobs):
        model = {"ecapa_similarity": {"model": ecapa_similarity.folder_digest(ecapa_dir)}}
    recorded, decoded = table_facts(reference), {system: table_facts(path) for system, path in outputs.items()}
    records = {
        job: job.record({"the references": recorded, "the outputs": decoded[job.system]}, **model.get(job.measure, {}))
        for job in jobs
    }
    todo = [job for job in jobs if not job.current(records[job])]
    if not todo:
        return
    measures = {
        system: tuple(job.measure for job in todo if job.system == system)
        for system in dict.fromkeys(job.system for job in todo)
    }
    parts = todo[0].out / "parts"
    work = functools.partial(_Scorer, {system: tables[system] for system in measures}, measures, ecapa_dir)
    folders = run_in_chunks(
        references,
        parts,
        work,
        options=dict(jobs=sorted(content_sha256(records[job]) for job in todo)),
        chunk_size=_CHUNK,
        nj=nj,
        desc=f"scoring {jobs[0].test_set}",
    )
    results: dict[str, dict] = {}
    for folder in folders:
        results.update(read_json(folder / "values.json", advice="remove its folder and score again"))
    empty = [job for job in todo if not _write(job, results, records[job], model.get(job.measure, {}))]
    shutil.rmtree(parts)
    if empty:
        job, utterance = empty[0], min(results)
        reason = results[utterance][job.system]["left_out"][job.measure]
        raise UserError(
            f"{reference}: no utterance gives a value for {job.measure} of {job.system}; '{utterance}': {reason}"
        )


def _possible(jobs: Sequence[Job], ecapa_dir: Path | None) -> list[Job]:
    """Leave out, with a line each, the measures that what is installed can't take."""
    reasons = {}
    for measure in dict.fromkeys(job.measure for job in jobs):
        if not TABLE[measure].available():
            reasons[measure] = TABLE[measure].missing
        elif measure == "ecapa_similarity" and ecapa_dir is None:
            reasons[measure] = "no --ecapa_dir names a folder with a SpeechBrain ECAPA-TDNN"
    for measure, reason in reasons.items():
        print(f"{measure}: left out: {reason}")
    return [job for job in jobs if job.measure not in reasons]


def _write(job: Job, results: Mapping[str, dict], record: Record, model: Mapping[str, str]) -> bool:
    """Write the score of `job`; False where no utterance has a value."""
    measure = TABLE[job.measure]
    found = {utterance: results[utterance][job.system] for utterance in sorted(results)}
    rows = {utt: one["values"][job.measure] for utt, one in found.items() if job.measure in one["values"]}
    if not rows:
        return False
    details: dict[str, Any] = {
        "source": measure.source,
        "sample_rate": SAMPLE_RATE,
        **dict(measure.facts),
        **model,
    }
    columns = np.asarray([rows[utterance] for utterance in sorted(rows)], dtype=np.float64)
    for index, name in enumerate(measure.columns[1:], start=1):
        details[name] = float(columns[:, index].mean())
    left_out = {utt: one["left_out"][job.measure] for utt, one in found.items() if utt not in rows}
    if left_out:
        details["left_out"] = left_out
    silent = [utt for utt in rows if found[utt]["silent"]]
    if silent and measure.worst is not None:
        details["silent_outputs"] = {"value": measure.worst[0], "utterances": silent}
    for what in ("reference", "output"):
        rates = [one["rates"][what] for one in found.values()]
        others = {str(rate): rates.count(rate) for rate in sorted(set(rates)) if rate != SAMPLE_RATE}
        if others:
            details.setdefault("resampled", {})[f"{what}s"] = others
    first = columns[:, 0]
    job.write(sum(first.tolist()) / len(first), mean_interval(first), measure.columns, rows, record, **details)
    return True


class _Scorer:
    """In a worker: scores a chunk of utterances into `values.json`."""

    def __init__(
        self,
        tables: Mapping[str, Mapping[str, str]],
        measures: Mapping[str, tuple[str, ...]],
        ecapa_dir: Path | None,
    ) -> None:
        import torch

        torch.set_num_threads(1)
        self.tables, self.measures, self.ecapa_dir = tables, measures, ecapa_dir

    def __call__(self, inputs: dict[str, str], folder: Path, final: Path) -> None:
        scored = {utterance: self._utterance(utterance, path) for utterance, path in inputs.items()}
        (folder / "values.json").write_text(json.dumps(scored), encoding="utf-8")

    def _utterance(self, utterance: str, path: str) -> dict[str, dict]:
        reference = _Signal(path, self.ecapa_dir)
        found = {}
        for system, measures in self.measures.items():
            output = self.tables[system][utterance]
            estimate = _Signal(output, self.ecapa_dir)
            where = f"{output}: utterance '{utterance}' of {system}"
            try:
                pair = _Pair(reference, estimate)
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
                    one["values"][measure] = _values(measure, pair, where)
                except Undefined as reason:
                    one["left_out"][measure] = str(reason)
        return found


def _values(name: str, pair: _Pair, where: str) -> list[float]:
    """Return the values of a measure's columns.

    Raises:
        Undefined: It has none here.
        UserError: It fails, or gives NaN; names the utterance.
    """
    measure = TABLE[name]
    if pair.reference.silent:
        raise Undefined(SILENT_REFERENCE)
    if pair.estimate.silent and measure.worst is not None:
        return list(measure.worst)
    try:
        found = measure.compute(pair)
    except (Undefined, UserError):
        raise
    except Exception as error:  # other people's code, on any signal
        raise UserError(
            f"{where}: {name} fails ({type(error).__name__}: {error}): look at the file, or leave it out of the set"
        ) from error
    values = [float(value) for value in (found if isinstance(found, tuple) else (found,))]
    if not all(map(math.isfinite, values)):
        raise UserError(f"{where}: {name} gives {values[0]}: look at the file, or leave it out of the set")
    return values


def score_mean_spectrum(job: Job, reference: Path, nj: int) -> None:
    """Score the constant mean spectrum of the references themselves (two passes: the mean, then the
    distances), silent ones left out.

    Raises:
        UserError: No reference, or one that can't be read, or nothing but silence.
    """
    references = read_table(reference)
    if not references:
        raise UserError(f"{reference}: no utterance in it")
    record = job.record({"the references": table_facts(reference)})
    if job.current(record):
        return
    from hasrd.metrics import mean_spectrum

    items = sorted(references.items())
    desc = f"mean spectrum of {job.test_set}"
    found = dict(progress(run_workers(_make_sums, items, nj), total=len(items), desc=desc))
    # In sorted order: the sum of floats must not depend on which worker was first.
    sums = {item: found[item] for item in items if found[item] is not None}
    if not sums:
        raise UserError(f"{reference}: every utterance is digital silence: there is nothing to score")
    constants = mean_spectrum.mean_spectra(list(sums.values()))
    make = functools.partial(_make_constant_distance, constants)
    results = progress(run_workers(make, list(sums), nj), total=len(sums), desc=f"distances of {job.test_set}")
    values = {item[0]: value for item, value in results}
    details = {"source": mean_spectrum.SOURCE, "sample_rate": SAMPLE_RATE}
    if len(sums) < len(items):
        details["left_out"] = {utt: SILENT_REFERENCE for utt in sorted(set(references) - set(values))}
    job.write_mean(values, record, **details)


def _log_mels(path: str) -> list | None:
    import torch

    from hasrd.metrics import mean_spectrum

    torch.set_num_threads(1)
    signal = _Signal(path, None)
    if signal.silent:
        return None
    return mean_spectrum.log_mels(level.level(torch.from_numpy(signal.wave), SAMPLE_RATE))


def _make_sums():
    return _sums


def _sums(item: tuple[str, str]) -> list | None:
    from hasrd.metrics.mean_spectrum import spectrum_sums

    mels = _log_mels(item[1])
    return None if mels is None else spectrum_sums(mels)


def _make_constant_distance(constants: list):
    from hasrd.metrics.mean_spectrum import distance_to_constant

    return lambda item: distance_to_constant(_log_mels(item[1]), constants)
