# Copyright 2026 The hasrd authors
# Apache-2.0
"""The HTML page: one file that plays offline, made with the template beside this module."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from hasrd.report.audio import Example
from hasrd.report.cells import Table
from hasrd.report.claims import Claim
from hasrd.report.collect import Results
from hasrd.report.figures import Figure, curve_figures, layer_weight_figures, mel_figures
from hasrd.report.rate_quality import phone_figures, rate_quality_figures
from hasrd.report.summary import summary
from hasrd.report.token_map import token_map_figures


@dataclass(frozen=True)
class FigureGroup:
    """Figures below one heading, and what is said where there are none."""

    title: str
    figures: list[Figure]
    otherwise: str


# Title to what draws the figures, and what is said where there are none.
_FIGURES = {
    "Layers: what reconstruction and ASR draw on": (layer_weight_figures, "no learned layer weights were found"),
    "Quality over bitrate": (rate_quality_figures, "no speech of the first codebooks alone was scored"),
    "Phones in the codebooks": (phone_figures, "PNMI was not scored (it needs alignments)"),
    "Token maps: phones and speakers in each stream": (token_map_figures, "no map was made (it needs alignments)"),
    "Training": (curve_figures, "no training curves were found"),
}


def page(
    title: str,
    lead: str,
    facts: Sequence[tuple[str, str]],
    claims: Sequence[Claim],
    tables: Sequence[Table],
    examples: Sequence[Example],
    results: Results,
    discussion: str = "",
    show_missing: bool = False,
    single_speaker: bool = False,
) -> str:
    """Return the whole page as HTML.

    Args:
        discussion: Markdown, of which paragraphs and lists are shown as such.
        show_missing: Say which figures and audio there are not; else they are left out.
        single_speaker: The corpus has one voice.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["slug"] = lambda text: re.sub(r"\W+", "-", text.lower()).strip("-")
    *groups, training = (FigureGroup(title, draw(results), otherwise) for title, (draw, otherwise) in _FIGURES.items())
    by_title: dict[str, list[Table]] = {}
    for table in tables:
        by_title.setdefault(table.title, []).append(table)
    return environment.get_template("page.html").render(
        title=title,
        lead=lead,
        facts=facts,
        claims=claims,
        discussion=_paragraphs(discussion),
        tables=by_title,
        examples=examples,
        summary=summary(results, claims, single_speaker),
        mel_figures=mel_figures(results),
        figures=[group for group in groups if group.figures or show_missing],
        training=training if training.figures or show_missing else None,
        show_missing=show_missing,
    )


def _paragraphs(text: str) -> list[list[str]]:
    """Return the paragraphs of a Markdown text without headings; one that is a list is its items."""
    found = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        items = re.split(r"(?m)^[-*] ", "\n".join(lines))
        found.append([" ".join(item.split()) for item in items if item.strip()])
    return [block for block in found if block]
