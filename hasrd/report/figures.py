# Copyright 2026 The hasrd authors
# Apache-2.0
"""Figures as SVG inside the page, in the page's own text and colours, so that they follow its light
and dark theme.
"""

from __future__ import annotations

import html
import io
import re
from dataclasses import dataclass
from typing import Any, Callable, Sequence

from hasrd.report.collect import MEAN_SPECTRUM, RECONSTRUCTION, Results
from hasrd.report.specification import row_key
from hasrd.report.streams import decoded_from

# Stand-ins that become the page's colours.
INK, LINE = "#010203", "#040506"
# Readable on light and dark ground, and apart for colour-blind eyes (Okabe and Ito's, darkened a
# little).
COLOURS = ("#2f7fc1", "#d8722c", "#1f9e77", "#b5568f", "#8a7a1f", "#5b6bd0")
# One a series beside its colour, for eyes that see none.
MARKERS = "osD^vPX*"
# Curves worth showing, best first; whole words of a statistic's name.
_CURVES = "mel_distance loss acc accuracy masked_accuracy mel mel_loss generator_mel_loss cer_ctc cer wer".split()
# A statistic that a training has from the epoch on in which its discriminator takes part.
_OF_DISCRIMINATOR = "discriminator_loss"
# Of a codec.
_PADDED = " Validation takes whole utterances, padded with silence to one length, which lowers its values."


@dataclass(frozen=True)
class Figure:
    """One or more SVGs that belong together, and what they show."""

    svg: str
    caption: str


def mel_figures(results: Results) -> list[Figure]:
    """Draw the mel distance of every version and control with its interval, a figure for each set and codec."""
    drawn = {
        (test_set, experiment): _mel_figure(results, test_set, experiment)
        for test_set in results.test_sets((*RECONSTRUCTION, MEAN_SPECTRUM))
        for experiment in results.experiments(RECONSTRUCTION)
    }
    return [
        Figure(found, f"Mel distance on {test_set} ({experiment}): all streams against the controls.")
        for (test_set, experiment), found in drawn.items()
        if found
    ]


def _mel_figure(results: Results, test_set: str, experiment: str) -> str:
    rows = []
    for system, label in decoded_from(results, test_set, experiment).items():
        found = results.first("mel", test_set, system, experiment)
        if found is not None:
            rows.append((label, found.score, system == "combined"))
    if not rows:
        return ""

    def draw(axes: Any) -> None:
        for index, (label, score, whole) in enumerate(rows):
            colour = COLOURS[0] if whole else COLOURS[1]
            axes.plot(score.ci95, [index, index], color=colour, linewidth=5, solid_capstyle="round", alpha=0.45)
            axes.plot([score.mean], [index], "o", color=colour, markersize=8)
            offset = {"textcoords": "offset points", "color": INK, "va": "center"}
            axes.annotate(f"{score.mean:.2f}", (score.ci95[1], index), (9, 0), **offset)
            # Above its row and not beside it: a phone has no room for both.
            axes.annotate(label, (0, index - 0.42), (3, 0), **offset)
        axes.set_yticks([])
        axes.set_ylim(len(rows) - 0.6, -0.75)
        axes.set_xlim(0, 1.12 * max(score.ci95[1] for _, score, _ in rows))
        axes.set_xlabel("mel distance, lower is closer; bars: 95% interval")
        axes.grid(axis="x")

    return svg(draw, (3.8, 0.55 * len(rows) + 0.5), f"Mel distance on {test_set}, {experiment}")


