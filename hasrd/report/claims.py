# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the numbers say about the claims that a tokenizer of this kind makes: each holds, does not hold, or is
missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Sequence

from hasrd.metrics.scores import Score
from hasrd.report.collect import Results
from hasrd.report.paper_tables import find_probe, streams_of
from hasrd.report.tables import RECONSTRUCTION, decoded_from, one

# Masked accuracy against always answering the most frequent target.
TIMES_MOST_FREQUENT = 1.5
_SIMILARITIES = ("ecapa_similarity", "speaker_similarity")
# A loss still tells probes apart whose words are all wrong.
_READING = ("ctc_loss", "wer")


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
        streams = {name: len(streams_of(results, test_set, name)) for name in codecs}
        # Where no bitrate says the streams, the claims are missing, but not those of every codec.
        split = [name for name in codecs if streams[name] > 1] or [name for name in codecs if not streams[name]][:1]
        found += [_named(_reconstruction, results, test_set, name, codecs) for name in codecs]
        judges: list[Callable[[Results, str, str], Claim]] = [_phones]
        if not single_speaker:
            judges += [_voice, _conversion]
        if not only_codecs:
            judges += [_words, _combined]
        found += [_named(judge, results, test_set, name, codecs) for judge in judges for name in split]
    if not only_codecs:
        for test_set in results.test_sets(["ctc_loss"]) or test_sets:
            shuffled = results.find("ctc_loss", test_set, "latent_shuffled")
            readers = sorted({item.experiment for item in shuffled}) or [""]
            found += [_named(_order, results, test_set, name, readers) for name in readers]
    return found


def _named(
    judge: Callable[[Results, str, str], Claim], results: Results, test_set: str, name: str, all_names: Sequence[str]
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


def _voice(results: Results, test_set: str, experiment: str) -> Claim:
    text = "The semantic stream alone keeps less of the voice than the acoustic ones alone"
    for measure in _SIMILARITIES:
        semantic, acoustic = (one(results.find(measure, test_set, of, experiment)) for of in ("semantic", "acoustic"))
        if semantic is not None and acoustic is not None:
            evidence = f"{semantic.label.lower()} {semantic.mean:.2f} against {acoustic.mean:.2f}"
            combined = one(results.find(measure, test_set, "combined", experiment))
            if combined is not None:
                evidence += f", all streams {combined.mean:.2f}"
            paper = "; the paper .15, .67, .92" if measure == _SIMILARITIES[0] else ""
            near = _near(semantic, acoustic)
            return Claim(text, test_set, evidence + paper + near, semantic.mean < acoustic.mean and not near)
    return Claim(text, test_set, "", None)


def _words(results: Results, test_set: str, experiment: str) -> Claim:
    text = "A probe reads the semantic tokens better than the acoustic ones"
    return _read_better(results, test_set, experiment, text, "tokens_acoustic", "21.0 against 70.2")


def _combined(results: Results, test_set: str, experiment: str) -> Claim:
    text = "A probe reads the semantic tokens alone better than all tokens together"
    return _read_better(results, test_set, experiment, text, "tokens_all", "21.0 against 24.2")


def _read_better(results: Results, test_set: str, experiment: str, text: str, other: str, paper: str) -> Claim:
    """Compare semantic tokens with `other` ones by the first measure that both have; show all that both have."""
    verdicts, evidence = [], []
    for measure in _READING:
        pair = [
            one(find_probe(results, measure, test_set, system, experiment)) for system in ("tokens_semantic", other)
        ]
        if None not in pair:
            own, control = pair
            near = _near(own, control)
            verdicts.append(own.mean < control.mean and not near)
            digits = 1 if measure == "wer" else 2
            paper_wer = f"; the paper {paper}" if measure == "wer" else ""
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
        near = _near(converted, before)
        return Claim(text, test_set, evidence + near, converted.mean > before.mean and not near)
    if converted is not None and "between_source_and_target" in converted.details:
        recorded = converted.details["between_source_and_target"]
        evidence = f"similarity to the target {converted.mean:.2f}, of the source's recording {recorded:.2f}"
        return Claim(text, test_set, evidence, converted.mean > recorded)
    if converted is None or source is None:
        return Claim(text, test_set, "", None)
    text = "Converted speech is nearer to the target's voice than to the source's"
    evidence = f"{converted.mean:.2f} against {source.mean:.2f}"
    near = _near(converted, source)
    return Claim(text, test_set, evidence + near, converted.mean > source.mean and not near)


def _phones(results: Results, test_set: str, experiment: str) -> Claim:
    text = "The semantic codebook says more about phones than when it is shuffled, and than any acoustic one (PNMI)"
    score = one(results.find("pnmi", test_set, experiment=experiment))
    books = score.details["codebooks"] if score else []
    semantic = [book for book in books if book["stream"] == "semantic"]
    acoustic = [book for book in books if book["stream"] == "acoustic"]
    if not semantic or not acoustic:
        return Claim(text, test_set, "", None)
    own, best = semantic[0], max(acoustic, key=lambda book: book["value"])
    evidence = f"{own['value']:.3f}; shuffled {own['shuffled']:.3f}; best acoustic {best['value']:.3f}"
    if own["size"] != best["size"]:
        evidence += f" (of {best['size']} entries, the semantic one of {own['size']}: more say more)"
    return Claim(text, test_set, evidence, own["value"] > max(own["shuffled"], best["value"]))


def _order(results: Results, test_set: str, experiment: str) -> Claim:
    text = "A probe reads latents in order better than the same latents shuffled in time (CTC loss)"
    straight = one(find_probe(results, "ctc_loss", test_set, "latent", experiment))
    shuffled = one(find_probe(results, "ctc_loss", test_set, "latent_shuffled", experiment))
    if straight is None or shuffled is None:
        return Claim(text, test_set, "", None)
    evidence = f"{straight.mean:.2f} against {shuffled.mean:.2f}"
    return Claim(text, test_set, evidence, straight.mean < shuffled.mean)


def _near(one_score: Score, other: Score) -> str:
    """Say so where the intervals of two scores overlap: the difference may be chance, and no claim holds by it."""
    overlap = one_score.ci95[0] <= other.ci95[1] and other.ci95[0] <= one_score.ci95[1]
    return "; intervals overlap" if overlap else ""
