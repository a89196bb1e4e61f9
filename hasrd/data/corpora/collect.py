# Copyright 2026 The hasrd authors
# Apache-2.0
"""From the utterances of a corpus of any form to sets of clips: what is taken, what is left out, and the audio for it.

Nothing is written before `Collection.write`: what would be left out can be shown first.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Iterable, Mapping, NamedTuple, Sequence

import numpy as np

from hasrd.data.audio import AudioInfo, write_audio
from hasrd.data.corpora.common import Clip, Corpus, holds
from hasrd.data.corpora.recording import Recording, Utterance
from hasrd.data.problems import Problems
from hasrd.data.prompt_text import Unclear
from hasrd.data.resample import resample
from hasrd.data.text_normal import TextRules, normalize_text
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path
from hasrd.jobs.names import inside, name_problem
from hasrd.jobs.workers import run_workers
from hasrd.progress import progress

# Files of these formats are read where they are.
IN_PLACE = (".wav", ".flac")
# Headers that a process reads at a time.
BLOCK = 50
SETS = ("train", "valid", "test")
SPLITS = ("auto", "speaker", "text")
# More than any corpus says of itself; a smaller one would need a larger share.
FEWEST_SPEAKERS = 3


@dataclass(frozen=True)
class Rules:
    """What is taken of a corpus, and how.

    Attributes:
        sample_rate: Of the data directories, in Hz.
        audio_format: "flac" or "wav", of the audio that is written.
        min_seconds, max_seconds: Shorter and longer utterances are left out; 0: no bound.
        min_samples: Of one token.
        text: How transcripts are normalised; None: they are taken as they are.
        require_text: Leave out utterances without a transcript.
        drop_bad: Leave out what cannot be read, in place of an error.
        parts: Set to the parts of the corpus that make it; empty: the whole corpus is one pool.
        split: What two sets do not share where one is cut from another: "speaker", "text", or "auto": the first where
            there are several speakers.
        valid_share, test_share: Of the seconds that are cut, of train, or of the whole pool.
    """

    sample_rate: int = 16000
    audio_format: str = "flac"
    min_seconds: float = 0.0
    max_seconds: float = 30.0
    min_samples: int = 784
    text: TextRules | None = TextRules()
    require_text: bool = True
    drop_bad: bool = False
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    split: str = "auto"
    valid_share: float = 0.05
    test_share: float = 0.05


class Part(NamedTuple):
    """What of a recording goes into an utterance's file: from the sample `start` up to `stop`, one channel or all."""

    utterance: str
    path: str
    start: int
    stop: int
    channel: int | None


@dataclass
class Collection:
    """A corpus, and the audio that is still to be written for it: by recording, the utterances in it."""

    corpus: Corpus
    parts: dict[Recording, list[Part]]
    rules: Rules

    def write(self, out: str | Path, nj: int = 1) -> None:
        """Write the audio that is not there yet, then the data directories.

        Args:
            out: Folder of the data directories.
            nj: Processes.

        Raises:
            UserError: Audio that is damaged (with `drop_bad` it is left out), or no clip is left in a set.
        """
        make = functools.partial(functools.partial, _convert, self.rules.sample_rate)
        rows = list(self.parts.items())
        results = run_workers(make, rows, nj)
        problems = Problems()
        clips = {name: (found, clip) for found in self.corpus.sets.values() for name, clip in found.items()}
        for _, done in progress(results, len(rows), "writing audio", "recording") if rows else ():
            for utterance, (samples, problem) in done.items():
                found, clip = clips[utterance]
                if not problem:
                    found[utterance] = replace(clip, num_samples=samples)
                elif self.rules.drop_bad:
                    del found[utterance]
                    self.corpus.leave_out("-", utterance, problem)
                else:
                    problems.add(f"utterance '{utterance}': {problem}")
        problems.raise_if_any("repair these, or say --drop_bad true to leave them out")
        self.corpus.write(out)


