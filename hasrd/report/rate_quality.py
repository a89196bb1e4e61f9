# Copyright 2026 The hasrd authors
# Apache-2.0
"""Figures over the codebooks: quality of the first n of them by their bitrate, and what each says of phones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence

from hasrd.metrics.bitrate import first_books_kbps
from hasrd.metrics.scores import Score
from hasrd.report.collect import Results
from hasrd.report.figures import COLOURS, INK, MARKERS, Figure, svg
from hasrd.report.specification import header, row_key
from hasrd.report.streams import codebooks_of

MEASURES = ("mel", "stft", "visqol", "ecapa_similarity", "speaker_similarity")
# The middle grey of a control, on light and dark ground.
_CONTROL = "#8d939e"
# Of a curve's name.
_LETTERS = 18


@dataclass(frozen=True)
class Point:
    """Quality at a bitrate in kbps."""

    rate: float
    score: Score


def curves(results: Results, test_set: str, measure: str) -> dict[str, list[Point]]:
    """Return experiment to its points, in the order of the bitrate: the first n codebooks, then all of them.

    A codec without a bitrate has no place on the curve.
    """
    found: dict[str, dict[int, Point]] = {}
    for item in results.find(measure, test_set):
        number = codebooks_of(item.score.system)
        rate = results.first("bitrate", test_set, experiment=item.experiment)
        if rate is None or (number is None and item.score.system != "combined"):
            continue
        sizes = rate.score.details["codebook_sizes"]
        books = number or len(sizes)
        kbps = first_books_kbps(rate.score.details, books) if books < len(sizes) else rate.score.mean
        found.setdefault(item.experiment, {})[books] = Point(kbps, item.score)
    return {name: [points[books] for books in sorted(points)] for name, points in sorted(found.items())}


def rate_quality_figures(results: Results) -> list[Figure]:
    """Draw a figure for each set, with a panel for each measure of a codec that was decoded from some codebooks."""
    figures = []
    for test_set in results.test_sets(MEASURES):
        found = {measure: curves(results, test_set, measure) for measure in MEASURES}
        panels = {m: codecs for m, codecs in found.items() if any(len(points) > 1 for points in codecs.values())}
        if not panels:
            continue
        # A codec keeps its colour from panel to panel.
        names = sorted({name for codecs in panels.values() for name in codecs})
        drawn = [_panel(test_set, measure, codecs, names) for measure, codecs in panels.items()]
        figures.append(
            Figure(
                "".join(drawn),
                f"Quality over bitrate on {test_set}: decoded from the first codebooks alone, and from all of them "
                "(the last point of a curve). Bands: 95% interval over utterances.",
            )
        )
    return figures


def _panel(test_set: str, measure: str, codecs: dict[str, list[Point]], names: Sequence[str]) -> str:
    def draw(axes: Any) -> None:
        ends = []
        for name, points in codecs.items():
            index = names.index(name)
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            rates = [point.rate for point in points]
            bounds = zip(*(point.score.ci95 for point in points))
            axes.fill_between(rates, *bounds, color=colour, alpha=0.2, linewidth=0)
            means = [point.score.mean for point in points]
            axes.plot(rates, means, f"-{marker}", color=colour, markersize=4.5, linewidth=1.6)
            if len(points) == 1:
                # A band of no width.
                axes.plot(rates * 2, points[0].score.ci95, color=colour, linewidth=4, alpha=0.3)
            ends.append((means[-1], _short(row_key(name) or name), colour, marker))
        axes.set_xlim(left=0)
        axes.set_xlabel("kbps")
        axes.set_title(header(measure), color=INK, fontsize=10)
        axes.grid()
        _label(axes, ends)

    return svg(draw, (3.8, 2.5), f"{header(measure)} over bitrate on {test_set}: {', '.join(codecs)}")


def _short(name: str) -> str:
    """Shorten a name in the middle: its ends tell it from others, and a phone has no room for more."""
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS // 2]}…{name[-_LETTERS // 2 + 1 :]}"


def _label(axes: Any, ends: Sequence[tuple[float, str, str, str]]) -> None:
    """Write the name of each curve beside the axes, near where it ends, without overlap."""
    low, high = axes.get_ylim()
    step = 0.085
    wanted = sorted((((value - low) / (high - low)), *rest) for value, *rest in ends)
    places: list[float] = []
    for height, *_ in wanted:
        places.append(max(height, places[-1] + step) if places else height)
    # Back down where the topmost left the axes.
    ceiling = 1.0
    for i in reversed(range(len(places))):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] - step
    for place, (_, name, colour, marker) in zip(places, wanted):
        axes.plot([1.035], [place], marker, color=colour, markersize=5, transform=axes.transAxes, clip_on=False)
        axes.text(1.075, place, name, color=INK, fontsize=8, va="center", transform=axes.transAxes)


def phone_figures(results: Results) -> list[Figure]:
    """Draw PNMI of each codebook beside that of the same codes shuffled in time, a figure for each codec and set."""
    figures = []
    for test_set in results.test_sets(["pnmi"]):
        for item in results.find("pnmi", test_set):
            books = item.score.details.get("codebooks") or []
            if books:
                drawn = _phone_bars(books, f"PNMI of each codebook of {item.experiment} on {test_set}")
                figures.append(
                    Figure(
                        drawn,
                        f"What the codebooks say of phones on {test_set} ({item.experiment}): PNMI of each, with its "
                        "95% interval, beside the same codes shuffled in time: what many codes reach by chance.",
                    )
                )
    return figures


def _phone_bars(books: Sequence[dict[str, Any]], title: str) -> str:
    def draw(axes: Any) -> None:
        streams = list(dict.fromkeys(book["stream"] for book in books))
        for index, stream in enumerate(streams):
            own = [(number, book) for number, book in enumerate(books, start=1) if book["stream"] == stream]
            at, values = [number - 0.2 for number, _ in own], [book["value"] for _, book in own]
            axes.bar(at, values, 0.38, color=COLOURS[index % len(COLOURS)], label=stream)
            for place, (_, book) in zip(at, own):
                if book.get("ci95"):
                    axes.plot([place] * 2, book["ci95"], color=INK, linewidth=1.2)
        shuffled = [
            (number + 0.2, book["shuffled"]) for number, book in enumerate(books, start=1) if book.get("shuffled")
        ]
        if shuffled:
            axes.bar(*zip(*shuffled), 0.38, color=_CONTROL, label="shuffled")
        axes.set_xticks(range(1, len(books) + 1))
        axes.set_xlabel("codebook")
        axes.set_ylabel("PNMI")
        axes.grid(axis="y")
        legend = {"ncols": 4, "handlelength": 1, "columnspacing": 1, "fontsize": 8}
        axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(-0.1, 1), **legend)

    return svg(draw, (3.8, 2.3), title)
