# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the numbers say about the claims that a tokenizer of this kind makes.

A claim holds where the numbers are in its order and either their 95% intervals do not overlap or the paired bootstrap
over the utterances tells them apart (p < 0.05, not corrected for the number of claims). A codec that comes no closer to
the originals than a constant mean spectrum has learned nothing that claims could be about: none is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Callable, Container, Mapping, Sequence

from hasrd.codec.streams import VOICE, is_split, word_streams
from hasrd.errors import UserError
from hasrd.metrics.paired import MIN_UTTERANCES
from hasrd.report.collect import Found, Results
from hasrd.report.compare import LEVEL, Different, paired
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


HOLDS, IN_ORDER, FAILS, MISSING = "holds", "in order, not separated", "does not hold", "missing"

Judge = Callable[[Results, str, str], "Claim"]


@dataclass(frozen=True)
class Claim:
    """A claim, the set that it is about, what was measured, and the verdict: one of the four above."""

    text: str
    test_set: str
    evidence: str = ""
    verdict: str = MISSING


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
    all_codecs = results.experiments(RECONSTRUCTION[:3]) or [""]
    for test_set in results.test_sets(RECONSTRUCTION) or test_sets:
        failed = {name: claim for name in all_codecs if (claim := _learned_nothing(results, test_set, name))}
        found += [_named(lambda *_, claim=failed[name]: claim, results, test_set, name, all_codecs) for name in failed]
        codecs = [name for name in all_codecs if name not in failed]
        streams = {name: streams_of(results, test_set, name) for name in codecs}
        # Where no bitrate says the streams, the claims are missing, but not those of every codec.
        split = {name: own for name, own in streams.items() if is_split(own)}
        split = split or {name: DEFAULT for name in [name for name in codecs if not streams[name]][:1]}
        found += [_named(_reconstruction, results, test_set, name, all_codecs) for name in codecs]
        of_streams = [_says_most, *([] if single_speaker else [_voice]), *([] if only_codecs else [_words, _combined])]
        judges: list[tuple[Judge, str]] = []
        for judge in of_streams:
            judges += [(partial(judge, stream), name) for name, own in split.items() for stream in _claimed(judge, own)]
            if judge is _voice:
                judges += [(_conversion, name) for name in split]
        found += [_named(judge, results, test_set, name, all_codecs) for judge, name in judges]
        found += _taught(results, test_set, failed)
    if not only_codecs:
        for test_set in results.test_sets(["ctc_loss"]) or test_sets:
            shuffled = results.find("ctc_loss", test_set, "latent_shuffled")
            readers = sorted({item.experiment for item in shuffled}) or [""]
            claiming = [name for name in readers if not _learned_nothing(results, test_set, name)]
            found += [_named(_order, results, test_set, name, readers) for name in claiming]
    return found


def _claimed(judge: Callable[..., Claim], streams: Sequence[str]) -> list[str]:
    """Return the streams of words that `judge` has a claim on."""
    return [stream for stream in word_streams(streams) if judge is not _says_most or stream in _SAYS]


def _named(judge: Judge, results: Results, test_set: str, name: str, all_names: Sequence[str]) -> Claim:
    claim = judge(results, test_set, name)
    if len(all_names) < 2:
        return claim
    return replace(claim, text=f"{name}: {claim.text[0].lower()}{claim.text[1:]}")


def _verdict(in_order: bool, separated: bool) -> str:
    if not in_order:
        return FAILS
    return HOLDS if separated else IN_ORDER


def _first(found: Sequence[Found]) -> Found | None:
    return found[0] if found else None


def _below(low: Found, high: Found) -> tuple[str, str]:
    """Judge that one score is below another.

    Returns:
        The verdict, and what to say of the intervals: "" where they are apart.
    """
    in_order = low.score.mean < high.score.mean
    if _apart(low.score.ci95, high.score.ci95):
        return _verdict(in_order, True), ""
    try:
        test = paired((low.path, high.path))
    except (Different, UserError):
        # Of other utterances, or without a table of them.
        return _verdict(in_order, False), "; intervals overlap"
    if test.count < MIN_UTTERANCES:
        return _verdict(in_order, False), "; intervals overlap, and too few utterances for a paired test"
    p = f"p = {test.p:.2g}" if test.p >= 0.001 else "p < 0.001"
    return _verdict(in_order, test.p < LEVEL), f"; intervals overlap, paired {p}"


