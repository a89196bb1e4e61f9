# Copyright 2026 The hasrd authors
# Apache-2.0
"""The start of every training: ESPnet's tasks take 15 s to import, so what needs no import is done first."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any, TypedDict

from hasrd.config import FLOAT, read_json, read_yaml
from hasrd.errors import UserError


class _Finished(TypedDict):
    max_epoch: int


def finished_epochs(output_dir: str | Path) -> int:
    """Epochs for which the training in `output_dir` was asked when it last came to its end; 0 if it never did."""
    try:
        return read_json(Path(output_dir) / "finished.json", _Finished)["max_epoch"]
    except UserError:
        return 0


def load_task(task: str) -> type:
    """Import an ESPnet task ("module:Class") without instrumenting its thousands of functions with type checks.

    The checks cost two thirds of the import's time. (`python -O` would leave them out too, but with them the reads that
    kaldiio does inside of its assertions.)
    """
    import typeguard

    checked = typeguard.typechecked
    typeguard.typechecked = lambda target=None, **_: target if target is not None else (lambda function: function)
    try:
        module, _, name = task.partition(":")
        return getattr(importlib.import_module(module), name)
    finally:
        typeguard.typechecked = checked


def train(task: str, argv: list[str] | None = None) -> None:
    """Run an ESPnet task ("module:Class") on command-line options; done already, it says so and returns.

    Raises:
        UserError: What the models, the data and the trainer report as bad input.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--output_dir")
    parser.add_argument("--config")
    parser.add_argument("--max_epoch", type=int)
    parser.add_argument("--collect_stats", default="false")
    known, _ = parser.parse_known_args(argv)
    # ESPnet reads it once more, without saying where it is wrong.
    config = {} if known.config is None else read_yaml(known.config)
    if known.output_dir and known.collect_stats == "false":
        max_epoch = known.max_epoch or config.get("max_epoch")
        if max_epoch is not None and finished_epochs(known.output_dir) == max_epoch:
            print(f"note: {known.output_dir}: already trained for {max_epoch} epochs, nothing to do", file=sys.stderr)
            return
    loaded = load_task(task)
    args = loaded.get_parser().parse_args(argv)
    for name, value in vars(args).items():
        if isinstance(value, dict):
            setattr(args, name, numbers(value))
    loaded.main(args=args)


def numbers(conf: Any) -> Any:
    """Return an option's value with the numbers that ESPnet's reader, of YAML 1.1, takes for text, such as 2e-3."""
    if isinstance(conf, dict):
        return {key: numbers(value) for key, value in conf.items()}
    if isinstance(conf, (list, tuple)):
        return type(conf)(map(numbers, conf))
    return float(conf) if isinstance(conf, str) and FLOAT.match(conf) else conf
