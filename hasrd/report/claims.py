# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the numbers say about the claims that a tokenizer of this kind makes: each holds, does not hold, or is
missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Mapping, Sequence

from hasrd.codec.streams import VOICE, is_split, word_streams
from hasrd.report.collect import Results
from hasrd.report.paper import row_key
from hasrd.report.paper_tables import find_probe
from hasrd.report.streams import DEFAULT, decoded_from, streams_of
from hasrd.report.tables import RECONSTRUCTION, one

# Masked accuracy against always answering the most frequent target.
TIMES_MOST_FREQUENT = 1.5
_SIMILARITIES = ("ecapa_similarity", "speaker_similarity")
# Stream to the measure by which its codebook is claimed to be the best, what that says, and of which others.
_SAYS = {
    "semantic": ("pnmi", "says more about phones", "any acoustic one"),
    "phonetic": ("pnmi", "says more about phones", "any other one"),
    "lexical": ("word_f1", "detects words better", "any other one"),
}
_NAMES = {"pnmi": "PNMI", "word_f1": "word F1"}
# What HAC is without its losses.
_UNTAUGHT = {"hac": "hac_no_loss"}
# A loss still tells probes apart whose words are all wrong.
_READING = ("ctc_loss", "wer")


Judge = Callable[[Results, str, str], "Claim"]


@dataclass(frozen=True)
class Claim:
    """A claim, the set that it is about, what was measured, and whether it holds (None: a score is missing)."""

    text: str
    test_set: str
    evidence: str
    holds: bool | None

    @property
    def verdict(self) -> str:
        """"holds", "does not hold" or "missing"."""
        return {True: "holds", False: "does not hold", None: "missing"}[self.holds]


def claims(
    results: Results, test_sets: Sequence[str], only_codecs: bool = False, single_speaker: bool = False
) -> list[Claim]:
    """Judge the claims on every set that was scored.

    Args:
        test_sets: Shown as missing where nothing was scored.
        only_codecs: Leave out those on encoders and probes.
        single_speaker: Leave out those on voices.
    """
    found = []
    if not only_codecs:
        for test_set in results.test_sets(["masked_accuracy"]) or test_sets[:1]:
            found.append(_masked(results, test_set))
    codecs = results.experiments(RECONSTRUCTION[:3]) or [""]
    for test_set in results.test_sets(RECONSTRUCTION) or test_sets:
        streams = {name: streams_of(results, test_set, name) for name in codecs}
        # Where no bitrate says the streams, the claims are missing, but not those of every codec.
        split = {name: own for name, own in streams.items() if is_split(own)}
        split = split or {name: DEFAULT for name in [name for name in codecs if not streams[name]][:1]}
        found += [_named(_reconstruction, results, test_set, name, codecs) for name in codecs]
        of_streams = [_says_most, *([] if single_speaker else [_voice]), *([] if only_codecs else [_words, _combined])]
        judges: list[tuple[Judge, str]] = []
        for judge in of_streams:
            judges += [(partial(judge, stream), name) for name, own in split.items() for stream in _claimed(judge, own)]
            if judge is _voice:
                judges += [(_conversion, name) for name in split]
        found += [_named(judge, results, test_set, name, codecs) for judge, name in judges]
        found += _taught(results, test_set)
    if not only_codecs:
        for test_set in results.test_sets(["ctc_loss"]) or test_sets:
            shuffled = results.find("ctc_loss", test_set, "latent_shuffled")
            readers = sorted({item.experiment for item in shuffled}) or [""]
            found += [_named(_order, results, test_set, name, readers) for name in readers]
    return found


def _claimed(judge: Callable[..., Claim], streams: Sequence[str]) -> list[str]:
    """Return the streams of words that `judge` has a claim on."""
    return [stream for stream in word_streams(streams) if judge is not _says_most or stream in _SAYS]


def _named(
    judge: Judge, results: Results, test_set: str, name: str, all_names: Sequence[str]
) -> Claim:
    claim = judge(results, test_set, name)
    if len(all_names) < 2:
        return claim
    text = f"{name}: {claim.text[0].lower()}{claim.text[1:]}"
    return Claim(text, claim.test_set, claim.evidence, claim.holds)


