# Copyright 2026 The hasrd authors
# Apache-2.0
"""Show what a configuration builds or a model is: parameters, rates, receptive field, strides, memory.

Takes a YAML file of a codec or of a pre-training, the folder of an experiment (also of another package's codec) or of
a packed model, or a file encoder.safetensors. No weights are read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Sequence

from hasrd.bin.options import join_values
from hasrd.codec.describe import Description, describe
from hasrd.config import read_json
from hasrd.errors import run_main
from hasrd.jobs.atomic import write_text
from hasrd.models.checkpoint import PEER, PEER_FILE, kind_of
from hasrd.models.configs import complete, read_model_config
from hasrd.models.weights import building
from hasrd.registry import add_allow_import
from hasrd.train.options import effective_config


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


def main(argv: Sequence[str] | None = None) -> None:
    """Describe what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="YAML file, folder of an experiment or packed model, or encoder.safetensors")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, help="write it to this file instead of printing it")
    parser.add_argument("--args", default="", help="options of the training that override the configuration")
    parser.add_argument(
        "--encoder",
        help="the encoder that a codec stands on, as another such file or folder; refused if the codec's configuration "
        "states another one",
    )
    parser.add_argument("--encoder_args", default="", help="options that override the encoder's configuration")
    add_allow_import(parser, "the configuration")
    argv = join_values(sys.argv[1:] if argv is None else argv, ["--args", "--encoder_args"])
    args = parser.parse_args(argv)
    config = effective_config(read_model_config(args.model), args.args)
    if kind_of(config) == PEER:
        facts = read_json((Path(args.model) if Path(args.model).is_dir() else Path(args.model).parent) / PEER_FILE)
        _show(json.dumps({"model": str(args.model), **facts}, indent=1) if args.json else peer_table(facts), args.out)
        return
    encoder = args.encoder and effective_config(read_model_config(args.encoder), args.encoder_args)
    with building(args.model):
        found = describe(complete(config, encoder, args.encoder or "", args.allow_import), args.allow_import)
    _show(json.dumps({"model": str(args.model), **found.to_dict()}, indent=1) if args.json else table(found), args.out)


def _show(text: str, out: Path | None) -> None:
    if out is None:
        print(text)
    else:
        write_text(out, text + "\n")


if __name__ == "__main__":
    run_main(main)
