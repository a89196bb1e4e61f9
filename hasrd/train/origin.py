# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a training is made from: its configuration, its data, and the files that the configuration names."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from hasrd.codec import latent_cache
from hasrd.config import read_yaml
from hasrd.data import targets
from hasrd.jobs.origin import Origin
from hasrd.train.options import effective_config, without

# Options of data sets: "file,name,type". A table of these types says its values itself; others list files.
DATA_OPTIONS = {"train": "train_data_path_and_name_and_type", "valid": "valid_data_path_and_name_and_type"}
VALUES = ("text", "csv")


def read_options(argv: Sequence[str]) -> dict[str, Any]:
    """Return the options of a training's command line over those of its --config, as ESPnet's parser would.

    What is no option is left to that parser.

    Raises:
        UserError: No such configuration, or one that can't be read.
    """
    if not argv or not argv[0].startswith("--"):
        return {}
    text = shlex.join(argv)
    config = last_of(effective_config({}, text).get("config"))
    return effective_config(read_yaml(config) if isinstance(config, str) else {}, text)


def last_of(value: Any) -> Any:
    """Return the value of an option that takes one: of one that was given several times the last counts."""
    return value[-1] if isinstance(value, list) and value else value


def origin_of(options: Mapping[str, Any]) -> Origin:
    """Return the origin of a training.

    How long, where and on what machine it trains does not count (`options.IGNORED`). Files count by their content.

    Args:
        options: From `read_options`.
    """
    kept = without(options)
    files: dict[str, Path] = {}
    tables: dict[str, Path] = {}
    for part, option in DATA_OPTIONS.items():
        kinds = []
        for triple in _listed(kept.pop(option, None)):
            path, name, kind = (*str(triple).split(","), "", "")[:3]
            kinds.append(f"{name},{kind}")
            (files if kind.startswith(VALUES) else tables)[f"{part}'s {name}"] = Path(path)
        kept[option] = kinds
    values: dict[str, Any] = {}
    for name, value in _leaves(kept):
        values[name] = value
        if not isinstance(value, str) or not value:
            continue
        # ESPnet's --init_param names parts of a model after the file.
        file = value if os.path.exists(value) else value.partition(":")[0]
        path = Path(file)
        if path.is_file():
            files[name], values[name] = path, value.removeprefix(file)
        elif path.is_dir() and (os.sep in value or name == "init_model"):
            values[name] = ""
            own_files, own_tables = _read_of(path)
            files.update({f"{name}/{key}": own for key, own in own_files.items()})
            tables.update({f"{name}/{key}": own for key, own in own_tables.items()})
    return Origin(values, files, tables)


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values in mappings and lists with their names, such as encoder_conf.num_blocks."""
    if not isinstance(value, (Mapping, list)):
        yield name, value
        return
    for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from _leaves(inner, f"{name}.{key}" if name else str(key))


def _read_of(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Return what a training reads of a folder: files, and tables that list files, by name."""
    for facts, files in ((targets.FACTS, targets.target_files), (latent_cache.FACTS, latent_cache.cached_files)):
        if (folder / facts).is_file():
            return files(folder)
    return _files_in(folder), {}


def _files_in(folder: Path) -> dict[str, Path]:
    """Return the files of a model's folder."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path for path in found}
