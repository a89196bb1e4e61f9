# Copyright 2026 The hasrd authors
# Apache-2.0
"""Options of a training's command line as a configuration, as ESPnet's parser would read them."""

from __future__ import annotations

import argparse
import copy
import re
import shlex
from typing import Any

from hasrd.config import parse_json, parse_yaml
from hasrd.errors import UserError

# Options that say how long to train, where and how to report, but not what comes out.
IGNORED = frozenset(
    """
    accept_changes allow_import allow_variable_data_keys collect_stats config create_graph_in_tensorboard dist_backend
    dist_init_method dist_launcher dist_master_addr dist_master_port dist_rank dist_world_size dry_run
    keep_nbest_models local_rank log_interval log_level max_cache_fd max_cache_size max_epoch
    multiprocessing_distributed ngpu num_att_plot num_workers output_dir patience print_config
    resume use_matplotlib use_tensorboard use_wandb wandb_entity wandb_id
    wandb_model_log_interval wandb_name wandb_project write_collected_feats
    """.split()
)


def split_args(text: str, option: str = "--args") -> list[str]:
    """Split the text of an option that holds options into words, as a shell would: quotes hold a word together.

    Raises:
        UserError: A quote is not closed.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"{option} '{text}': {str(error).lower()}: close the quote") from None


def parse_args_string(text: str) -> dict[str, Any]:
    """Turn command-line options into a nested dict, as ESPnet's parser would.

    Args:
        text: For example "--max_epoch 3 --encoder_conf num_blocks=2 --optim_conf '{lr: 0.1}'".

    Raises:
        UserError: The text does not start with an option, or a quote is not closed.
    """
    words = split_args(text)
    result: dict[str, Any] = {}
    i = 0
    while i < len(words):
        if not words[i].startswith("--"):
            raise UserError(f"--args '{text}': '{words[i]}' is not an option, expected --name value")
        name, equals, value = words[i][2:].partition("=")
        i += 1
        values = [value] if equals else []
        while i < len(words) and not words[i].startswith("--"):
            values.append(words[i])
            i += 1
        for value in values or ["true"]:
            _set(result, name.replace("-", "_"), value)
    return result


def key_value(text: str) -> tuple[str, Any]:
    """`key=value`, with a value that is JSON where it can be read as such, else text; argparse reports the rest."""
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"'{text}' is not key=value")
    try:
        return key, parse_json(value, text)
    except UserError:
        return key, value


def _set(config: dict[str, Any], name: str, value: str) -> None:
    """Set one option; `key=value` for a `*_conf` option sets a key inside of it, dots go deeper."""
    match = re.fullmatch(r"([A-Za-z_][\w.]*)=(.*)", value, flags=re.DOTALL)
    if match is None:
        parsed = _parse(value)
        if isinstance(parsed, dict) and isinstance(config.get(name), dict):
            merge(config[name], parsed)
        elif name in config and not isinstance(parsed, dict) and not name.endswith("_conf"):
            # An option given twice or with several values: all of them count.
            previous = config[name]
            config[name] = [*previous, parsed] if isinstance(previous, list) else [previous, parsed]
        else:
            config[name] = parsed
        return
    *parents, last = match[1].split(".")
    where = config
    for key in (name, *parents):
        if not isinstance(where.get(key), dict):
            where[key] = {}
        where = where[key]
    where[last] = _parse(match[2])


def _parse(value: str) -> Any:
    try:
        return parse_yaml(value, "")
    except UserError:
        return value


def merge(base: dict[str, Any], other: dict[str, Any]) -> None:
    """Put `other` into `base`, key by key at every depth."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value


def effective_config(config: dict[str, Any], args: str) -> dict[str, Any]:
    """Return what a training makes of a configuration and the options that override it; args as `parse_args_string`."""
    effective = copy.deepcopy(config)
    merge(effective, parse_args_string(args))
    return effective


def without(config: dict[str, Any], ignored: frozenset[str] = IGNORED, prefix: str = "") -> dict[str, Any]:
    """Return a configuration without the options that are ignored; a dot in a name goes inside ("optim_conf.lr")."""
    kept = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if name in ignored:
            continue
        kept[str(key)] = without(value, ignored, f"{name}.") if isinstance(value, dict) else value
    return kept
