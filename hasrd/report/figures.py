# Copyright 2026 The hasrd authors
# Apache-2.0
"""Figures as SVG inside the page, in the page's own text and colours, so that they follow its light
and dark theme.
"""

from __future__ import annotations

import html
import io
import re
from typing import Any, Callable

from hasrd.report.collect import Results
from hasrd.report.tables import RECONSTRUCTION_ROWS, one

# Stand-ins that become the page's colours.
_INK, _LINE = "#010203", "#040506"
# Readable on light and dark ground, and apart for colour-blind eyes (Okabe and Ito's, darkened a
# little).
COLOURS = ("#2f7fc1", "#d8722c", "#1f9e77", "#b5568f", "#8a7a1f", "#5b6bd0")
# Curves worth showing, best first; whole words of a statistic's name.
_CURVES = (
    "loss",
    "acc",
    "accuracy",
    "masked_accuracy",
    "mel",
    "mel_loss",
    "generator_mel_loss",
    "cer_ctc",
    "cer",
    "wer",
)


def mel_figure(results: Results, test_set: str, experiment: str) -> str:
    """Draw the mel distance of every version and control with its interval."""
    rows = []
    for system, label in RECONSTRUCTION_ROWS.items():
        measure = "mean_spectrum" if system == "mean_spectrum" else "mel"
        which = () if system == "mean_spectrum" else (system, experiment)
        score = one(results.find(measure, test_set, *which))
        if score is not None:
            rows.append((label, score))
    if not rows:
        return ""

    def draw(axes: Any) -> None:
        for index, (label, score) in enumerate(rows):
            colour = COLOURS[0] if label == RECONSTRUCTION_ROWS["combined"] else COLOURS[1]
            axes.plot(
                score.ci95,
                [index, index],
                color=colour,
                linewidth=5,
                solid_capstyle="round",
                alpha=0.45,
            )
            axes.plot([score.mean], [index], "o", color=colour, markersize=8)
            offset = {"textcoords": "offset points", "color": _INK, "va": "center"}
            axes.annotate(f"{score.mean:.2f}", (score.ci95[1], index), (9, 0), **offset)
            # Above its row and not beside it: a phone has no room for both.
            axes.annotate(label, (0, index - 0.42), (3, 0), **offset)
        axes.set_yticks([])
        axes.set_ylim(len(rows) - 0.6, -0.75)
        axes.set_xlim(0, 1.12 * max(score.ci95[1] for _, score in rows))
        axes.set_xlabel("mel distance, lower is closer; bars: 95% interval")
        axes.grid(axis="x")

    return _svg(draw, (4.2, 0.55 * len(rows) + 0.5), f"Mel distance on {test_set}, {experiment}")


def layer_weight_figure(weights: dict[str, list[float]], name: str) -> str:
    """Draw the learned weights of the layers (HASRD, Figure 2), one group of bars a use."""
    uses = [use for use, values in weights.items() if values]
    if not uses:
        return ""

    def draw(axes: Any) -> None:
        width = 0.8 / len(uses)
        for index, use in enumerate(uses):
            at = [
                layer + (index - (len(uses) - 1) / 2) * width for layer in range(len(weights[use]))
            ]
            label = "ASR probe" if use == "asr" else use
            axes.bar(
                at, weights[use], width * 0.92, color=COLOURS[index % len(COLOURS)], label=label
            )
        layers = max(len(weights[use]) for use in uses)
        axes.set_xticks(range(layers), ["CNN", *map(str, range(1, layers))])
        axes.set_xlabel("layer")
        axes.set_ylabel("weight")
        axes.grid(axis="y")
        axes.legend(
            frameon=False, labelcolor=_INK, ncols=len(uses), loc="lower left", bbox_to_anchor=(0, 1)
        )

    return _svg(draw, (4.2, 2.5), f"Learned layer weights of {name}")


def curve_figure(history: dict[str, Any], name: str) -> str:
    """Draw up to three statistics by epoch, on the training and the validation set."""
    epochs = history["epochs"]
    names = {key for epoch in epochs for part in ("train", "valid") for key in epoch.get(part, {})}
    chosen = [key for key in _CURVES if key in names][:3]
    if not chosen:
        return ""

    def panel(key: str) -> Callable[[Any], None]:
        def draw(axes: Any) -> None:
            for index, part in enumerate(("train", "valid")):
                points = [
                    (epoch["epoch"], epoch[part][key])
                    for epoch in epochs
                    if key in epoch.get(part, {})
                ]
                if points:
                    axes.plot(
                        *zip(*points),
                        "-o",
                        color=COLOURS[index],
                        markersize=3,
                        linewidth=1.6,
                        label=part,
                    )
            axes.set_title(key.replace("_", " "), color=_INK, fontsize=10)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid()
            axes.legend(frameon=False, labelcolor=_INK, fontsize=8)

        return draw

    return "".join(_svg(panel(key), (3.2, 2.4), f"{key} of {name} by epoch") for key in chosen)


def _svg(draw: Callable[[Any], None], size: tuple[float, float], title: str) -> str:
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
        "axes.edgecolor": _LINE,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "grid.color": _LINE,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
    }
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(figsize=size, layout="constrained")
        draw(axes)
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
        pyplot.close(figure)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = re.sub(r"\W+", "-", title.lower())
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    # The page's font, at the size that it was laid out for.
    svg = (
        svg.replace("'DejaVu Sans', ", "")
        .replace(_INK, "currentColor")
        .replace(_LINE, "var(--line)")
    )
    attributes = (
        f'role="img" aria-label="{html.escape(title)}" style="max-width:{size[0] * 1.5:.1f}in"'
    )
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', lambda _: attributes, svg, count=1)
