# Copyright 2026 The hasrd authors
# Apache-2.0
"""Drawings of token maps (`hasrd token-map`): segments of each stream on a plane, by phone and by speaker."""

from __future__ import annotations

import html
from collections import Counter
from pathlib import Path
from typing import Any, Sequence

from hasrd.config import read_json
from hasrd.errors import UserError
from hasrd.report.collect import Results
from hasrd.report.figures import Figure

# Phones of ARPAbet by manner of articulation, as in the usual charts of English consonants.
CLASSES = {
    "vowel": "AA AE AH AO AW AX AXR AY EH ER EY IH IX IY OW OY UH UW UX",
    "stop": "B D G K P T DX Q",
    "fricative": "DH F HH S SH TH V Z ZH",
    "nasal": "EM EN ENG M N NG",
    "approximant": "EL L R W WH Y",
    "affricate": "CH JH",
}
OTHER = "other"
# Of the groups, most frequent first; told apart on light and dark ground, the last by the ink's own colour.
COLOURS = ("#2f7fc1", "#d8722c", "#1f9e77", "#c0569a", "#c9a21a", "currentColor")
_CLASS_OF = {phone: name for name, phones in CLASSES.items() for phone in phones.split()}
# Of the drawing, in its own units.
_SIZE, _DOT = 300, 4.2

_AGAIN = "remove it and make it again"


def phone_class(phone: str) -> str:
    """Return the manner of articulation of an ARPAbet phone; "other" for a phone of another alphabet."""
    return _CLASS_OF.get(phone.upper(), OTHER)


def token_map_figures(results: Results) -> list[Figure]:
    """Draw the maps `token_map/<set>.json` of every experiment.

    Raises:
        UserError: A damaged map.
    """
    paths = {
        (experiment, path.stem): path
        for experiment, folder in results.folders.items()
        for path in folder.glob("token_map/*.json")
    }
    return [_figure(path, experiment, test_set) for (experiment, test_set), path in sorted(paths.items())]


def _figure(path: Path, experiment: str, test_set: str) -> Figure:
    try:
        content = read_json(path, advice=_AGAIN)
        if content["test_set"] != test_set:
            raise UserError(f"{path}: a map of '{content['test_set']}', which is not its name: make it again")
        by = {"phone": [phone_class(phone) for phone in content["phones"]], "speaker": content["speakers"]}
        panels = [
            _panel(stream, what, found, labels)
            for stream, found in content["streams"].items()
            for what, labels in by.items()
            # One speaker alone cannot be told apart.
            if found[what] is not None
        ]
        count = len(content["phones"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise UserError(f"{path}: not a token map ({error!r}): {_AGAIN}") from None
    return Figure(
        "".join(panels),
        f"Token map of {experiment} on {test_set}: {count} phone segments, the same in each panel, laid out by t-SNE "
        "from the vectors that each stream's tokens stand for. Distances on a plane mislead; the percentages are of "
        "the vectors themselves: how often most of a segment's 10 nearest neighbours, all of other utterances, are of "
        "its phone or speaker, with its 95% interval; chance: always answering the most frequent.",
    )


def _panel(stream: str, what: str, found: dict[str, Any], labels: Sequence[str]) -> str:
    groups = [name for name, _ in sorted(Counter(labels).items(), key=lambda item: (-item[1], item[0]))]
    points = list(zip(found["points"], labels, strict=True))
    lows = [min(point[axis] for point, _ in points) for axis in (0, 1)]
    spans = [max(point[axis] for point, _ in points) - lows[axis] or 1.0 for axis in (0, 1)]
    room = _SIZE - 2 * _DOT
    dots: dict[str, list[str]] = {}
    for point, label in points:
        x, y = (_DOT + room * (point[axis] - lows[axis]) / spans[axis] for axis in (0, 1))
        dots.setdefault(label, []).append(f"M{x:.1f} {_SIZE - y:.1f}h0")
    # A line of no length with round ends is a dot, in a tenth of the bytes of a circle.
    drawn = "".join(
        f'<path d="{"".join(dots[group])}" style="stroke:{_colour(index)}"/>' for index, group in enumerate(groups)
    )
    whole = stream[0].upper() + stream[1:]
    by = "class of phone" if what == "phone" else "speaker"
    title = f"{whole} tokens by {by}"
    legend = "".join(
        f'<li><span class="dot" style="background:{_colour(index)}"></span>{html.escape(group)}</li>'
        for index, group in enumerate(groups)
    )
    label = html.escape(f"{title}. {_numbers(found[what], what)}")
    return (
        f'<div class="map"><h4>{html.escape(title)}</h4><p>{html.escape(_numbers(found[what], what))}</p>'
        f'<svg viewBox="0 0 {_SIZE} {_SIZE}" role="img" aria-label="{label}"><g class="dots" '
        f'style="stroke-width:{_DOT}">{drawn}</g></svg><ul class="legend">{legend}</ul></div>'
    )


def _colour(index: int) -> str:
    return COLOURS[min(index, len(COLOURS) - 1)]


def _numbers(found: dict[str, Any], what: str) -> str:
    low, high = found["ci95"]
    return (
        f"neighbours of the same {what}: {100 * found['accuracy']:.0f}% [{100 * low:.0f}, {100 * high:.0f}], "
        f"chance {100 * found['chance']:.0f}%"
    )