def collect(
    utterances: Sequence[Utterance], problems: Problems, rules: Rules, audio_dir: str | Path, nj: int = 1
) -> Collection:
    """Look at all utterances of a corpus, and put them into sets.

    Args:
        utterances: Of the corpus.
        problems: What was wrong with its tables.
        rules: What is taken.
        audio_dir: Where the audio will lie that cannot be read where it is.
        nj: Processes that read headers.

    Raises:
        UserError: What is wrong with tables, and (without `drop_bad`) with audio: the first ten; an unknown part, a set
            that would be empty, shares that cannot be cut.
    """
    corpus = Corpus()
    if problems.lines and rules.drop_bad:
        for line in problems.lines:
            corpus.leave_out("-", line.split(": ", 1)[0], "a line of a table that is wrong")
        problems = Problems()
    utterances = _of_parts(utterances, rules)
    infos = _headers({utterance.recording for utterance in utterances}, nj)
    kinds: Counter[str] = Counter()
    parts: dict[Recording, list[Part]] = {}
    pool: dict[str, Clip] = {}
    of_part: dict[str, str] = {}
    for utterance in utterances:
        try:
            reason, clip, part = _clip(utterance, infos[utterance.recording], rules, Path(audio_dir), kinds)
            if not reason and utterance.name in pool:
                raise UserError(f"its name is that of {pool[utterance.name].path}, too: rename one of them")
        except UserError as error:
            if rules.drop_bad:
                corpus.leave_out(utterance.part or "-", utterance.name, _kind(str(error), utterance))
            else:
                problems.add(f"{utterance.where}: utterance '{utterance.name}': {error}")
            continue
        if reason or clip is None:
            corpus.leave_out(utterance.part or "-", utterance.name, reason)
            continue
        pool[utterance.name], of_part[utterance.name] = clip, utterance.part
        if part is not None:
            parts.setdefault(utterance.recording, []).append(part)
    problems.raise_if_any("nothing was written: repair these, or say --drop_bad true to leave them out")
    if not pool:
        reasons = Counter(reason for _, _, reason in corpus.left_out).most_common(3)
        said = "; ".join(f"{count}: {reason}" for reason, count in reasons)
        raise UserError(f"no utterance is left of {len(utterances)} ({said})")
    corpus.sets = _sets(pool, of_part, rules, corpus.notes)
    corpus.notes += [f"{count} {what}" for what, count in kinds.most_common()]
    return Collection(corpus, parts, rules)


def _of_parts(utterances: Sequence[Utterance], rules: Rules) -> list[Utterance]:
    names = sorted({utterance.part for utterance in utterances})
    wanted = [part for parts in rules.parts.values() for part in parts]
    for part in wanted:
        if part not in names:
            there = ", ".join(name or "(no name)" for name in names)
            raise UserError(f"part '{part}' is not in the corpus: it has {there[:300]}")
        if wanted.count(part) > 1:
            raise UserError(f"part '{part}' is named twice: a part belongs to one set")
    return [utterance for utterance in utterances if not wanted or utterance.part in wanted]


def _headers(recordings: Iterable[Recording], nj: int) -> dict[Recording, AudioInfo | str]:
    """Read the headers; text where it is no audio."""
    rows = list(recordings)
    found = run_workers(_header_reader, rows, nj, BLOCK)
    return dict(progress(found, len(rows), "reading headers", "recording"))


def _header_reader() -> Callable[[Recording], AudioInfo | str]:
    return _header


def _header(recording: Recording) -> AudioInfo | str:
    try:
        return recording.info()
    except UserError as error:
        return str(error)


def _clip(
    utterance: Utterance, info: AudioInfo | str, rules: Rules, audio_dir: Path, kinds: Counter[str]
) -> tuple[str, Clip | None, Part | None]:
    """Return why an utterance is left out, or its clip, and the audio to write where it cannot be read where it is.

    Raises:
        UserError: Something is wrong with it.
    """
    problem = name_problem(utterance.name)
    if problem:
        raise UserError(f"its name {problem}: rename it")
    if isinstance(info, str):
        raise UserError(info)
    start, stop = utterance.bounds(info)
    rate = rules.sample_rate
    samples = math.ceil((stop - start) * rate / info.sample_rate)
    if samples < rules.min_samples:
        return "shorter than one token", None, None
    if samples < rules.min_seconds * rate:
        return f"shorter than {rules.min_seconds:g} s", None, None
    if rules.max_seconds and samples > rules.max_seconds * rate:
        return f"longer than {rules.max_seconds:g} s", None, None
    if utterance.text is None and rules.require_text:
        return "no transcript", None, None
    text = (utterance.text or "").strip()
    if rules.text is not None and utterance.text is not None:
        try:
            text = normalize_text(text, rules.text, utterance.language)
        except Unclear as unclear:
            return f"transcript: {unclear}", None, None
        if any(character.isdecimal() for character in text):
            kinds["transcripts have digits: name the language (--lang), and they are said in words"] += 1
    elif not text and rules.require_text:
        return "no transcript", None, None
    if info.sample_rate != rate:
        kinds[f"are resampled from {info.sample_rate} Hz"] += 1
    if info.channels > 1:
        kinds["have several channels: " + ("their mean" if utterance.channel is None else "one") + " is taken"] += 1
    in_place = (info.sample_rate, info.channels) == (rate, 1) and utterance.whole and utterance.recording.path
    path = utterance.recording.path
    part = None
    if not (in_place and path.lower().endswith(IN_PLACE)):
        path = str(inside(audio_dir, utterance.name, f".{rules.audio_format}"))
        part = Part(utterance.name, path, start, stop, utterance.channel)
    speaker = utterance.speaker or utterance.name
    return "", Clip(path, text, speaker, samples, utterance.language), part


