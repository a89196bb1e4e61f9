# Copyright 2026 The hasrd authors
# Apache-2.0
"""Distances and similarity of audio: one pass over the files for all measures and systems."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

from hasrd.data.audio import read_audio
from hasrd.data.kaldi import read_table
from hasrd.data.workers import run_workers
from hasrd.errors import UserError
from hasrd.metrics.scoring.job import Job, digest_files, match
from hasrd.progress import progress

SAMPLE_RATE = 16000


@dataclass(frozen=True)
class _Item:
    """An utterance: its reference, and system to output file and measures to take."""

    utterance: str
    reference: str
    outputs: dict[str, tuple[str, tuple[str, ...]]]


def score_audio(jobs: Sequence[Job], reference: Path, outputs: Mapping[str, Path], nj: int) -> None:
    """Score the audio of several systems against the same references.

    Args:
        jobs: Measures among mel, stft, speaker_similarity, each of one of the systems.
        reference: wav.scp of the references, 16 kHz.
        outputs: System to the wav.scp of its outputs.
        nj: Processes.

    Raises:
        UserError: References and outputs that don't match in utterances or length, audio that can't be read, or
            nothing but silence.
    """
    references = read_table(reference)
    tables = {system: read_table(path) for system, path in outputs.items()}
    for system, path in outputs.items():
        match(references, tables[system], str(reference), str(path))
    digest = digest_files(references)
    prints: dict[Job, str] = {}
    for system, table in tables.items():
        output_digest = digest_files(table)
        own = [job for job in jobs if job.system == system]
        prints.update(
            {job: job.fingerprint(references=digest, outputs=output_digest) for job in own}
        )
    todo = [job for job in jobs if not job.current(prints[job])]
    if not todo:
        return
    todo = _without_missing_encoder(todo)
    items = [
        _Item(
            utt,
            references[utt],
            {
                system: (
                    tables[system][utt],
                    tuple(job.measure for job in todo if job.system == system),
                )
                for system in dict.fromkeys(job.system for job in todo)
            },
        )
        for utt in sorted(references)
    ]
    values: dict[Job, dict[str, float]] = {job: {} for job in todo}
    left_out: dict[Job, list[str]] = {job: [] for job in todo}
    test_set = jobs[0].test_set
    results = run_workers(_make_paired, items, nj) if todo else iter(())
    for item, result in progress(results, total=len(items), desc=f"scoring {test_set}"):
        for job in todo:
            value = result[job.system, job.measure]
            if value is None:
                left_out[job].append(item.utterance)
            else:
                values[job][item.utterance] = value
    for job in todo:
        if not values[job]:
            raise UserError(
                f"{reference}: every utterance is digital silence: there is nothing to score"
            )
        details: dict = {"source": _source(job.measure), "sample_rate": SAMPLE_RATE}
        if left_out[job]:
            details["left_out"] = {
                utt: "the reference is digital silence" for utt in sorted(left_out[job])
            }
        job.write_mean(values[job], prints[job], **details)


def score_mean_spectrum(job: Job, reference: Path, nj: int) -> None:
    """Score the constant mean spectrum of the references themselves (two passes: the mean, then the
    distances).

    Raises:
        UserError: No reference, or one that can't be read.
    """
    references = read_table(reference)
    if not references:
        raise UserError(f"{reference}: no utterance in it")
    print_ = job.fingerprint(references=digest_files(references))
    if job.current(print_):
        return
    from hasrd.metrics import mean_spectrum

    items = sorted(references.items())
    desc = f"mean spectrum of {job.test_set}"
    sums = dict(progress(run_workers(_make_sums, items, nj), total=len(items), desc=desc))
    # In sorted order: the sum of floats must not depend on which worker was first.
    constants = mean_spectrum.mean_spectra([sums[item] for item in items])
    make = functools.partial(_make_constant_distance, constants)
    results = progress(
        run_workers(make, items, nj), total=len(items), desc=f"distances of {job.test_set}"
    )
    values = {item[0]: value for item, value in results}
    job.write_mean(values, print_, source=mean_spectrum.SOURCE, sample_rate=SAMPLE_RATE)


def _without_missing_encoder(jobs: list[Job]) -> list[Job]:
    from hasrd.metrics import speaker_similarity

    if speaker_similarity.available() or all(job.measure != "speaker_similarity" for job in jobs):
        return jobs
    print("speaker_similarity: left out, Resemblyzer is not installed: pip install 'hasrd[eval]'")
    return [job for job in jobs if job.measure != "speaker_similarity"]


def _source(measure: str) -> str:
    from hasrd.metrics import level, speaker_similarity

    if measure == "speaker_similarity":
        return speaker_similarity.SOURCE
    name = {"mel": "DAC's MelSpectrogramLoss", "stft": "DAC's MultiScaleSTFTLoss"}[measure]
    return f"{name}; {level.DESCRIPTION}"


def _make_paired():
    import torch

    torch.set_num_threads(1)
    return _score_item


def _score_item(item: _Item) -> dict[tuple[str, str], float | None]:
    """Return values by (system, measure); None where the reference has nothing to compare."""
    import torch

    from hasrd.metrics import level, spectral

    reference = torch.from_numpy(read_audio(item.reference, SAMPLE_RATE))
    reference_embedding = None
    if any("speaker_similarity" in measures for _, measures in item.outputs.values()):
        from hasrd.metrics import speaker_similarity

        reference_embedding = speaker_similarity.embed(reference.numpy())
    found: dict[tuple[str, str], float | None] = {}
    for system, (path, measures) in item.outputs.items():
        estimate = torch.from_numpy(read_audio(path, SAMPLE_RATE))
        try:
            pair = spectral.cut_to_shorter(reference, estimate)
        except UserError as error:
            raise UserError(f"{path}: utterance '{item.utterance}' of {system}: {error}") from None
        if "mel" in measures or "stft" in measures:
            levelled = level.level_pair(*pair, SAMPLE_RATE)
        if "mel" in measures:
            found[system, "mel"] = spectral.mel_distance(*levelled)
        if "stft" in measures:
            found[system, "stft"] = spectral.stft_distance(*levelled)
        if "speaker_similarity" in measures:
            found[system, "speaker_similarity"] = (
                None
                if reference_embedding is None
                else speaker_similarity.similarity(
                    reference_embedding, speaker_similarity.embed(estimate.numpy())
                )
            )
    return found


def _log_mels(path: str) -> list:
    import torch

    from hasrd.metrics import level, mean_spectrum

    torch.set_num_threads(1)
    return mean_spectrum.log_mels(
        level.level(torch.from_numpy(read_audio(path, SAMPLE_RATE)), SAMPLE_RATE)
    )


def _make_sums():
    from hasrd.metrics.mean_spectrum import spectrum_sums

    return lambda item: spectrum_sums(_log_mels(item[1]))


def _make_constant_distance(constants: list):
    from hasrd.metrics.mean_spectrum import distance_to_constant

    return lambda item: distance_to_constant(_log_mels(item[1]), constants)
