# Copyright 2026 The hasrd authors
# Apache-2.0
"""Voice conversion: does the output sound like the speaker of the source, or like the target?

An output is the source utterance with another utterance's voice. Its embedding is compared with those of
the two reference recordings; their lengths and texts need not agree. Beside each score stands how alike
the two recordings are themselves: what a conversion that changes nothing would reach with the target.
"""

from __future__ import annotations

from typing import Iterator, Sequence

import numpy as np

from hasrd.data.kaldi import line_of, read_table
from hasrd.errors import UserError
from hasrd.jobs.origin import table_facts
from hasrd.metrics import speaker_similarity
from hasrd.metrics.measure import Inputs, Measure, Reading, Result, ScoreJob, content, match, set_aside
from hasrd.metrics.scoring.audio import Signal
from hasrd.progress import progress


class ConversionReading(Reading):
    """Recordings (`ref`), lines 'source target' of these (`pairs`), and outputs named as their sources (`hyp`).

    Raises:
        UserError: Outputs and pairs that don't match, an utterance without a recording, audio that can't be
            read, or recordings that are all silent.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.targets, self.recordings = read_table(inputs.pairs), read_table(inputs.ref)
        for source, target in self.targets.items():
            missing = next((utt for utt in (source, target) if utt not in self.recordings), None)
            if missing is not None:
                raise UserError(f"{line_of(inputs.pairs, source)}: utterance '{missing}' is not in {inputs.ref}")
        self.outputs = {system: read_table(path) for system, path in inputs.hyp.items()}
        for system, path in inputs.hyp.items():
            match(self.targets, self.outputs[system], str(inputs.pairs), str(path))
        self.read = {"the references": table_facts(inputs.ref), "the pairs": content(self.targets)}
        self.read_of = {system: {"the outputs": table_facts(path)} for system, path in inputs.hyp.items()}
        self.voices: dict[tuple[str | None, str], np.ndarray | None] = {}

    def results(self, jobs: Sequence[ScoreJob]) -> Iterator[tuple[ScoreJob, Result]]:
        """Yield each job with its result; every file is embedded once, recordings under the system None."""
        files = {(None, utt): self.recordings[utt] for pair in self.targets.items() for utt in pair}
        for system in dict.fromkeys(job.system for job in jobs):
            files.update({(system, utt): path for utt, path in self.outputs[system].items()})
        found = self.inputs.sharing.results(_make_embed, files.items())
        for (key, _), voice in progress(found, total=len(files), desc=f"voices of {jobs[0].test_set}"):
            self.voices[key] = voice
        yield from super().results(jobs)


class ConversionSimilarity(Measure):
    """Likeness of a conversion's voice to one of the two recordings, number `which` of source and target."""

    packages = ("resemblyzer", "torch")
    source = speaker_similarity.SOURCE
    modules = ("resemblyzer",)
    missing = speaker_similarity.MISSING
    inputs = ("ref", "hyp", "pairs")
    taken_of = "conversion"
    reading = ConversionReading
    table = "conversion"
    worst = (0.0,)
    which: int

    def compute(self, reading: ConversionReading, system: str) -> Result:
        values, between, left_out, silent = {}, {}, {}, []
        for source, target in sorted(reading.targets.items()):
            recorded = reading.voices[None, source], reading.voices[None, target]
            if any(voice is None for voice in recorded):
                left_out[source] = "the source or the target is digital silence"
                continue
            converted = reading.voices[system, source]
            if converted is None:
                silent.append(source)
            values[source] = speaker_similarity.similarity(recorded[self.which], converted)
            between[source] = speaker_similarity.similarity(*recorded)
        if not values:
            raise UserError(f"{system}: the source or the target of every pair is digital silence")
        mean = sum(between.values()) / len(between)
        aside = set_aside(left_out, silent, self.worst[0])
        return Result.of_mean(values, between_source_and_target=mean, **aside)


class SourceSimilarity(ConversionSimilarity):
    """Likeness to the voice of the source: what is left of it."""

    name = "source_similarity"
    label = "Similarity to the source"
    higher_is_better = False
    order = 30
    which = 0


class TargetSimilarity(ConversionSimilarity):
    """Likeness to the voice of the target: what was reached."""

    name = "target_similarity"
    label = "Similarity to the target"
    order = 31
    which = 1


def _make_embed():
    import torch

    torch.set_num_threads(1)
    return _embed


def _embed(item: tuple[tuple[str | None, str], str]) -> np.ndarray | None:
    return Signal(item[1]).once(speaker_similarity.embed)
