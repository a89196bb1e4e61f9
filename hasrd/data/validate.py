# Copyright 2026 The hasrd authors
# Apache-2.0
"""Checks of data directories: what would break or spoil a run later is said at once, with file and line."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Iterator, Mapping, NamedTuple, Sequence

from hasrd.data.audio import audio_info, check_info, read_audio
from hasrd.data.kaldi import DataDir, write_lines
from hasrd.data.oddities import audio_oddities, text_oddities
from hasrd.data.problems import Problems
from hasrd.errors import UserError
from hasrd.jobs.origin import Facts, facts_of, keep_facts, read_facts
from hasrd.jobs.workers import run_workers
from hasrd.progress import progress

# Small enough to spread over processes and for progress to move, large enough for little overhead.
BLOCK = 50
# Utterances that a warning names.
NAMED = 3


class Checked(NamedTuple):
    """What the check of one audio file found.

    Attributes:
        samples: How many, where the header can be read.
        problem: What is wrong, or "".
        oddities: Of `hasrd.data.oddities`.
        digest: The same for the same audio, as far as was looked: the samples, or only where the file is.
        facts: Of the file (see hasrd.jobs.origin), where the whole audio was read.
    """

    samples: int
    problem: str
    oddities: tuple[str, ...] = ()
    digest: str = ""
    facts: Facts | None = None


def check_audio_files(
    wavs: Mapping[str, str],
    sample_rate: int,
    min_samples: int,
    check_audio: bool = False,
    nj: int = 1,
    desc: str = "checking audio",
    known: Mapping[str, Facts] | None = None,
) -> dict[str, Checked]:
    """What is found for each utterance; headers only unless `check_audio`. `known`: file to the facts found before."""
    rows = [(utterance, path, (known or {}).get(path)) for utterance, path in wavs.items()]
    make_check = functools.partial(functools.partial, _check_audio, sample_rate, min_samples, check_audio)
    results = ((utterance, checked) for (utterance, *_), checked in run_workers(make_check, rows, nj, BLOCK))
    found = dict(progress(results, len(rows), desc))
    return {utterance: found[utterance] for utterance in wavs}


def _check_audio(sample_rate: int, min_samples: int, check_audio: bool, row: tuple[str, str, Facts | None]) -> Checked:
    """Check one file, (utterance, path, known); its facts are taken from `known` where it looks as there."""
    _, path, known = row
    oddities: tuple[str, ...] = ()
    digest, facts = path, None
    try:
        info = audio_info(path)
        check_info(path, info, sample_rate)
        if check_audio:
            # Before the samples: a file that changes while it is read is not taken for what was read.
            facts = facts_of(path, known)
            wave = read_audio(path, sample_rate)
            oddities = audio_oddities(wave, sample_rate)
            digest = hashlib.blake2b(wave.data, digest_size=16).hexdigest()
    except UserError as error:
        return Checked(0, str(error))
    if info.num_samples < min_samples:
        return Checked(
            info.num_samples,
            f"{path}: {info.num_samples} samples, but one token needs {min_samples}: remove the utterance "
            "(--drop_bad true does)",
        )
    return Checked(info.num_samples, "", oddities, digest, facts)


@dataclass
class Report:
    """What a check found in one data directory.

    Attributes:
        data: The directory as read.
        rejected: Utterance to `file:line: utterance x: what is wrong`.
        audio: What was found in the audio of each utterance that is fine.
    """

    data: DataDir
    rejected: dict[str, str]
    audio: dict[str, Checked] = field(repr=False)

    @property
    def samples(self) -> dict[str, int]:
        """Samples of each utterance that is fine."""
        return {utterance: checked.samples for utterance, checked in self.audio.items()}


def load_data_dir(path: str | Path, require_text: bool, problems: Problems) -> DataDir:
    """Read the tables of a data directory; what is wrong with them as a whole or with their lines goes to `problems`.

    Raises:
        UserError: No wav.scp, or segments.
    """
    before = len(problems.lines)
    data = DataDir.load(path, problems)
    if not data.wavs and len(problems.lines) == before:
        problems.add(f"{data.path}/wav.scp: no utterances in it")
    if "utt2spk" not in data.tables:
        problems.add(
            f"{data.path}/utt2spk: no such file: write 'utterance speaker' lines; "
            "where speakers are unknown, give each utterance its own name as speaker"
        )
    if "text" not in data.tables and require_text:
        problems.add(f"{data.path}/text: no such file: write 'utterance transcript' lines, or say --require_text false")
    return data


def check_data_dir(
    data: DataDir,
    sample_rate: int,
    min_samples: int,
    *,
    require_text: bool = True,
    check_audio: bool = False,
    nj: int = 1,
) -> Report:
    """Check a data directory, as `load_data_dir` gives it, utterance by utterance."""
    needed = [name for name in ("utt2spk", "text") if name in data.tables]
    known = read_facts(data.path / "wav.scp") if check_audio else {}
    audio = check_audio_files(data.wavs, sample_rate, min_samples, check_audio, nj, f"checking {data.path}", known)
    rejected: dict[str, str] = {}
    for number, utterance in enumerate(data.wavs, start=1):
        problem = audio[utterance].problem
        if not problem:
            for name in needed:
                if utterance not in data.tables[name]:
                    problem = f"has no line in {data.path / name}: add it or remove the utterance"
                elif name == "text" and require_text and not data.tables[name][utterance]:
                    problem = f"its transcript in {data.path / name} is empty: write it or remove the utterance"
        if problem:
            rejected[utterance] = f"{data.path}/wav.scp:{number}: utterance '{utterance}': {problem}"
    fine = {utterance: checked for utterance, checked in audio.items() if utterance not in rejected}
    for name in needed:
        for number, utterance in enumerate(data.tables[name], start=1):
            if utterance not in data.wavs:
                rejected[utterance] = (
                    f"{data.path / name}:{number}: utterance '{utterance}': has no line in {data.path}/wav.scp: "
                    "add it or remove this line"
                )
    return Report(data, rejected, fine)


def check_overlap(sets: Sequence[DataDir], single_speaker: bool) -> tuple[list[str], list[str]]:
    """What several sets must not share.

    Returns:
        Errors (an utterance in two sets; a speaker in two sets unless `single_speaker`) and warnings (texts in two sets
        of a single-speaker corpus, where the model has then heard the test sentence from the same voice).
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
        examples = [_firsts(data.tables["utt2spk"]) for data in sets]
        for speaker, first, second in _shared(speakers):
            errors.append(
                f"{sets[second].line_of('utt2spk', examples[second][speaker])}: speaker '{speaker}' is in "
                f"{sets[first].path} too ({speakers[first][speaker]} and {speakers[second][speaker]} utterances): move "
                "it to one set, or say --single_speaker true if the corpus has one voice"
            )
    else:
        texts = [_firsts(data.tables.get("text", {})) for data in sets]
        shared: dict[int, list[str]] = {}
        for text, first, second in _shared(texts):
            shared.setdefault(second, []).append(f"{texts[second][text]} as {texts[first][text]} in {sets[first].path}")
        for index, pairs in shared.items():
            warnings.append(_warning(sets[index], "text", pairs, "have the text of one in another set"))
    return errors, warnings


