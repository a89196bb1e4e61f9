# Copyright 2026 The hasrd authors
# Apache-2.0
"""The model card: README.md of a packed model."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

import yaml

import hasrd
from hasrd.codec.describe import Description, describe
from hasrd.markdown import table_row
from hasrd.metrics.bitrate import LOUDNESS_BITS, bitrate


class CardScores(NamedTuple):
    """What was measured of a model.

    Attributes:
        measures: Their names.
        section: Of the card, Markdown.
    """

    measures: tuple[str, ...] = ()
    section: str = ""


NOT_MEASURED = CardScores()


def model_card(
    config: Mapping[str, Any], folder: str, allow_import: bool = False, scores: CardScores = NOT_MEASURED
) -> str:
    """Return the card as Markdown, with the block of metadata that the Hugging Face Hub reads.

    Args:
        config: config.yaml of the packed model.
        folder: What it is loaded by: its folder's name, or its name on the Hub.
        allow_import: See `hasrd.registry.resolve`.
        scores: What was measured.
    """
    name, source = config["name"], config["source"]
    sets = ", ".join(source["train_sets"]) or "not noted"
    corpora = ", ".join(config["datasets"])
    facts = {
        "library_name": "hasrd",
        "pipeline_tag": "audio-to-audio",
        "tags": ["audio", "speech-tokenizer"],
        "license": config["licence"],
        "language": config["language"],
        "datasets": config["datasets"],
        "metrics": list(scores.measures),
    }
    lines = [
        "---",
        yaml.safe_dump({key: value for key, value in facts.items() if value}, sort_keys=False, allow_unicode=True)
        + "---",
        "",
        f"# {name}",
        "",
        "A speech tokenizer made with hasrd: it turns speech into tokens, and tokens back into speech. "
        f"Encoder `{config['encoder']}`, quantizer `{config['quantizer']}`, decoder `{config['decoder']}`.",
        "",
        "## Use",
        "",
        "```",
        f"pip install 'hasrd[hub] >= {hasrd.__version__}'",
        "```",
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
        *(table_row(fact) for fact in _facts(describe(config, allow_import), config.get("loudness"))),
        table_row(("long speech", _long_speech(config["window"]))),
        table_row(("weights in the file", config["dtype"])),
    ]
    lines += [
        table_row(("trained on", f"{corpora} ({sets})" if corpora else sets)),
        *([table_row(("languages", ", ".join(config["language"])))] if config["language"] else []),
        table_row(("licence of the weights", config["licence"] or "not stated")),
        table_row(("made with", f"hasrd {config['hasrd']}")),
        table_row(("SHA-256 of the trained weights", f"`{source['weights_sha256']}`")),
    ]
    if source["encoder_sha256"]:
        lines.append(table_row(("SHA-256 of the frozen encoder", f"`{source['encoder_sha256']}`")))
    foreign = [config[part] for part in ("frontend", "normalize", "encoder", "quantizer", "decoder")]
    foreign = [path for path in foreign if path and ":" in path]
    if foreign:
        lines += ["", f"It has classes from outside of hasrd ({', '.join(foreign)}): they must be importable where the"]
        lines += ["model is loaded, and loading takes `allow_import=True`."]
    return "\n".join([*lines, *(["", scores.section] if scores.section else [])]) + "\n"


def _long_speech(window: float | None) -> str:
    if window is None:
        return "encoded whole"
    return f"encoded in overlapping windows of {window:g} s where it is longer than one"


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
    books = zip(model.codebook_sizes, model.codebook_strides)
    for stream, count in model.streams.items():
        sizes, strides = zip(*(next(books) for _ in range(count)))
        rate = bitrate(model.frame_rate, sizes, strides) / 1000
        slow = f", each for {strides[0]} frames" if strides[0] > 1 else ""
        facts.append((f"stream `{stream}`", f"{count} x {sizes[0]} entries{slow}, {rate:.3g} kbps"))
    return facts