def _masked(results: Results, test_set: str) -> Claim:
    text = (
        f"The encoder predicts masked tokens at least {TIMES_MOST_FREQUENT} times as well as "
        "always answering the most frequent one"
    )
    score = one(results.find("masked_accuracy", test_set))
    if score is None:
        return Claim(text, test_set, "", None)
    control = score.details["most_frequent"]["mean"]
    times = score.details["times_most_frequent"]["mean"]
    return Claim(text, test_set, f"{score.mean:.1f}% against {control:.1f}%", times >= TIMES_MOST_FREQUENT)


def _reconstruction(results: Results, test_set: str, experiment: str) -> Claim:
    text = "All streams together come closer to the original than any control (mel distance)"
    rows = decoded_from(results, test_set, experiment)
    scores = {system: one(results.find("mel", test_set, system, experiment)) for system in rows}
    scores["mean_spectrum"] = one(results.find("mean_spectrum", test_set))
    if any(score is None for score in scores.values()):
        missing = [rows[system].lower() for system, score in scores.items() if score is None]
        return Claim(text, test_set, f"no score of: {'; '.join(missing)}", None)
    combined = scores.pop("combined")
    nearest = min(scores, key=lambda system: scores[system].mean)
    name = rows[nearest].lower()
    evidence = f"{combined.mean:.2f}; nearest control {scores[nearest].mean:.2f} ({name})"
    return Claim(text, test_set, evidence, combined.mean < scores[nearest].mean)


def _voice(stream: str, results: Results, test_set: str, experiment: str) -> Claim:
    text = f"The {stream} stream alone keeps less of the voice than the acoustic ones alone"
    for measure in _SIMILARITIES:
        own, acoustic = (one(results.find(measure, test_set, of, experiment)) for of in (stream, VOICE))
        if own is not None and acoustic is not None:
            evidence = f"{own.label.lower()} {own.mean:.2f} against {acoustic.mean:.2f}"
            combined = one(results.find(measure, test_set, "combined", experiment))
            if combined is not None:
                evidence += f", all streams {combined.mean:.2f}"
            paper = "; the paper .15, .67, .92" if measure == _SIMILARITIES[0] and stream in DEFAULT else ""
            near = _near(own.ci95, acoustic.ci95)
            return Claim(text, test_set, evidence + paper + near, own.mean < acoustic.mean and not near)
    return Claim(text, test_set, "", None)


def _words(stream: str, results: Results, test_set: str, experiment: str) -> Claim:
    text = f"A probe reads the {stream} tokens better than the acoustic ones"
    return _read_better(results, test_set, experiment, text, stream, VOICE, "21.0 against 70.2")


def _combined(stream: str, results: Results, test_set: str, experiment: str) -> Claim:
    text = f"A probe reads the {stream} tokens alone better than all tokens together"
    return _read_better(results, test_set, experiment, text, stream, "all", "21.0 against 24.2")


def _read_better(
    results: Results, test_set: str, experiment: str, text: str, stream: str, other: str, paper: str
) -> Claim:
    """Compare a stream's tokens with `other` ones by the first measure that both have; show all that both have."""
    verdicts, evidence = [], []
    for measure in _READING:
        systems = (f"tokens_{stream}", f"tokens_{other}")
        pair = [one(find_probe(results, measure, test_set, system, experiment)) for system in systems]
        if None not in pair:
            own, control = pair
            near = _near(own.ci95, control.ci95)
            verdicts.append(own.mean < control.mean and not near)
            digits = 1 if measure == "wer" else 2
            paper_wer = f"; the paper {paper}" if measure == "wer" and stream in DEFAULT else ""
            evidence.append(
                f"{own.label} {own.mean:.{digits}f} against {control.mean:.{digits}f}{paper_wer}{near}"
            )
    return Claim(text, test_set, ", ".join(evidence), verdicts[0] if verdicts else None)


