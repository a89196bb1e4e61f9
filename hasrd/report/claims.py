# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the numbers say about the claims that a tokenizer of this kind makes.

A claim holds where the numbers are in its order and either their 95% intervals do not overlap or the paired bootstrap
over the utterances tells them apart (p < 0.05, not corrected for the number of claims). A codec that comes no closer to
the originals than a constant mean spectrum has learned nothing that claims could be about: none is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from hasrd.codec.streams import ACOUSTIC, is_split, word_streams
from hasrd.errors import UserError
from hasrd.metrics.paired import MIN_UTTERANCES
from hasrd.report.collect import MEAN_SPECTRUM, RECONSTRUCTION, Results, ScoreRow
from hasrd.report.compare import LEVEL, Different, paired
from hasrd.report.specification import row_key, table_specs
from hasrd.report.streams import HASRD_STREAMS, decoded_from, streams_of

# Masked accuracy against always answering the most frequent target.
TIMES_MOST_FREQUENT = 1.5
_SIMILARITIES = ("ecapa_similarity", "speaker_similarity")
# A loss still tells probes apart whose words are all wrong.
_READING = ("ctc_loss", "wer")
# Tokens that those of a stream of words should be read better than, and how a claim says it.
_READ_BETTER = {ACOUSTIC: "better than the acoustic ones", "all": "alone better than all tokens together"}
# Of a stream whose codebook should be the best by a measure: the measure, its name, what that says, of which others.
_BEST_BY = {
    "semantic": ("pnmi", "PNMI", "says more about phones", "any acoustic one"),
    "phonetic": ("pnmi", "PNMI", "says more about phones", "any other one"),
    "lexical": ("word_f1", "word F1", "detects words better", "any other one"),
}
# Names in the papers' tables of a codec with losses on its levels, and of the same without.
_WITH_LOSSES, _WITHOUT_LOSSES = "hac", "hac_no_loss"

HOLDS, IN_ORDER, FAILS, MISSING = "holds", "in order, not separated", "does not hold", "missing"


@dataclass(frozen=True)
class Claim:
    """A claim, the set that it is about, what was measured, and the verdict: one of the four above."""

    text: str
    test_set: str
    evidence: str = ""
    verdict: str = MISSING


def claims(
    results: Results,
    test_sets: Sequence[str],
    only_codecs: bool = False,
    single_speaker: bool = False,
    all_rows: bool = False,
) -> list[Claim]:
    """Judge the claims on every set that was scored.

    Args:
        test_sets: Shown as missing where nothing was scored and all are shown.
        only_codecs: Leave out those on encoders and probes.
        single_speaker: Leave out those on voices.
        all_rows: Show those, too, whose measures were not taken.
    """
    found = [] if only_codecs else _on_encoders(results, test_sets)
    names = results.experiments(RECONSTRUCTION) or [""]
    for test_set in results.test_sets((*RECONSTRUCTION, MEAN_SPECTRUM)) or test_sets:
        codecs = [_Experiment(results, test_set, name, len(names) > 1) for name in names]
        found += _on_codecs(codecs, only_codecs, single_speaker)
    if not only_codecs:
        found += _on_latents(results, test_sets)
    return [claim for claim in found if all_rows or claim.verdict != MISSING]


@dataclass(frozen=True, eq=False)
class _Experiment:
    """An experiment on one set, whose claims begin with its name where there are several."""

    results: Results
    test_set: str
    name: str
    is_one_of_several: bool

    def claim(self, text: str, evidence: str = "", verdict: str = MISSING) -> Claim:
        start = f"{self.name}: {text[0].lower()}" if self.is_one_of_several else text[0]
        return Claim(start + text[1:], self.test_set, evidence, verdict)

    def score(self, measure: str, system: str | None = None) -> ScoreRow | None:
        return self.results.first(measure, self.test_set, system, self.name)

    def probe(self, measure: str, system: str) -> ScoreRow | None:
        return next(iter(self.results.find_probe(measure, self.test_set, system, self.name)), None)

    def codebooks(self, measure: str) -> list[dict[str, Any]]:
        found = self.score(measure)
        return found.score.details["codebooks"] if found else []

    def codebook(self, measure: str, stream: str) -> dict[str, Any] | None:
        """Return the first codebook of a stream."""
        return next((book for book in self.codebooks(measure) if book["stream"] == stream), None)

    def streams(self) -> list[str]:
        return streams_of(self.results, self.test_set, self.name)


