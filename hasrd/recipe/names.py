# Copyright 2026 The hasrd authors
# Apache-2.0
"""The name of an experiment's folder, made of its configuration.

A changed configuration gets a folder of its own; a change of how long to train, or of what leaves the model as it is,
keeps the folder, so that training goes on there.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Sequence

from hasrd.config import read_yaml
from hasrd.train.options import IGNORED, effective_config, parse_args_string, without

MAX_OVERRIDES = 60  # characters of the folder's name


def _changed(overrides: dict[str, Any], base: Any) -> dict[str, Any]:
    """What of `overrides` is not already so in `base`."""
    kept = {}
    for key, value in overrides.items():
        before = base.get(key) if isinstance(base, dict) else None
        if isinstance(value, dict):
            kept[key] = _changed(value, before)
        elif value != before:
            kept[key] = value
    return kept


def _flat(config: dict[str, Any]) -> list[str]:
    words = []
    for key, value in config.items():
        if isinstance(value, dict):
            words += _flat(value)
        else:
            words.append(re.sub(r"[^A-Za-z0-9_.+-]+", "-", f"{key}{_text(value)}").strip("-"))
    return words


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(_text(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def exp_name(config: str | Path, args: str = "", ignore: Sequence[str] = (), salt: Sequence[str] = ()) -> str:
    """Give the folder name: the configuration's name, what `args` overrides, and a hash of both together.

    Args:
        config: YAML file.
        args: Further options of the command line, which override it.
        ignore: Names to leave out besides `IGNORED`; a dot goes inside ("optim_conf.lr").
        salt: What else makes another experiment (the hash of an encoder, the name of a training set).
    """
    ignored = IGNORED | frozenset(ignore)
    base = read_yaml(config)
    effective = without(effective_config(base, args), ignored)
    changed = _changed(without(parse_args_string(args), ignored), without(base, ignored))
    text = json.dumps([effective, list(salt)], sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    readable = "_".join(_flat(changed))[:MAX_OVERRIDES].rstrip("-._")
    return "_".join(part for part in (Path(config).stem, readable, digest) if part)