def layer_weight_figures(results: Results) -> list[Figure]:
    """Draw the learned weights of the layers (HASRD, Figure 2): what the codecs and the probes over one and the same
    number of layers draw on, in one figure.
    """
    groups: dict[int, list[tuple[str, str, Sequence[float]]]] = {}
    for experiment, uses in sorted(results.layer_weights.items()):
        for use, weights in sorted(uses.items(), reverse=True):
            if weights:
                groups.setdefault(len(weights), []).append((experiment, use, weights))
    figures = []
    for layers, series in sorted(groups.items(), reverse=True):
        series.sort(key=lambda item: item[1], reverse=True)
        names = [use for _, use, _ in series]
        labels = [
            ("ASR probe" if use == "asr" else use)
            + (f", {row_key(experiment) or experiment}" if names.count(use) > 1 else "")
            for experiment, use, _ in series
        ]
        drawn = svg(
            lambda axes, series=series, labels=labels: _draw_weights(axes, [item[2] for item in series], labels),
            (3.8, 2.3 + 0.2 * max(0, (len(labels) - 1) // 2)),
            f"Learned weights of {layers} layers: {', '.join(labels)}",
        )
        figures.append(Figure(drawn, "; ".join(filter(None, (_peaks(series, labels), _OF_THE_PAPER)))))
    return figures


_OF_THE_PAPER = (
    "in the paper (Figure 2, 12 layers) reconstruction draws on layers 1 to 3, on 1 the most and little on the CNN, "
    "and ASR on 7 to 9, on 8 the most."
)


def _peaks(series: Sequence[tuple[str, str, Sequence[float]]], labels: Sequence[str]) -> str:
    """Say which layer each use draws on the most."""
    peaks = []
    for (_, _, weights), label in zip(series, labels):
        top = max(range(len(weights)), key=lambda layer: weights[layer])
        peaks.append(f"{label}: most on {f'layer {top}' if top else 'the CNN'} ({weights[top]:.2f})")
    even = f"{1 / len(series[0][2]):.2f}"
    return f"Learned weights of the encoder's layers. {', '.join(peaks)}; even weights would be {even} each"


def _draw_weights(axes: Any, series: Sequence[Sequence[float]], labels: Sequence[str]) -> None:
    layers = len(series[0])
    # Bars up to two, lines for more: bars of many are too thin to read.
    width = 0.8 / len(series)
    for index, (weights, label) in enumerate(zip(series, labels)):
        colour = COLOURS[index % len(COLOURS)]
        if len(series) <= 2:
            at = [layer + (index - (len(series) - 1) / 2) * width for layer in range(layers)]
            axes.bar(at, weights, width * 0.92, color=colour, label=label)
        else:
            marker = MARKERS[index % len(MARKERS)]
            axes.plot(range(layers), weights, f"-{marker}", color=colour, markersize=4, linewidth=1.4, label=label)
    axes.set_ylim(0, 1.05 * max(max(weights) for weights in series))
    axes.set_xticks(range(layers), ["CNN", *map(str, range(1, layers))])
    axes.set_xlabel("layer")
    axes.set_ylabel("weight")
    axes.grid(axis="y")
    legend = {"frameon": False, "labelcolor": INK, "loc": "lower left", "bbox_to_anchor": (0, 1)}
    axes.legend(ncols=min(2, len(labels)), **legend)


def curve_figures(results: Results) -> list[Figure]:
    """Draw up to three statistics of each training by epoch, on the training and the validation set."""
    drawn = {name: _curves(history, name) for name, history in sorted(results.histories.items())}
    return [
        Figure(found, f"Training of {name}, by epoch.{_PADDED if 'mel distance' in found else ''}")
        for name, found in drawn.items()
        if found
    ]


def _curves(history: dict[str, Any], name: str) -> str:
    epochs = history["epochs"]
    names = {key for epoch in epochs for part in ("train", "valid") for key in epoch.get(part, {})}
    chosen = [key for key in _CURVES if key in names][:3]
    if not chosen:
        return ""

    joins = next((epoch["epoch"] for epoch in epochs if _OF_DISCRIMINATOR in epoch.get("train", {})), None)

    def panel(key: str) -> Callable[[Any], None]:
        def draw(axes: Any) -> None:
            for index, part in enumerate(("train", "valid")):
                points = [(epoch["epoch"], epoch[part][key]) for epoch in epochs if key in epoch.get(part, {})]
                if points:
                    axes.plot(*zip(*points), "-o", color=COLOURS[index], markersize=3, linewidth=1.6, label=part)
            # From the first epoch on there is nothing to mark.
            if joins is not None and joins > epochs[0]["epoch"]:
                axes.axvline(joins - 0.5, color=INK, linewidth=1, linestyle="--", label="discriminator joins")
            axes.set_title(key.replace("_", " "), color=INK, fontsize=10)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid()
            axes.legend(frameon=False, labelcolor=INK, fontsize=8)

        return draw

    return "".join(svg(panel(key), (3.2, 2.4), f"{key} of {name} by epoch") for key in chosen)


def svg(draw: Callable[[Any], None], size: tuple[float, float], title: str) -> str:
    """Let `draw` draw into axes of `size` inches; return an <svg> element whose identifiers are its
    own.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": title,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": LINE,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
    }
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(figsize=size, layout="constrained")
        draw(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    prefix = re.sub(r"\W+", "-", title.lower())
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", text)
    # The page's font, at the size that it was laid out for.
    text = text.replace("'DejaVu Sans', ", "").replace(INK, "currentColor").replace(LINE, "var(--line)")
    attributes = f'role="img" aria-label="{html.escape(title)}" style="max-width:{size[0] * 1.3:.1f}in"'
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', lambda _: attributes, text, count=1)
