# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the numbers say about the claims that a tokenizer of this kind makes: each holds, does not
hold, or is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from hasrd.report.collect import Results
from hasrd.report.tables import RECONSTRUCTION, decoded_from, one

# Masked accuracy against always answering the most frequent target.
TIMES_MOST_FREQUENT = 1.5


@dataclass(frozen=True)
class Claim:
    """A claim, the set that it is about, what was measured, and whether it holds (None: a score is
    missing).
    """

    text: str
    test_set: str
    evidence: str
    holds: bool | None

    @property
    def verdict(self) -> str:
        """"holds", "does not hold" or "missing"."""
        return {True: "holds", False: "does not hold", None: "missing"}[self.holds]


def claims(results: Results, test_sets: Sequence[str], only_codecs: bool = False) -> list[Claim]:
    """Judge the claims on every set that was scored; `only_codecs`: those of reconstruction."""
    found = []
    if not only_codecs:
        for test_set in results.test_sets(["masked_accuracy"]) or test_sets[:1]:
            found.append(_masked(results, test_set))
    for test_set in results.test_sets(RECONSTRUCTION) or test_sets:
        for experiment in results.experiments(RECONSTRUCTION[:3]) or [""]:
            found.append(_reconstruction(results, test_set, experiment))
    if not only_codecs:
        for test_set in results.test_sets(["ctc_loss"]) or test_sets:
            found.append(_probe(results, test_set))
    return found


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
    return Claim(
        text, test_set, f"{score.mean:.1f}% against {control:.1f}%", times >= TIMES_MOST_FREQUENT
    )


def _reconstruction(results: Results, test_set: str, experiment: str) -> Claim:
    text = "All streams together come closer to the original than any control (mel distance)"
    if len(results.experiments(RECONSTRUCTION[:3])) > 1:
        text = f"{experiment}: {text[0].lower()}{text[1:]}"
    rows = decoded_from(results, test_set, experiment)
    scores = {system: one(results.find("mel", test_set, system, experiment)) for system in rows}
    scores["mean_spectrum"] = one(results.find("mean_spectrum", test_set))
    if any(score is None for score in scores.values()):
        missing = [
            rows[system].lower() for system, score in scores.items() if score is None
        ]
        return Claim(text, test_set, f"no score of: {'; '.join(missing)}", None)
    combined = scores.pop("combined")
    nearest = min(scores, key=lambda system: scores[system].mean)
    name = rows[nearest].lower()
    evidence = f"{combined.mean:.2f}; nearest control {scores[nearest].mean:.2f} ({name})"
    return Claim(text, test_set, evidence, combined.mean < scores[nearest].mean)


def _probe(results: Results, test_set: str) -> Claim:
    text = "A probe reads latents in order better than the same latents shuffled in time (CTC loss)"
    straight = one(results.find("ctc_loss", test_set, "latent"))
    shuffled = one(results.find("ctc_loss", test_set, "latent_shuffled"))
    if straight is None or shuffled is None:
        return Claim(text, test_set, "", None)
    return Claim(
        text,
        test_set,
        f"{straight.mean:.2f} against {shuffled.mean:.2f}",
        straight.mean < shuffled.mean,
    )
