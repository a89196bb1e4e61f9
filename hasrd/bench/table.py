# Copyright 2026 The hasrd authors
# Apache-2.0
"""The measured rows as a table for people."""

from __future__ import annotations

from typing import Any, Callable, Sequence

Row = dict[str, Any]
Columns = dict[str, Callable[[Row], str]]


def _number(key: str, form: str, scale: float = 1.0) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        return "-" if row.get(key) is None else format(row[key] * scale, form)

    return text


def _ratio(row: Row) -> str:
    if row.get("ratio_to_dac") is None:
        return "-"
    low, high = row["ratio_quartiles"]
    return f"{row['ratio_to_dac']:.2f} ({low:.2f}-{high:.2f})"


def _snr(row: Row) -> str:
    if "snr_db" not in row:
        return "-"
    return "equal" if row["snr_db"] is None else f"{row['snr_db']:.0f}"


CODECS: Columns = {
    "model": lambda row: row["model"],
    "mode": lambda row: row["mode"] or "-",
    "parameters, M": _number("parameters", ".1f", 1e-6),
    "encode": _number("encode_rtf", ".4f"),
    "decode": _number("decode_rtf", ".4f"),
    "both": _number("total_rtf", ".4f"),
    "times as fast as DAC": _ratio,
    "memory, MiB": _number("memory", ".0f", 2**-20),
    "equal codes, %": _number("code_agreement", ".1f", 100),
    "SNR, dB": _snr,
}
STEPS: Columns = {
    "model": lambda row: row["model"],
    "kind": lambda row: row.get("kind") or "-",
    "mode": lambda row: row["mode"] or "-",
    "batch": lambda row: f"{row['batch_size']} x {row['seconds']:.1f} s" if "batch_size" in row else "-",
    "step, s": _number("step_seconds", ".3f"),
    "audio s a second": _number("audio_per_second", ".1f"),
    "times as fast as DAC": _ratio,
    "memory, MiB": _number("memory", ".0f", 2**-20),
    "memory to DAC's": _number("memory_to_dac", ".2f"),
    "TFLOP a step": _number("flops", ".2f", 1e-12),
    "% of bf16 peak": _number("peak_fraction", ".1f", 100),
}


def render(rows: Sequence[Row], markdown: bool = False) -> str:
    """The rows as a table, with what holds for all of them below, and what could not be measured.

    Args:
        rows: Of `bench_codecs` or `bench_steps`.
        markdown: As Markdown, for a page; else aligned, for a terminal.
    """
    steps = any("step_seconds" in row for row in rows)
    columns = STEPS if steps else CODECS
    measured = [row for row in rows if "note" not in row]
    cells = [list(columns)] + [[text(row) for text in columns.values()] for row in measured]
    lines = []
    widths = [max(map(len, column)) for column in zip(*cells)]
    for index, line in enumerate(cells):
        padded = [
            f"{cell:<{width}}" if place < 2 + steps else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(line, widths))
        ]
        lines.append(f"| {' | '.join(padded)} |" if markdown else "  ".join(padded).rstrip())
        if markdown and index == 0:
            lines.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    lines += ["", *_facts(rows[0], steps)]
    lines += [f"{' '.join(filter(None, (row['model'], row['mode'])))}: {row['note']}" for row in rows if "note" in row]
    # An empty line makes a paragraph of its own in Markdown.
    return "\n\n".join(_joined(lines)) if markdown else "\n".join(lines)


def _joined(lines: list[str]) -> list[str]:
    end = lines.index("")
    return ["\n".join(lines[:end]), *lines[end + 1 :]]


def _facts(row: Row, steps: bool) -> list[str]:
    fast = "with" if row["native_bf16"] else "without"
    where = [
        f"{row['machine']}; on the {row['device']}, {row['threads']} thread{'s' * (row['threads'] != 1)}, "
        f"{fast} native bf16; Python {row['python']}, torch {row['torch']}. Median of {row['repeats']} rounds, in each "
        "of which every row ran once; ratios are medians of the rounds' ratios (in brackets their middle half)."
    ]
    if steps:
        return where + ["Memory is the peak of building and training the model."]
    return where + [
        f"{row['batch_size']} x {row['seconds']:g} s of {row['audio']}. Encode, decode, both: seconds a second of "
        "audio. Memory: weights, and the peak of what one call needs beside them. Equal codes and SNR: against the "
        "same model's eager float32; SNR is that of decoding the same codes."
    ]