def _masked(results: Results, test_set: str) -> Claim:
    text = (
        f"The encoder predicts masked tokens at least {TIMES_MOST_FREQUENT} times as well as "
        "always answering the most frequent one"
    )
    score = one(results.find("masked_accuracy", test_set))
    if score is None:
        return Claim(text, test_set)
    control = score.details["most_frequent"]["mean"]
    times = score.details["times_most_frequent"]
    verdict = _verdict(times["mean"] >= TIMES_MOST_FREQUENT, times["ci95"][0] >= TIMES_MOST_FREQUENT)
    return Claim(text, test_set, f"{score.mean:.1f}% against {control:.1f}%, {times['mean']:.2f} times", verdict)


def _learned_nothing(results: Results, test_set: str, experiment: str) -> Claim | None:
    """Return the one thing to say of a codec that a constant mean spectrum is nearer to the originals than."""
    combined = one(results.find("mel", test_set, "combined", experiment))
    control = one(results.find("mean_spectrum", test_set))
    if combined is None or control is None or combined.mean <= control.mean:
        return None
    evidence = f"mel distance {combined.mean:.2f} against {control.mean:.2f}; no other claim is made of this codec"
    return Claim("Decoded speech is closer to the original than a constant mean spectrum", test_set, evidence, FAILS)


def _reconstruction(results: Results, test_set: str, experiment: str) -> Claim:
    text = "All streams together come closer to the original than any control (mel distance)"
    rows = decoded_from(results, test_set, experiment)
    scores = {system: _first(results.find("mel", test_set, system, experiment)) for system in rows}
    scores["mean_spectrum"] = _first(results.find("mean_spectrum", test_set))
    missing = [rows[system].lower() for system, found in scores.items() if found is None]
    if missing:
        return Claim(text, test_set, f"no score of: {'; '.join(missing)}")
    combined = scores.pop("combined")
    nearest = min(scores, key=lambda system: scores[system].score.mean)
    verdict, near = _below(combined, scores[nearest])
    evidence = f"{combined.score.mean:.2f}; nearest control {scores[nearest].score.mean:.2f} ({rows[nearest].lower()})"
    return Claim(text, test_set, evidence + near, verdict)


def _voice(stream: str, results: Results, test_set: str, experiment: str) -> Claim:
    text = f"The {stream} stream alone keeps less of the voice than the acoustic ones alone"
    for measure in _SIMILARITIES:
        own, acoustic = (_first(results.find(measure, test_set, of, experiment)) for of in (stream, VOICE))
        if own is not None and acoustic is not None:
            evidence = f"{own.score.label.lower()} {own.score.mean:.2f} against {acoustic.score.mean:.2f}"
            combined = one(results.find(measure, test_set, "combined", experiment))
            if combined is not None:
                evidence += f", all streams {combined.mean:.2f}"
            paper = "; the paper .15, .67, .92" if measure == _SIMILARITIES[0] and stream in DEFAULT else ""
            verdict, near = _below(own, acoustic)
            return Claim(text, test_set, evidence + paper + near, verdict)
    return Claim(text, test_set)


def _words(stream: str, results: Results, test_set: str, experiment: str) -> Claim:
    text = f"A probe reads the {stream} tokens better than the acoustic ones"
    return _read_better(results, test_set, experiment, text, stream, VOICE, "21.0 against 70.2")


def _combined(stream: str, results: Results, test_set: str, experiment: str) -> Claim:
    text = f"A probe reads the {stream} tokens alone better than all tokens together"
    return _read_better(results, test_set, experiment, text, stream, "all", "21.0 against 24.2")


def _read_better(
    results: Results, test_set: str, experiment: str, text: str, stream: str, other: str, paper: str
) -> Claim:
    """Judge a stream's tokens against `other` ones by the first measure that both have, and name it; show the rest."""
    verdicts, evidence, labels = [], [], []
    for measure in _READING:
        systems = (f"tokens_{stream}", f"tokens_{other}")
        pair = [_first(find_probe(results, measure, test_set, system, experiment)) for system in systems]
        if None not in pair:
            own, control = pair
            verdict, near = _below(own, control)
            verdicts.append(verdict)
            own, control = own.score, control.score
            labels.append(own.label)
            digits = 1 if measure == "wer" else 2
            paper_wer = f"; the paper {paper}" if measure == "wer" and stream in DEFAULT else ""
            evidence.append(f"{own.label} {own.mean:.{digits}f} against {control.mean:.{digits}f}{paper_wer}{near}")
    if not verdicts:
        return Claim(text, test_set)
    return Claim(f"{text} ({labels[0]})", test_set, ". Beside it, ".join(evidence), verdicts[0])