def _conversion(results: Results, test_set: str, experiment: str) -> Claim:
    text = "Conversion brings the voice closer to the target's"
    converted = one(results.find("target_similarity", test_set, "conversion", experiment))
    before = one(results.find("target_similarity", test_set, "combined", experiment))
    source = one(results.find("source_similarity", test_set, "conversion", experiment))
    if converted is not None and before is not None:
        evidence = f"similarity to the target {converted.mean:.2f}, not converted {before.mean:.2f}"
        near = _near(converted.ci95, before.ci95)
        return Claim(text, test_set, evidence + near, converted.mean > before.mean and not near)
    if converted is not None and "between_source_and_target" in converted.details:
        recorded = converted.details["between_source_and_target"]
        evidence = f"similarity to the target {converted.mean:.2f}, of the source's recording {recorded:.2f}"
        return Claim(text, test_set, evidence, converted.mean > recorded)
    if converted is None or source is None:
        return Claim(text, test_set, "", None)
    text = "Converted speech is nearer to the target's voice than to the source's"
    evidence = f"{converted.mean:.2f} against {source.mean:.2f}"
    near = _near(converted.ci95, source.ci95)
    return Claim(text, test_set, evidence + near, converted.mean > source.mean and not near)


def _says_most(stream: str, results: Results, test_set: str, experiment: str) -> Claim:
    measure, does, others = _SAYS[stream]
    text = f"The {stream} codebook {does} than when it is shuffled, and than {others} ({_NAMES[measure]})"
    score = one(results.find(measure, test_set, experiment=experiment))
    books = score.details["codebooks"] if score else []
    own = next((book for book in books if book["stream"] == stream), None)
    rivals = [book for book in books if book["stream"] == VOICE or (stream not in DEFAULT and book["stream"] != stream)]
    if own is None or not any(book["stream"] == VOICE for book in rivals):
        return Claim(text, test_set, "", None)
    best = max(rivals, key=lambda book: book["value"])
    evidence = f"{own['value']:.3f}; shuffled {own['shuffled']:.3f}; best {best['stream']} {best['value']:.3f}"
    if own["size"] != best["size"]:
        evidence += f" (of {best['size']} entries, the {stream} one of {own['size']}: more say more)"
    # Words may have been scored for the first codebooks alone.
    if len(books) < len(score.details.get("codebook_sizes", books)):
        return Claim(text, test_set, f"{evidence}; the other codebooks were not scored", None)
    near = _near(_interval(own), _interval(best)) or ("; shuffled within the interval" if _by_chance(own) else "")
    return Claim(text, test_set, evidence + near, own["value"] > max(own["shuffled"], best["value"]) and not near)


def _taught(results: Results, test_set: str) -> list[Claim]:
    """Compare each level of HAC with the same codebook of a codec that was trained without the losses."""
    found = []
    keys = {row_key(name): name for name in results.experiments(_NAMES)}
    for key, other in _UNTAUGHT.items():
        pair = [keys.get(key, ""), keys.get(other, "")]
        for stream, (measure, does, _) in _SAYS.items():
            scores = [one(results.find(measure, test_set, experiment=name)) for name in pair]
            books = [
                next((book for book in score.details["codebooks"] if book["stream"] == stream), None) if score else None
                for score in scores
            ]
            if None in books:
                continue
            own, control = books
            text = f"{pair[0]}: the {stream} codebook {does} than without the losses ({_NAMES[measure]})"
            evidence = f"{own['value']:.3f} against {control['value']:.3f} of {pair[1]}"
            if own["size"] != control["size"]:
                evidence += f" ({own['size']} and {control['size']} entries: more say more)"
            near = _near(_interval(own), _interval(control))
            found.append(Claim(text, test_set, evidence + near, own["value"] > control["value"] and not near))
    return found


def _interval(book: Mapping[str, Any]) -> Sequence[float]:
    return book.get("ci95") or (book["value"], book["value"])


def _by_chance(book: Mapping[str, Any]) -> bool:
    low, high = _interval(book)
    return low <= book["shuffled"] <= high


def _order(results: Results, test_set: str, experiment: str) -> Claim:
    text = "A probe reads latents in order better than the same latents shuffled in time (CTC loss)"
    straight = one(find_probe(results, "ctc_loss", test_set, "latent", experiment))
    shuffled = one(find_probe(results, "ctc_loss", test_set, "latent_shuffled", experiment))
    if straight is None or shuffled is None:
        return Claim(text, test_set, "", None)
    evidence = f"{straight.mean:.2f} against {shuffled.mean:.2f}"
    return Claim(text, test_set, evidence, straight.mean < shuffled.mean)


def _near(first: Sequence[float], other: Sequence[float]) -> str:
    """Say so where two intervals overlap: the difference may be chance, and no claim holds by it."""
    return "; intervals overlap" if first[0] <= other[1] and other[0] <= first[1] else ""
