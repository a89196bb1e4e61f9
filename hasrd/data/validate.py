# Copyright 2026 The hasrd authors
# Apache-2.0
"""Checks of data directories: what would break or spoil a run later is said at once, with file and line."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, Mapping, Sequence

from hasrd.data.audio import audio_info, check_info, read_audio
from hasrd.data.kaldi import DataDir, write_lines
from hasrd.data.problems import Problems
from hasrd.errors import UserError
from hasrd.jobs.workers import run_workers
from hasrd.progress import progress

# Small enough to spread over processes and for progress to move, large enough for little overhead.
BLOCK = 50


@dataclass(frozen=True)
class AudioChecker:
    """Checks the audio of some utterances; (utterance, samples, what is wrong or "") for each."""

    sample_rate: int
    min_samples: int
    check_audio: bool

    def __call__(self, block: Sequence[tuple[str, str]]) -> list[tuple[str, int, str]]:
        return [(utterance, *self.check(path)) for utterance, path in block]

    def check(self, path: str) -> tuple[int, str]:
        """Samples of a file and what is wrong with it ("" if nothing)."""
        try:
            info = audio_info(path)
            check_info(path, info, self.sample_rate)
            if self.check_audio:
                read_audio(path, self.sample_rate)
        except UserError as error:
            return 0, str(error)
        if info.num_samples < self.min_samples:
            return info.num_samples, (
                f"{path}: {info.num_samples} samples, but one token needs {self.min_samples}: remove the utterance "
                "(--drop_bad true does)"
            )
        return info.num_samples, ""


def check_audio_files(
    wavs: Mapping[str, str],
    sample_rate: int,
    min_samples: int,
    check_audio: bool = False,
    nj: int = 1,
    desc: str = "checking audio",
) -> dict[str, tuple[int, str]]:
    """Samples and what is wrong ("" if nothing) for each utterance; headers only unless `check_audio`."""
    pairs = list(wavs.items())
    blocks = [tuple(pairs[start : start + BLOCK]) for start in range(0, len(pairs), BLOCK)]
    checker = functools.partial(_checker, sample_rate, min_samples, check_audio)
    results = (result for _, block in run_workers(checker, blocks, nj) for result in block)
    found = {utt: (samples, problem) for utt, samples, problem in progress(results, len(pairs), desc)}
    return {utterance: found[utterance] for utterance in wavs}


def _checker(sample_rate: int, min_samples: int, check_audio: bool) -> AudioChecker:
    return AudioChecker(sample_rate, min_samples, check_audio)


@dataclass
class Report:
    """What a check found in one data directory.

    Attributes:
        data: The directory as read.
        samples: Samples of each utterance that is fine.
        rejected: Utterance to `file:line: utterance x: what is wrong`.
    """

    data: DataDir
    samples: dict[str, int]
    rejected: dict[str, str]


def check_data_dir(
    path: str | Path,
    sample_rate: int,
    min_samples: int,
    *,
    require_text: bool = True,
    check_audio: bool = False,
    nj: int = 1,
) -> Report:
    """Check one data directory utterance by utterance.

    Raises:
        UserError: A table is missing or broken as a whole.
    """
    data = DataDir.load(path)
    if not data.wavs:
        raise UserError(f"{data.path}/wav.scp: no utterances in it")
    if "utt2spk" not in data.tables:
        raise UserError(
            f"{data.path}/utt2spk: no such file: write 'utterance speaker' lines; "
            "where speakers are unknown, give each utterance its own name as speaker"
        )
    needed = ["utt2spk"]
    if "text" in data.tables:
        needed.append("text")
    elif require_text:
        raise UserError(
            f"{data.path}/text: no such file: write 'utterance transcript' lines, or say --require_text false"
        )
    audio = check_audio_files(data.wavs, sample_rate, min_samples, check_audio, nj, f"checking {data.path}")
    samples: dict[str, int] = {}
    rejected: dict[str, str] = {}
    for number, utterance in enumerate(data.wavs, start=1):
        count, problem = audio[utterance]
        if not problem:
            for name in needed:
                if utterance not in data.tables[name]:
                    problem = f"has no line in {data.path / name}: add it or remove the utterance"
                elif name == "text" and require_text and not data.tables[name][utterance]:
                    problem = f"its transcript in {data.path / name} is empty: write it or remove the utterance"
        if problem:
            rejected[utterance] = f"{data.path}/wav.scp:{number}: utterance '{utterance}': {problem}"
        else:
            samples[utterance] = count
    for name in needed:
        for number, utterance in enumerate(data.tables[name], start=1):
            if utterance not in data.wavs:
                rejected[utterance] = (
                    f"{data.path / name}:{number}: utterance '{utterance}': has no line in {data.path}/wav.scp: "
                    "add it or remove this line"
                )
    return Report(data, samples, rejected)


def check_overlap(sets: Sequence[DataDir], single_speaker: bool) -> tuple[list[str], list[str]]:
    """What several sets must not share.

    Returns:
        Errors (an utterance in two sets; a speaker in two sets unless `single_speaker`) and warnings (a text in two
        sets of a single-speaker corpus, where the model has then heard the test sentence from the same voice).
    """
    errors: list[str] = []
    warnings: list[str] = []
    for utterance, first, second in _shared([data.wavs for data in sets]):
        errors.append(
            f"{sets[second].line_of('wav.scp', utterance)}: utterance '{utterance}' is in {sets[first].path} too: "
            "keep it in one set"
        )
    if not single_speaker:
        speakers = [Counter(data.tables["utt2spk"].values()) for data in sets]
        for speaker, first, second in _shared(speakers):
            table = sets[second].tables["utt2spk"]
            utterance = next(utt for utt, name in table.items() if name == speaker)
            errors.append(
                f"{sets[second].line_of('utt2spk', utterance)}: speaker '{speaker}' is in {sets[first].path} too "
                f"({speakers[first][speaker]} and {speakers[second][speaker]} utterances): move it to one set, "
                "or say --single_speaker true if the corpus has one voice"
            )
    else:
        texts = [{text: utt for utt, text in data.tables.get("text", {}).items() if text} for data in sets]
        for text, first, second in _shared(texts):
            warnings.append(
                f"{sets[second].line_of('text', texts[second][text])}: the text of utterance "
                f"'{texts[second][text]}' is in {sets[first].path} too ('{texts[first][text]}')"
            )
    return errors, warnings


def _shared(keys: Sequence[Iterable[str]]) -> Iterator[tuple[str, int, int]]:
    """(key, first set, later set) for every key that stands in two sets."""
    where: dict[str, int] = {}
    for index, names in enumerate(keys):
        for name in names:
            if where.setdefault(name, index) != index:
                yield name, where[name], index


def validate(
    paths: Sequence[str | Path],
    sample_rate: int,
    min_samples: int,
    *,
    single_speaker: bool = False,
    require_text: bool = True,
    check_audio: bool = False,
    drop_bad: bool = False,
    nj: int = 1,
) -> tuple[list[Report], list[str]]:
    """Check data directories and write `utt2num_samples` (and what else changes) when all is well.

    With `drop_bad` utterances that are wrong are removed from the tables and listed, with the reason, in the file
    `rejected`; without it they are an error, and nothing is written.

    Returns:
        A report for each directory, and warnings.

    Raises:
        UserError: The first ten problems and a count of the rest.
    """
    paths = [Path(path) for path in paths]
    for path in paths:
        if paths.count(path) > 1:
            raise UserError(f"{path}: named twice: name each data directory once")
    reports = [
        check_data_dir(path, sample_rate, min_samples, require_text=require_text, check_audio=check_audio, nj=nj)
        for path in paths
    ]
    problems = Problems()
    if not drop_bad:
        for report in reports:
            for line in report.rejected.values():
                problems.add(line)
    kept = [report.data.subset(report.samples) for report in reports]
    for data in kept:
        if not data.wavs and drop_bad:
            problems.add(f"{data.path}/wav.scp: no utterance is left: every one was rejected")
    errors, warnings = check_overlap(kept, single_speaker)
    for line in errors:
        problems.add(line)
    fixable = not drop_bad and any(report.rejected for report in reports)
    problems.raise_if_any("repair these, or say --drop_bad true to leave bad utterances out" if fixable else "")
    for report, data in zip(reports, kept):
        data.tables["utt2num_samples"] = {utt: str(count) for utt, count in report.samples.items()}
        if report.rejected:
            write_lines(data.path / "rejected", (f"{utt} {why}" for utt, why in sorted(report.rejected.items())))
        data.write(data.path)
    return reports, warnings
