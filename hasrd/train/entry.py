# Copyright 2026 The hasrd authors
# Apache-2.0
"""The start of every training: ESPnet's tasks take 15 s to import, so what needs no import is done first."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import os
import sys
import warnings
from pathlib import Path
from typing import Any, Iterator, Mapping, TypedDict

from hasrd.config import FLOAT, read_json
from hasrd.errors import UserError
from hasrd.jobs.lock import exclusive
from hasrd.jobs.origin import Origin, difference, read_record, refuse_stale, write_record
from hasrd.train.origin import last_of, origin_of, read_options

# Files of a training that has come to the end of an epoch.
BEGUN = ("checkpoint.pth", "finished.json")
WAYS_OUT = (
    "train in another folder (--output_dir; in the recipe another --ssl_tag or --codec_tag; of a probe, remove {}), or "
    "say that it is meant and keep what was learned (--accept_changes true; in the recipe in --ssl_args, --codec_args, "
    "--probe_args or the configuration)"
)


class _Finished(TypedDict):
    max_epoch: int


def finished_epochs(output_dir: str | Path) -> int:
    """Epochs for which the training in `output_dir` was asked when it last came to its end; 0 if it never did."""
    try:
        return read_json(Path(output_dir) / "finished.json", _Finished)["max_epoch"]
    except UserError:
        return 0


@contextlib.contextmanager
def without_type_checks() -> Iterator[None]:
    """Let what is imported inside define its functions without typeguard's checks, thousands of them in ESPnet.

    The checks cost two thirds of the import's time. (`python -O` would leave them out too, but with them what other
    packages do inside of assertions.)
    """
    import typeguard

    checked = typeguard.typechecked
    typeguard.typechecked = lambda target=None, **_: target if target is not None else (lambda function: function)
    try:
        yield
    finally:
        typeguard.typechecked = checked


def load_task(task: str) -> type:
    """Import an ESPnet task ("module:Class"), quickly and with our reader of archives."""
    with without_type_checks():
        _quieten_espnet()
        from hasrd.espnet import archives

        archives.register()
        module, _, name = task.partition(":")
        return getattr(importlib.import_module(module), name)


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


@contextlib.contextmanager
def trained(task: str, argv: list[str]) -> Iterator[None]:
    """Run an ESPnet task ("module:Class") on command-line options, then the block; done already, it says so.

    The training's folder is locked until the block ends. Of a training on several nodes, the first one holds the lock;
    the ranks on one node are children of the process that does.

    Raises:
        UserError: The folder holds a training on other data, or with other options; another process trains there; or
            what the models, the data and the trainer report as bad input.
    """
    options = read_options(argv)
    output_dir = last_of(options.get("output_dir"))
    if not output_dir:
        _run(task, argv)
        yield
        return
    output_dir = Path(str(output_dir))
    first = is_first_node(argv)
    if first:
        output_dir.mkdir(parents=True, exist_ok=True)
    with exclusive(output_dir) if first else contextlib.nullcontext():
        if not _is_done(output_dir, options, first):
            _run(task, argv)
        yield


def train(task: str, argv: list[str] | None = None) -> None:
    """Run an ESPnet task on command-line options, by default the program's; errors as of `trained`."""
    with trained(task, sys.argv[1:] if argv is None else argv):
        pass


def is_first_node(argv: list[str]) -> bool:
    """Whether this is the only node of a training with the options `argv`, or the first one."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--dist_rank", type=int)
    parser.add_argument("--dist_world_size", type=int)
    parser.add_argument("--dist_launcher")
    known, _ = parser.parse_known_args(argv)
    if known.dist_launcher is None:
        if known.dist_rank is not None:
            return known.dist_rank == 0
        # As ESPnet: without several nodes, RANK is another program's.
        size = known.dist_world_size or int(os.environ.get("WORLD_SIZE", "1"))
        return size < 2 or int(os.environ.get("RANK", "0")) == 0
    from espnet2.train.distributed_utils import get_node_rank

    return get_node_rank(known.dist_rank, known.dist_launcher) == 0


def _is_done(output_dir: Path, options: Mapping[str, Any], first: bool) -> bool:
    """Note or compare what the training is made from; say whether it has been trained for as long as is asked."""
    single = {name: last_of(value) for name, value in options.items()}
    if single.get("collect_stats"):
        return False
    resume, max_epoch = single.get("resume", True), single.get("max_epoch")
    if first:
        begun = resume and any((output_dir / name).exists() for name in BEGUN)
        note_origin(output_dir, origin_of(options), begun, single.get("accept_changes", False))
    if not (resume and max_epoch and finished_epochs(output_dir) == max_epoch):
        return False
    print(f"note: {output_dir}: already trained for {max_epoch} epochs, nothing to do", file=sys.stderr)
    return True


def note_origin(output_dir: Path, origin: Origin, begun: bool, accept_changes: bool) -> None:
    """Note in a training's folder what it is made from; one that has begun must have been made from the same.

    Raises:
        UserError: It was made from something else, and `accept_changes` does not say that this is meant.
    """
    before = read_record(output_dir)
    if begun and before is None:
        print(f"note: {output_dir}: does not say what it was trained on; taken to be what is there", file=sys.stderr)
    if begun and not accept_changes:
        record = refuse_stale(output_dir, origin, WAYS_OUT.format(output_dir))
    else:
        record = origin.record(before)
        reason = difference(before, record) if begun and before else ""
        if reason:
            print(f"note: {output_dir}: goes on although {reason} (--accept_changes true)", file=sys.stderr)
    output_dir.mkdir(parents=True, exist_ok=True)
    if record != before:
        write_record(output_dir, record)


def _run(task: str, argv: list[str]) -> None:
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