def _on_encoders(results: Results, test_sets: Sequence[str]) -> list[Claim]:
    text = (
        f"The encoder predicts masked tokens at least {TIMES_MOST_FREQUENT} times as well as "
        "always answering the most frequent one"
    )
    found = []
    for test_set in results.test_sets(["masked_accuracy"]) or test_sets[:1]:
        accuracy = results.first("masked_accuracy", test_set)
        if accuracy is None:
            found.append(Claim(text, test_set))
            continue
        control, times = (accuracy.score.details[name] for name in ("most_frequent", "times_most_frequent"))
        evidence = f"{accuracy.score.mean:.1f}% against {control['mean']:.1f}%, {times['mean']:.2f} times"
        verdict = _verdict(times["mean"] >= TIMES_MOST_FREQUENT, times["ci95"][0] >= TIMES_MOST_FREQUENT)
        found.append(Claim(text, test_set, evidence, verdict))
    return found


def _on_latents(results: Results, test_sets: Sequence[str]) -> list[Claim]:
    text = "A probe reads latents in order better than the same latents shuffled in time (CTC loss)"
    found = []
    for test_set in results.test_sets(["ctc_loss"]) or test_sets:
        names = results.experiments(["ctc_loss"], test_set, ["latent_shuffled"]) or [""]
        for name in names:
            experiment = _Experiment(results, test_set, name, len(names) > 1)
            pair = [experiment.probe("ctc_loss", system) for system in ("latent", "latent_shuffled")]
            if _behind_a_constant(experiment):
                continue
            found.append(experiment.claim(text, *([] if None in pair else _against(*pair))))
    return found


def _on_codecs(codecs: Sequence[_Experiment], only_codecs: bool, single_speaker: bool) -> list[Claim]:
    """Judge the claims on the codecs of a set."""
    found = [claim for claim in map(_behind_a_constant, codecs) if claim]
    codecs = [codec for codec in codecs if _behind_a_constant(codec) is None]
    found += [_reconstruction(codec) for codec in codecs]
    streams = {codec: codec.streams() for codec in codecs}
    # Where no bitrate says the streams, the claims are missing, but not those of every codec.
    unknown = {codec: HASRD_STREAMS for codec in [codec for codec in codecs if not streams[codec]][:1]}
    split = {codec: own for codec, own in streams.items() if is_split(own)} or unknown
    words = [(codec, stream) for codec, own in split.items() for stream in word_streams(own)]
    found += [_best_codebook(codec, stream) for codec, stream in words if stream in _BEST_BY]
    if not single_speaker:
        found += [_voice(codec, stream) for codec, stream in words]
        found += [_conversion(codec) for codec in split]
    if not only_codecs:
        for other, than in _READ_BETTER.items():
            found += [_read_better(codec, stream, other, than) for codec, stream in words]
    return found + list(_losses(codecs))


def _verdict(in_order: bool, separated: bool) -> str:
    if not in_order:
        return FAILS
    return HOLDS if separated else IN_ORDER


def below(low: ScoreRow, high: ScoreRow) -> tuple[str, str]:
    """Judge that one score is below another.

    Returns:
        The verdict, and what to say of the intervals: "" where they are apart.
    """
    in_order = low.score.mean < high.score.mean
    near = _near(low.score.ci95, high.score.ci95)
    if not near:
        return _verdict(in_order, True), ""
    try:
        test = paired((low.path, high.path))
    except (Different, UserError):
        # Of other utterances, or without a table of them.
        return _verdict(in_order, False), near
    if test.count < MIN_UTTERANCES:
        return _verdict(in_order, False), f"{near}, and too few utterances for a paired test"
    p = f"p = {test.p:.2g}" if test.p >= 0.001 else "p < 0.001"
    return _verdict(in_order, test.p < LEVEL), f"{near}, paired {p}"


