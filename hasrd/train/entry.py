# Copyright 2026 The hasrd authors
# Apache-2.0
"""The start of every training: ESPnet's tasks take 15 s to import, so what needs no import is done first."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Iterator

from hasrd.errors import UserError
from hasrd.jobs.lock import exclusive


def finished_epochs(output_dir: str | Path) -> int:
    """Epochs for which the training in `output_dir` was asked when it last came to its end; 0 if it never did."""
    try:
        return int(json.loads((Path(output_dir) / "finished.json").read_text())["max_epoch"])
    except (OSError, ValueError, KeyError, TypeError):
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


@contextmanager
def trained(task: str, argv: list[str]) -> Iterator[None]:
    """Run an ESPnet task ("module:Class") on command-line options, then the block; done already, it says so.

    The training's folder is locked until the block ends. Of a training on several nodes, the first one holds the lock;
    the ranks on one node are children of the process that does.

    Raises:
        UserError: What the models, the data and the trainer report as bad input; another process that trains there.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--output_dir")
    parser.add_argument("--config")
    parser.add_argument("--max_epoch", type=int)
    parser.add_argument("--collect_stats", default="false")
    parser.add_argument("--dist_rank", type=int)
    parser.add_argument("--dist_launcher")
    known, _ = parser.parse_known_args(argv)
    if known.output_dir:
        Path(known.output_dir).mkdir(parents=True, exist_ok=True)
    with exclusive(known.output_dir) if known.output_dir and _is_first(known) else nullcontext():
        max_epoch = None
        if known.output_dir and known.collect_stats == "false":
            max_epoch = known.max_epoch or _config_epochs(known.config)
        if max_epoch is not None and finished_epochs(known.output_dir) == max_epoch:
            print(f"note: {known.output_dir}: already trained for {max_epoch} epochs, nothing to do", file=sys.stderr)
        else:
            load_task(task).main(cmd=argv)
        yield


def train(task: str, argv: list[str] | None = None) -> None:
    """Run an ESPnet task on command-line options, by default the program's; errors as of `trained`."""
    with trained(task, sys.argv[1:] if argv is None else argv):
        pass


def _is_first(known: argparse.Namespace) -> bool:
    """Whether this is the only node of a training, or the first one."""
    if known.dist_launcher is None:
        return (known.dist_rank or int(os.environ.get("RANK", "0"))) == 0
    from espnet2.train.distributed_utils import get_node_rank

    return get_node_rank(known.dist_rank, known.dist_launcher) == 0


def _config_epochs(path: str | None) -> int | None:
    if path is None:
        return None
    import yaml

    if not Path(path).is_file():
        raise UserError(f"{path}: no such configuration file")
    return (yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}).get("max_epoch")
