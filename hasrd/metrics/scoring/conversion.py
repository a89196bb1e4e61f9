# Copyright 2026 The hasrd authors
# Apache-2.0
"""Voice conversion: does the output sound like the speaker of the source, or like the target?

An output is the source utterance with another utterance's voice. Its embedding is compared with those of
the two reference recordings; their lengths and texts need not agree. Beside each score stands how alike
the two recordings are themselves: what a conversion that changes nothing would reach with the target.
"""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from hasrd.data.audio import audio_info, read_audio
from hasrd.data.kaldi import line_of, read_table
from hasrd.data.resample import resample
from hasrd.errors import UserError
from hasrd.jobs.origin import Record, table_facts
from hasrd.jobs.workers import run_workers
from hasrd.metrics import speaker_similarity
from hasrd.metrics.scoring.job import Job, content, match
from hasrd.progress import progress

MEASURES = ("source_similarity", "target_similarity")


def score_conversion(jobs: Sequence[Job], reference: Path, outputs: Mapping[str, Path], pairs: Path, nj: int) -> None:
    """Score converted speech of one or several systems.

    Args:
        jobs: Measures of `MEASURES`, each of one of the systems.
        reference: wav.scp with the recordings of all sources and targets.
        outputs: System to the wav.scp of its outputs, named as their sources.
        pairs: Lines 'source target', utterances of `reference`.
        nj: Processes.

    Raises:
        UserError: Outputs and pairs that don't match, an utterance without a recording, audio that can't be
            read, or recordings that are all silent.
    """
    if not speaker_similarity.available():
        for measure in dict.fromkeys(job.measure for job in jobs):
            print(f"{measure}: left out: {speaker_similarity.MISSING}")
        return
    targets = read_table(pairs)
    references = read_table(reference)
    for source, target in targets.items():
        missing = next((utt for utt in (source, target) if utt not in references), None)
        if missing is not None:
            raise UserError(f"{line_of(pairs, source)}: utterance '{missing}' is not in {reference}")
    tables = {system: read_table(path) for system, path in outputs.items()}
    for system, path in outputs.items():
        match(targets, tables[system], str(pairs), str(path))
    used = {utt: references[utt] for pair in targets.items() for utt in pair}
    recorded, converted = table_facts(reference), {system: table_facts(path) for system, path in outputs.items()}
    read = {"the references": recorded, "the pairs": content(targets)}
    records = {job: job.record({**read, "the outputs": converted[job.system]}) for job in jobs}
    todo = [job for job in jobs if not job.current(records[job])]
    wanted = dict.fromkeys(job.system for job in todo)
    files = {(None, utt): path for utt, path in used.items()} if todo else {}
    files.update({(system, utt): path for system in wanted for utt, path in tables[system].items()})
    results = progress(
        run_workers(_make_embed, list(files.items()), nj), total=len(files), desc=f"voices of {jobs[0].test_set}"
    )
    voices = {key: voice for (key, _), voice in results} if todo else {}
    for job in todo:
        _write(job, targets, voices, records[job])


def _write(
    job: Job,
    targets: Mapping[str, str],
    voices: Mapping[tuple[str | None, str], np.ndarray | None],
    record: Record,
) -> None:
    values, between, left_out, silent = {}, {}, {}, []
    for source, target in sorted(targets.items()):
        recorded = voices[None, source], voices[None, target]
        if any(voice is None for voice in recorded):
            left_out[source] = "the source or the target is digital silence"
            continue
        other = recorded[MEASURES.index(job.measure)]
        converted = voices[job.system, source]
        if converted is None:
            silent.append(source)
        values[source] = speaker_similarity.similarity(other, converted)
        between[source] = speaker_similarity.similarity(*recorded)
    if not values:
        raise UserError(f"{job.system}: the source or the target of every pair is digital silence")
    details = {
        "source": speaker_similarity.SOURCE,
        "between_source_and_target": sum(between.values()) / len(between),
    }
    if left_out:
        details["left_out"] = left_out
    if silent:
        details["silent_outputs"] = {"value": 0.0, "utterances": silent}
    job.write_mean(values, record, **details)


def _make_embed():
    import torch

    torch.set_num_threads(1)
    return _embed


def _embed(item: tuple[tuple[str | None, str], str]) -> np.ndarray | None:
    path = item[1]
    rate = audio_info(path).sample_rate
    return speaker_similarity.embed(resample(read_audio(path, rate), rate, speaker_similarity.SAMPLE_RATE))