def _kind(problem: str, utterance: Utterance) -> str:
    """A problem without the names in it, so that many of a kind are counted as one."""
    return problem.replace(f"{utterance.recording.name}: ", "")


def _convert(rate: int, row: tuple[Recording, list[Part]]) -> dict[str, tuple[int, str]]:
    """Write the audio of the utterances in a recording, at `rate` Hz: to samples, or what is wrong."""
    recording, parts = row
    try:
        wave, own_rate = recording.read()
    except UserError as error:
        return {part.utterance: (0, str(error)) for part in parts}
    done = {}
    for part in parts:
        cut = wave[part.start : part.stop]
        mono = cut.mean(axis=1) if part.channel is None else cut[:, part.channel]
        found = resample(np.ascontiguousarray(mono), own_rate, rate)
        # A louder sum of filters is made to fit, as 16 bit would clip it.
        peak = float(np.abs(found).max(initial=0.0))
        samples = np.rint(found / max(1.0, peak) * 32767).astype(np.int16)
        path = Path(part.path)
        if not holds(path, samples):
            with atomic_path(path) as temporary:
                write_audio(temporary, samples, rate)
        done[part.utterance] = (len(samples), "")
    return done


def _sets(pool: dict[str, Clip], of_part: dict[str, str], rules: Rules, notes: list[str]) -> dict[str, dict[str, Clip]]:
    sets: dict[str, dict[str, Clip]] = {}
    if rules.parts:
        for name, parts in rules.parts.items():
            sets[name] = {utterance: clip for utterance, clip in pool.items() if of_part[utterance] in parts}
    else:
        sets["train"] = pool
    for name, clips in sets.items():
        if not clips:
            raise UserError(f"set '{name}': no utterance of its parts is left: see why with another --min_wav_duration")
    shares = {"valid": rules.valid_share, "test": rules.test_share}
    missing = {name: share for name, share in shares.items() if name not in sets and share > 0}
    if "train" not in sets or not missing:
        return sets
    speakers = {clip.speaker for clip in sets["train"].values()}
    by = rules.split
    if by == "auto":
        by = "speaker" if len(speakers) >= FEWEST_SPEAKERS else "text"
    total = sum(clip.num_samples for clip in sets["train"].values())
    cut: dict[str, dict[str, Clip]] = {}
    for name, share in missing.items():
        cut[name] = cut_groups(sets["train"], share * total, by)
        sets["train"] = {utterance: clip for utterance, clip in sets["train"].items() if utterance not in cut[name]}
    notes.append(f"{' and '.join(cut)} are cut from train by {by}: no {by} is in two sets")
    if by == "text" and len(speakers) < len(pool):
        notes.append("the same voices are in all sets: add --single_speaker true to run.sh")
    # The order of the sets is that of SETS.
    found = {**sets, **cut}
    return {name: found[name] for name in [*SETS, *found] if name in found}


def cut_groups(clips: Mapping[str, Clip], wanted: float, by: str) -> dict[str, Clip]:
    """Whole groups of clips with about `wanted` samples, the same at every call.

    Groups come in the order of a hash of their names, so that another corpus beside this one changes nothing. One that
    would go past the samples is passed over; where all do, the smallest is taken.

    Args:
        clips: By utterance.
        wanted: How many samples.
        by: "speaker", or "text": clips of one transcript are a group, one without a transcript is alone.

    Raises:
        UserError: There is but one group.
    """
    samples: dict[str, int] = {}
    group = {name: clip.speaker if by == "speaker" else clip.text or name for name, clip in clips.items()}
    for name, clip in clips.items():
        samples[group[name]] = samples.get(group[name], 0) + clip.num_samples
    if len(samples) < 2:
        other = "text" if by == "speaker" else "speaker"
        raise UserError(
            f"--split {by}: all utterances that are left have one {by}, so none can be cut off for another set: say "
            f"--split {other}, or name the parts of each set (--train, --valid, --test)"
        )
    chosen: set[str] = set()
    taken = 0.0
    for name in sorted(samples, key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
        if taken + samples[name] <= 1.1 * wanted and len(chosen) < len(samples) - 1:
            chosen.add(name)
            taken += samples[name]
    if not chosen:
        chosen = {min(samples, key=lambda name: (samples[name], name))}
    return {name: clip for name, clip in clips.items() if group[name] in chosen}
