# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a model is, as text or JSON, from its configuration alone (`hasrd info`)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Mapping

from hasrd.codec.describe import Description, describe
from hasrd.config import read_json
from hasrd.models.checkpoint import PEER, PEER_FILE, kind_of
from hasrd.models.configs import complete
from hasrd.models.weights import building


def describe_model(
    model: str,
    config: dict[str, Any],
    encoder: str | None,
    encoder_config: dict[str, Any] | None,
    allow_import: bool,
    as_json: bool,
) -> str:
    """Return what a model is.

    Args:
        model: YAML file, folder of an experiment or packed model, or encoder.safetensors.
        config: Its configuration, see `read_model_config`.
        encoder, encoder_config: The same of the encoder that a codec stands on; None: the one that it names.
        allow_import: Import classes that the configuration names by import path.
        as_json: JSON in place of a table.

    Raises:
        UserError: A file or configuration that can't be used.
    """
    if kind_of(config) == PEER:
        facts = read_json((Path(model) if Path(model).is_dir() else Path(model).parent) / PEER_FILE)
        return _json(model, facts) if as_json else peer_table(facts)
    with building(model):
        found = describe(complete(config, encoder_config, encoder or "", allow_import), allow_import)
    return _json(model, found.to_dict()) if as_json else table(found)


def _json(model: str, facts: Mapping[str, Any]) -> str:
    return json.dumps({"model": str(model), **facts}, indent=1)


def table(found: Description) -> str:
    """Return a description as text."""
    rows: list[tuple[str, str]] = []
    for part, number in found.parameters.items():
        if number is None:
            continue
        frozen = " (frozen)" if part == "encoder" and found.frozen_encoder else ""
        without = " (without the discriminator)" if part == "total" and found.parameters["discriminator"] else ""
        rows.append((f"{part} parameters", f"{number:>13,}  {number / 1e6:6.1f} M{frozen}{without}"))
        if part == "encoder" and len(found.encoder_parameters) > 1:
            rows += [(f"  {name}", f"{size:>13,}") for name, size in found.encoder_parameters.items()]
    strides = found.strides
    rows.append(("sample rate", f"{found.sample_rate} Hz"))
    rows.append(("frame rate", f"{found.frame_rate:g} Hz, a token is {strides['token']} samples"))
    if found.bitrate_bps is not None:
        books = ", ".join(f"{number} {name}" for name, number in found.streams.items())
        sizes = "/".join(str(size) for size in dict.fromkeys(found.codebook_sizes))
        rows.append(("bitrate", f"{found.bitrate_bps / 1000:.2f} kbps"))
        rows.append(("codebooks", f"{found.num_codebooks} ({books}) of {sizes} entries"))
    by_part = [f"frontend {strides['frontend']}", f"encoder {' '.join(map(str, strides['encoder']))}"]
    if strides["decoder"]:
        by_part.append(f"decoder {' '.join(map(str, strides['decoder']))}")
    rows.append(("strides", ", ".join(by_part)))
    rows.append(("shortest input", f"{found.min_samples} samples"))
    for part, what in (("encoder", "a token depends on"), ("decoder", "a token has an effect on")):
        extent = found.receptive_field[part]
        if extent is not None:
            size = [f"{extent['samples']} samples ({extent['ms']:.0f} ms)"] if extent["samples"] else []
            rows.append((what, ", ".join(size + ([extent["note"]] if extent["note"] else []))))
    memory = found.memory_bytes
    rows.append(("weights", f"{_mib(memory['weights_float32'])}, {_mib(memory['weights_bfloat16'])} in bfloat16"))
    if found.kind != "encoder":
        training = ", ".join(f"{name} {_mib(size)}" for name, size in memory["training"].items() if size is not None)
        rows.append(("training", f"{training}, besides activations"))
    rows += [("note", note) for note in found.notes]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def peer_table(facts: dict[str, Any]) -> str:
    """Return what is known of a codec that others trained (peer.json) as text."""
    books = ", ".join(f"{number} {name}" for name, number in Counter(facts["stream_names"]).items())
    sizes = "/".join(str(size) for size in dict.fromkeys(facts["codebook_sizes"]))
    rows = [
        ("made by", f"{facts['package']} ({facts['asked']['kind']})"),
        ("total parameters", f"{facts['parameters']:>13,}  {facts['parameters'] / 1e6:6.1f} M"),
        ("sample rate", f"{facts['sample_rate']} Hz of the data, {facts['peer_sample_rate']} Hz inside"),
        ("frame rate", f"{facts['frame_rate']:g} Hz"),
        ("bitrate", f"{facts['bitrate_bps'] / 1000:.2f} kbps"),
        ("tokens of a frame", f"{len(facts['stream_names'])} ({books}) of {sizes} entries"),
        *((f"SHA-256 of {name}", digest) for name, digest in facts["asked"]["sha256"].items()),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