def _against(low: ScoreRow, high: ScoreRow, beside: str = "", digits: int = 2) -> tuple[str, str]:
    """Return the evidence that one score is below another, and the verdict; `beside`: what else is said of both."""
    verdict, near = below(low, high)
    return f"{low.score.mean:.{digits}f} against {high.score.mean:.{digits}f}{beside}{near}", verdict


def _behind_a_constant(codec: _Experiment) -> Claim | None:
    """Return the one thing to say of a codec that a constant mean spectrum is nearer to the originals than."""
    combined, control = codec.score("mel", "combined"), codec.score("mel", MEAN_SPECTRUM)
    if combined is None or control is None or combined.score.mean <= control.score.mean:
        return None
    distances = f"mel distance {combined.score.mean:.2f} against {control.score.mean:.2f}"
    text = "Decoded speech is closer to the original than a constant mean spectrum"
    return codec.claim(text, f"{distances}; no other claim is made of this codec", FAILS)


def _reconstruction(codec: _Experiment) -> Claim:
    text = "All streams together come closer to the original than any control (mel distance)"
    labels = decoded_from(codec.results, codec.test_set, codec.name)
    scores = {system: codec.score("mel", system) for system in labels}
    missing = [labels[system].lower() for system, found in scores.items() if found is None]
    if missing:
        return codec.claim(text, f"no score of: {'; '.join(missing)}")
    combined = scores.pop("combined")
    nearest = min(scores, key=lambda system: scores[system].score.mean)
    verdict, near = below(combined, scores[nearest])
    control = f"nearest control {scores[nearest].score.mean:.2f} ({labels[nearest].lower()})"
    return codec.claim(text, f"{combined.score.mean:.2f}; {control}{near}", verdict)


def _best_codebook(codec: _Experiment, stream: str) -> Claim:
    measure, name, does, others = _BEST_BY[stream]
    text = f"The {stream} codebook {does} than when it is shuffled, and than {others} ({name})"
    books, own = codec.codebooks(measure), codec.codebook(measure, stream)
    against = {ACOUSTIC} if stream in HASRD_STREAMS else {book["stream"] for book in books} - {stream}
    rivals = [book for book in books if book["stream"] in against]
    if own is None or not any(book["stream"] == ACOUSTIC for book in rivals):
        return codec.claim(text)
    best = max(rivals, key=lambda book: book["value"])
    evidence = f"{own['value']:.3f}; shuffled {own['shuffled']:.3f}; best {best['stream']} {best['value']:.3f}"
    if own["size"] != best["size"]:
        evidence += f" (of {best['size']} entries, the {stream} one of {own['size']}: more say more)"
    # Words may have been scored for the first codebooks alone.
    if len(books) < len(codec.score(measure).score.details.get("codebook_sizes", books)):
        return codec.claim(text, f"{evidence}; the other codebooks were not scored")
    low, high = _interval(own)
    by_chance = "; shuffled within the interval" if low <= own["shuffled"] <= high else ""
    near = _near(_interval(own), _interval(best)) or by_chance
    return codec.claim(text, evidence + near, _verdict(own["value"] > max(own["shuffled"], best["value"]), not near))


def _voice(codec: _Experiment, stream: str) -> Claim:
    text = f"The {stream} stream alone keeps less of the voice than the acoustic ones alone"
    for measure in _SIMILARITIES:
        own, acoustic, combined = (codec.score(measure, system) for system in (stream, ACOUSTIC, "combined"))
        if own is None or acoustic is None:
            continue
        beside = f", all streams {combined.score.mean:.2f}" if combined else ""
        if stream in HASRD_STREAMS and _paper("semantic", measure):
            numbers = [_paper(of, measure).lstrip("0") for of in (stream, ACOUSTIC, "combined")]
            beside += f"; the paper {', '.join(numbers)}"
        evidence, verdict = _against(own, acoustic, beside)
        return codec.claim(text, f"{own.score.label.lower()} {evidence}", verdict)
    return codec.claim(text)


