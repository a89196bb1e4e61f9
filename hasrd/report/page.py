# Copyright 2026 The hasrd authors
# Apache-2.0
"""The HTML page: one file that plays offline, made with the template beside this module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from hasrd.report.audio import Example
from hasrd.report.claims import Claim
from hasrd.report.collect import Results
from hasrd.report.figures import curve_figure, layer_weight_figure, mel_figure
from hasrd.report.tables import RECONSTRUCTION, Table, one


@dataclass(frozen=True)
class Figure:
    """An SVG and what it shows."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Headline:
    """One number at the top of the page."""

    value: str
    label: str
    note: str


def page(
    title: str,
    lead: str,
    facts: Sequence[tuple[str, str]],
    claims: Sequence[Claim],
    tables: Sequence[Table],
    examples: Sequence[Example],
    results: Results,
) -> str:
    """Return the whole page as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    by_title: dict[str, list[Table]] = {}
    for table in tables:
        by_title.setdefault(table.title, []).append(table)
    return environment.get_template("page.html").render(
        title=title,
        lead=lead,
        facts=facts,
        claims=claims,
        tables=by_title,
        examples=examples,
        headlines=_headlines(results),
        mel_figures=_mel_figures(results),
        weight_figures=_weight_figures(results),
        curve_figures=[
            Figure(curve_figure(history, name), f"Training of {name}, by epoch.")
            for name, history in sorted(results.histories.items())
        ],
    )


def _mel_figures(results: Results) -> list[Figure]:
    figures = []
    for test_set in results.test_sets(RECONSTRUCTION):
        for experiment in results.experiments(RECONSTRUCTION[:3]):
            svg = mel_figure(results, test_set, experiment)
            figures.append(
                Figure(
                    svg,
                    f"Mel distance on {test_set} ({experiment}): all streams against the controls.",
                )
            )
    return figures


def _weight_figures(results: Results) -> list[Figure]:
    groups = dict(sorted(results.layer_weights.items()))
    uses = [use for weights in groups.values() for use in weights]
    if len(set(uses)) == len(uses) and len(groups) > 1:
        # The probe's weights and the codec's, from two experiments, belong beside each other
        # (HASRD, Figure 2).
        groups = {
            " and ".join(groups): {
                use: values for weights in groups.values() for use, values in weights.items()
            }
        }
    return [
        Figure(
            layer_weight_figure(weights, name), f"Learned weights of the encoder's layers ({name})."
        )
        for name, weights in groups.items()
    ]


def _headlines(results: Results) -> list[Headline]:
    """Return the numbers at the top, of the first test set; those that were not measured, and several codecs', are left
    to the tables.
    """
    found = []
    if len(results.experiments(RECONSTRUCTION[:3])) > 1:
        return found
    for measure, system, label, form in (
        ("mel", "combined", "mel distance, all streams", "{:.2f}"),
        ("speaker_similarity", "combined", "speaker similarity, all streams", "{:.2f}"),
        ("cer", "tokens_semantic", "character errors of a probe on semantic tokens", "{:.1f}%"),
        ("bitrate", None, "kbit a second", "{:.2f}"),
    ):
        test_sets = results.test_sets([measure])
        score = one(results.find(measure, test_sets[0], system)) if test_sets else None
        if score is not None:
            low, high = score.ci95
            interval = f"{form.format(low)} to {form.format(high)}, " if low < high else ""
            found.append(Headline(form.format(score.mean), label, f"{interval}{score.test_set}"))
    return found
