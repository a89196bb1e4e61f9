# Copyright 2026 The hasrd authors
# Apache-2.0
"""The model card: README.md of a packed model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

from hasrd.codec.describe import Description, describe
from hasrd.config import read_json
from hasrd.metrics.bitrate import LOUDNESS_BITS, bitrate
from hasrd.metrics.scores import MEASURES
from hasrd.report.cells import score_cell
from hasrd.report.collect import Results, ScoreRow, collect
from hasrd.report.specification import header
from hasrd.report.streams import decoded_from, probe_label

# Measures whose rows are no systems of speech or probes: what they are of.
WHOLE = {"bitrate": "All streams", "codebook": "All streams"}


def model_card(config: Mapping[str, Any], folder: str, exp_dir: Path, allow_import: bool = False) -> str:
    """Return the card as Markdown.

    Args:
        config: config.yaml of the packed model.
        folder: Its folder's name.
        exp_dir: The experiment, whose score files are read; what was not scored is not on the card.
        allow_import: See `hasrd.registry.resolve`.
    """
    name, source = config["name"], config["source"]
    sets = ", ".join(source["train_sets"]) or "not noted"
    lines = ["---", "library_name: hasrd", "tags: [audio, speech-tokenizer]"]
    lines += [f"license: {config['licence']}"] if config["licence"] else []
    lines += [
        "---",
        "",
        f"# {name}",
        "",
        "A speech tokenizer made with hasrd: it turns speech into tokens, and tokens back into speech. "
        f"Encoder `{config['encoder']}`, quantizer `{config['quantizer']}`, decoder `{config['decoder']}`.",
        "",
        "## Use",
        "",
        "```python",
        "import hasrd, soundfile",
        "",
        f'model = hasrd.load("{folder}")',
        'wave, rate = soundfile.read("speech.wav", dtype="float32")',
        "tokens = model.encode(wave, rate)  # tokens.codes: (1, T, M)",
        "speech = model.decode(tokens)  # (1, N)",
        "```",
        "",
        "```",
        f"hasrd encode {folder} speech.wav speech.npz",
        f"hasrd decode {folder} speech.npz decoded.wav",
        "```",
        "",
        "## What it is",
        "",
        "| | |",
        "|---|---|",
        *(_row(label, value) for label, value in _facts(describe(config, allow_import), config.get("loudness"))),
    ]
    lines += [
        _row("trained on", sets),
        _row("licence of the weights", config["licence"] or "not stated"),
        _row("made with", f"hasrd {config['hasrd']}"),
        _row("SHA-256 of the trained weights", f"`{source['weights_sha256']}`"),
    ]
    if source["encoder_sha256"]:
        lines.append(_row("SHA-256 of the frozen encoder", f"`{source['encoder_sha256']}`"))
    foreign = [config[part] for part in ("frontend", "normalize", "encoder", "quantizer", "decoder")]
    foreign = [path for path in foreign if path and ":" in path]
    if foreign:
        lines += ["", f"It has classes from outside of hasrd ({', '.join(foreign)}): they must be importable where the"]
        lines += ["model is loaded, and loading takes `allow_import=True`."]
    return "\n".join([*lines, "", *_scores(exp_dir, source["weights_sha256"])]) + "\n"


def _facts(model: Description, loudness: float | None) -> list[tuple[str, str]]:
    parts = ("encoder", "quantizer", "decoder")
    shown = ", ".join(f"{part} {model.parameters[part]:,}" for part in parts)
    facts = [
        ("parameters", f"{model.parameters['total']:,} in training ({shown})"),
        ("sample rate", f"{model.sample_rate} Hz, one channel"),
        ("frame rate", f"{model.frame_rate:g} Hz ({model.strides['token']} samples a token)"),
        ("codebooks", str(model.num_codebooks)),
        ("bitrate", f"{model.bitrate_bps / 1000:.3g} kbps"),
    ]
    if loudness is not None:
        level = f"{loudness:g} LUFS inside; tokens carry the loudness of the speech ({LOUDNESS_BITS} bits an utterance)"
        facts.append(("level", f"{level}, and decoding gives it back"))
    sizes = iter(model.codebook_sizes)
    for stream, count in model.streams.items():
        own = [next(sizes) for _ in range(count)]
        rate = bitrate(model.frame_rate, own) / 1000
        facts.append((f"stream `{stream}`", f"{count} x {own[0]} entries, {rate:.3g} kbps"))
    return facts


def _scores(exp_dir: Path, weights_sha256: str) -> list[str]:
    """A table for each test set that the experiment has scores of; none of other weights than the packed ones."""
    results = collect([exp_dir])
    measures = [measure for measure in MEASURES if any(found.score.measure == measure for found in results.scores)]
    sets = results.test_sets(measures)
    if not sets:
        return ["## Scores", "", "None were measured."]
    lines = ["## Scores", "", "Means, with a 95% bootstrap interval over utterances and their number (n)."]
    for test_set in sets:
        lines += ["", f"### {test_set}", ""]
        facts = exp_dir / "tokens" / test_set / "codes.json"
        scored = read_json(facts).get("model") if facts.is_file() else None
        if scored not in (None, weights_sha256):
            lines.append("Scored with other weights of this experiment than these: left out.")
            continue
        lines += ["| measure | of | value |", "|---|---|---|"]
        for measure in measures:
            for found in results.find(measure, test_set):
                lines.append(_row(header(measure), _label(results, found), score_cell([found]).text))
    return lines


def _label(results: Results, found: ScoreRow) -> str:
    score = found.score
    speech = decoded_from(results, score.test_set, found.experiment)
    return WHOLE.get(score.measure) or speech.get(score.system) or probe_label(score.system)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