def _conversion(results: Results, test_set: str, experiment: str) -> Claim:
    text = "Conversion brings the voice closer to the target's"
    converted = _first(results.find("target_similarity", test_set, "conversion", experiment))
    before = _first(results.find("target_similarity", test_set, "combined", experiment))
    source = _first(results.find("source_similarity", test_set, "conversion", experiment))
    if converted is None:
        return Claim(text, test_set)
    value = converted.score.mean
    if before is not None:
        verdict, near = _below(before, converted)
        evidence = f"similarity to the target {value:.2f}, not converted {before.score.mean:.2f}"
        return Claim(text, test_set, evidence + near, verdict)
    recorded = converted.score.details.get("between_source_and_target")
    if recorded is not None:
        evidence = f"similarity to the target {value:.2f}, of the source's recording {recorded:.2f}"
        return Claim(text, test_set, evidence, _verdict(value > recorded, converted.score.ci95[0] > recorded))
    if source is None:
        return Claim(text, test_set)
    text = "Converted speech is nearer to the target's voice than to the source's"
    verdict, near = _below(source, converted)
    return Claim(text, test_set, f"{value:.2f} against {source.score.mean:.2f}{near}", verdict)


def _says_most(stream: str, results: Results, test_set: str, experiment: str) -> Claim:
    measure, does, others = _SAYS[stream]
    text = f"The {stream} codebook {does} than when it is shuffled, and than {others} ({_NAMES[measure]})"
    score = one(results.find(measure, test_set, experiment=experiment))
    books = score.details["codebooks"] if score else []
    own = next((book for book in books if book["stream"] == stream), None)
    rivals = [book for book in books if book["stream"] == VOICE or (stream not in DEFAULT and book["stream"] != stream)]
    if own is None or not any(book["stream"] == VOICE for book in rivals):
        return Claim(text, test_set)
    best = max(rivals, key=lambda book: book["value"])
    evidence = f"{own['value']:.3f}; shuffled {own['shuffled']:.3f}; best {best['stream']} {best['value']:.3f}"
    if own["size"] != best["size"]:
        evidence += f" (of {best['size']} entries, the {stream} one of {own['size']}: more say more)"
    # Words may have been scored for the first codebooks alone.
    if len(books) < len(score.details.get("codebook_sizes", books)):
        return Claim(text, test_set, f"{evidence}; the other codebooks were not scored")
    near = _near(_interval(own), _interval(best)) or ("; shuffled within the interval" if _by_chance(own) else "")
    verdict = _verdict(own["value"] > max(own["shuffled"], best["value"]), not near)
    return Claim(text, test_set, evidence + near, verdict)


def _taught(results: Results, test_set: str, left_out: Container[str]) -> list[Claim]:
    """Compare each level of HAC with the same codebook of a codec that was trained without the losses."""
    found = []
    keys = {row_key(name): name for name in results.experiments(_NAMES)}
    for key, other in _UNTAUGHT.items():
        pair = [keys.get(key, ""), keys.get(other, "")]
        if any(name in left_out for name in pair):
            continue
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
            found.append(Claim(text, test_set, evidence + near, _verdict(own["value"] > control["value"], not near)))
    return found


def _interval(book: Mapping[str, Any]) -> Sequence[float]:
    return book.get("ci95") or (book["value"], book["value"])


def _by_chance(book: Mapping[str, Any]) -> bool:
    low, high = _interval(book)
    return low <= book["shuffled"] <= high


def _order(results: Results, test_set: str, experiment: str) -> Claim:
    text = "A probe reads latents in order better than the same latents shuffled in time (CTC loss)"
    systems = ("latent", "latent_shuffled")
    pair = [_first(find_probe(results, "ctc_loss", test_set, system, experiment)) for system in systems]
    if None in pair:
        return Claim(text, test_set)
    verdict, near = _below(*pair)
    return Claim(text, test_set, f"{pair[0].score.mean:.2f} against {pair[1].score.mean:.2f}{near}", verdict)


def _apart(first: Sequence[float], other: Sequence[float]) -> bool:
    return first[1] < other[0] or other[1] < first[0]


def _near(first: Sequence[float], other: Sequence[float]) -> str:
    """Say so where two intervals overlap: the difference may be chance, and no claim holds by it."""
    return "" if _apart(first, other) else "; intervals overlap"