def find_oddities(reports: Sequence[Report]) -> list[str]:
    """One line for each set and each kind of what is odd in it: a count, the first utterances, and what to do."""
    warnings: list[str] = []
    first_with: dict[str, tuple[str, Path]] = {}
    texts = {utt: text for report in reports for utt, text in report.data.tables.get("text", {}).items()}
    of_texts = {kind: set(utterances) for kind, utterances in text_oddities(texts).items()}
    for report in reports:
        kinds: dict[str, list[str]] = {}
        same: list[str] = []
        clips = Counter(checked.digest for checked in report.audio.values())
        for utterance, checked in report.audio.items():
            for kind in checked.oddities:
                kinds.setdefault(kind, []).append(utterance)
            other, where = first_with.setdefault(checked.digest, (utterance, report.data.path))
            if other != utterance:
                same.append(f"{utterance} as {other}" + (f" in {where}" if where != report.data.path else ""))
        for kind, utterances in kinds.items():
            warnings.append(_warning(report.data, "wav.scp", utterances, kind))
        if same:
            warnings.append(_warning(report.data, "wav.scp", same, "have the audio of another: keep one of each"))
        for digest, count in clips.most_common(1):
            if count > max(2, len(report.audio) / 2):
                warnings.append(
                    f"{report.data.path}/wav.scp: one clip repeated is {count} of the {len(report.audio)} utterances "
                    f"({first_with[digest][0]}): is the table right?"
                )
        for kind, utterances_of in of_texts.items():
            own = [utterance for utterance in report.data.tables.get("text", {}) if utterance in utterances_of]
            if own:
                warnings.append(_warning(report.data, "text", own, kind))
    return warnings


def _warning(data: DataDir, table: str, utterances: Sequence[str], what: str) -> str:
    named = ", ".join(utterances[:NAMED]) + (", ..." if len(utterances) > NAMED else "")
    return f"{data.path}/{table}: {len(utterances)} utterances ({named}) {what}"


def _firsts(table: Mapping[str, str]) -> dict[str, str]:
    """Each value that is not empty to the first utterance that has it."""
    firsts: dict[str, str] = {}
    for utterance, value in table.items():
        if value:
            firsts.setdefault(value, utterance)
    return firsts


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
        A report for each directory, and warnings: a line for each kind and directory. Of the samples' kinds (clipping,
        silence, offset) there are none without `check_audio`, and then only one file under two names counts as the same
        audio.

    Raises:
        UserError: The first ten problems and a count of the rest; first those of the tables of all directories, then
            those of utterances.
    """
    paths = [Path(path) for path in paths]
    for path in paths:
        if paths.count(path) > 1:
            raise UserError(f"{path}: named twice: name each data directory once")
    problems = Problems()
    loaded = [load_data_dir(path, require_text, problems) for path in paths]
    # Until the tables are right, what the audio has to do with them can't be told.
    problems.raise_if_any()
    reports = [
        check_data_dir(data, sample_rate, min_samples, require_text=require_text, check_audio=check_audio, nj=nj)
        for data in loaded
    ]
    if not drop_bad:
        problems.lines += [line for report in reports for line in report.rejected.values()]
    kept = [report.data.subset(report.audio) for report in reports]
    for data in kept:
        if not data.wavs and drop_bad:
            problems.add(f"{data.path}/wav.scp: no utterance is left: every one was rejected")
    errors, warnings = check_overlap(kept, single_speaker)
    problems.lines += errors
    fixable = not drop_bad and any(report.rejected for report in reports)
    problems.raise_if_any("repair these, or say --drop_bad true to leave bad utterances out" if fixable else "")
    warnings += find_oddities(reports)
    for report, data in zip(reports, kept):
        data.tables["utt2num_samples"] = {utt: str(count) for utt, count in report.samples.items()}
        if report.rejected:
            write_lines(data.path / "rejected", (f"{utt} {why}" for utt, why in sorted(report.rejected.items())))
        data.write(data.path)
        facts = {data.wavs[utt]: checked.facts for utt, checked in report.audio.items() if checked.facts}
        if facts and facts != read_facts(data.path / "wav.scp"):
            # All audio has just been read: later stages only look whether it has changed since.
            keep_facts(data.path / "wav.scp", facts)
    return reports, warnings