def _paper(stream: str, column: str) -> str:
    """Return the number of HASRD's Table 4, as printed; "" where it has none."""
    rows = {row.systems["speech"]: row.paper for row in table_specs()["table4"].rows if row.paper}
    return rows[stream].get(column, "")


def _conversion(codec: _Experiment) -> Claim:
    text = "Conversion brings the voice closer to the target's"
    converted, source = (codec.score(f"{of}_similarity", "conversion") for of in ("target", "source"))
    if converted is None:
        return codec.claim(text)
    value = converted.score.mean
    before = codec.score("target_similarity", "combined")
    if before is not None:
        verdict, near = below(before, converted)
        evidence = f"similarity to the target {value:.2f}, not converted {before.score.mean:.2f}"
        return codec.claim(text, evidence + near, verdict)
    recorded = converted.score.details.get("between_source_and_target")
    if recorded is not None:
        evidence = f"similarity to the target {value:.2f}, of the source's recording {recorded:.2f}"
        return codec.claim(text, evidence, _verdict(value > recorded, converted.score.ci95[0] > recorded))
    if source is None:
        return codec.claim(text)
    text = "Converted speech is nearer to the target's voice than to the source's"
    verdict, near = below(source, converted)
    return codec.claim(text, f"{value:.2f} against {source.score.mean:.2f}{near}", verdict)


def _read_better(codec: _Experiment, stream: str, other: str, than: str) -> Claim:
    """Judge a stream's tokens against `other` ones by the first measure that both have, and name it; show the rest."""
    text = f"A probe reads the {stream} tokens {than}"
    found = []
    for measure in _READING:
        own, control = (codec.probe(measure, f"tokens_{of}") for of in (stream, other))
        if own is None or control is None:
            continue
        printed = ""
        if measure == "wer" and stream in HASRD_STREAMS:
            numbers = (_paper(stream, measure), _paper("combined" if other == "all" else other, measure))
            printed = f"; the paper {' against '.join(numbers)}"
        evidence, verdict = _against(own, control, printed, digits=1 if measure == "wer" else 2)
        found.append((own.score.label, f"{own.score.label} {evidence}", verdict))
    if not found:
        return codec.claim(text)
    label, _, verdict = found[0]
    return codec.claim(f"{text} ({label})", ". Beside it, ".join(evidence for _, evidence, _ in found), verdict)


def _losses(codecs: Sequence[_Experiment]) -> Iterator[Claim]:
    """Compare each level of HAC with the same codebook of a codec that was trained without the losses."""
    by_key = {row_key(codec.name): codec for codec in codecs}
    if not {_WITH_LOSSES, _WITHOUT_LOSSES} <= set(by_key):
        return
    codec, control = by_key[_WITH_LOSSES], by_key[_WITHOUT_LOSSES]
    for stream, (measure, name, does, _) in _BEST_BY.items():
        own, other = codec.codebook(measure, stream), control.codebook(measure, stream)
        if own is None or other is None:
            continue
        text = f"The {stream} codebook {does} than without the losses ({name})"
        evidence = f"{own['value']:.3f} against {other['value']:.3f} of {control.name}"
        if own["size"] != other["size"]:
            evidence += f" ({own['size']} and {other['size']} entries: more say more)"
        near = _near(_interval(own), _interval(other))
        yield codec.claim(text, evidence + near, _verdict(own["value"] > other["value"], not near))


def _interval(book: Mapping[str, Any]) -> Sequence[float]:
    return book.get("ci95") or (book["value"], book["value"])


def _near(first: Sequence[float], other: Sequence[float]) -> str:
    """Say so where two intervals overlap: the difference may be chance, and no claim holds by it."""
    return "" if first[1] < other[0] or other[1] < first[0] else "; intervals overlap"
