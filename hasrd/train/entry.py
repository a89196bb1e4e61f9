# Copyright 2026 The hasrd authors
# Apache-2.0
"""The start of every training: ESPnet's tasks take 15 s to import, so what needs no import is done first."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import sys
import warnings
from pathlib import Path

from hasrd.errors import UserError


def finished_epochs(output_dir: str | Path) -> int:
    """Epochs for which the training in `output_dir` was asked when it last came to its end; 0 if it never did."""
    try:
        return int(json.loads((Path(output_dir) / "finished.json").read_text())["max_epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def load_task(task: str) -> type:
    """Import an ESPnet task ("module:Class") without instrumenting its thousands of functions with type checks.

    The checks cost two thirds of the import's time. (`python -O` would leave them out too, but with them what other
    packages do inside of assertions.)
    """
    import typeguard

    checked = typeguard.typechecked
    typeguard.typechecked = lambda target=None, **_: target if target is not None else (lambda function: function)
    try:
        _quieten_espnet()
        from hasrd.espnet import archives

        archives.register()
        module, _, name = task.partition(":")
        return getattr(importlib.import_module(module), name)
    finally:
        typeguard.typechecked = checked


def _quieten_espnet() -> None:
    """Leave out what tells a user of ESPnet's deprecations, and of packages that nothing here uses.

    ESPnet's attention prints that flash_attn is missing. What ESPnet 202511 imports for speech synthesis has source
    that Python warns of, and downloads data: that is left out.
    """
    # Of ESPnet's own code.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"espnet2\.")
    home = "espnet2.legacy.nets" if importlib.util.find_spec("espnet2.legacy") else "espnet.nets"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        importlib.import_module(f"{home}.pytorch_backend.transformer.attention")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        with contextlib.suppress(ImportError):
            importlib.import_module("tacotron_cleaner")
    if importlib.util.find_spec("g2p_en"):
        import nltk

        download, nltk.download = nltk.download, lambda *_, **__: False
        try:
            importlib.import_module("g2p_en")
        finally:
            nltk.download = download


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
    if known.output_dir and known.collect_stats == "false":
        max_epoch = known.max_epoch or _config_epochs(known.config)
        if max_epoch is not None and finished_epochs(known.output_dir) == max_epoch:
            print(f"note: {known.output_dir}: already trained for {max_epoch} epochs, nothing to do", file=sys.stderr)
            return
    load_task(task).main(cmd=argv)


def _config_epochs(path: str | None) -> int | None:
    if path is None:
        return None
    import yaml

    if not Path(path).is_file():
        raise UserError(f"{path}: no such configuration file")
    return (yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}).get("max_epoch")
