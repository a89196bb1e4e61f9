# Copyright 2026 The hasrd authors
# Apache-2.0
"""Encoders that others trained: reading folders in transformers' layout, and their tensors in a class of ours.

transformers is not needed, and nothing in such a folder is run.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, Mapping, Sequence

import torch
from torch import Tensor

from hasrd.codec.build import build_speech_encoder
from hasrd.config import check, read_json
from hasrd.encoder.speech_encoder import SpeechEncoder
from hasrd.errors import UserError
from hasrd.frontend import CHOICES as FRONTENDS
from hasrd.models.weights import load_strict, read_weights
from hasrd.registry import resolve

# Configuration as `save_encoder` takes it, and a speech encoder in eval mode.
Imported = tuple[dict[str, Any], SpeechEncoder]

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
# The first that is there is used.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# Of pre-training, and among the model's own tensors.
MASK = "masked_spec_embed"


def model_type(folder: Path) -> str | None:
    """Return what kind of model a folder has; None if it is no such folder."""
    try:
        return read_json(folder / CONFIG).get("model_type")
    except UserError:
        return None


def read_config(folder: Path, keys: type, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Read config.json.

    Args:
        folder: With config.json.
        keys: TypedDict of what is used of it.
        fixed: What the class does not know, by the only value that it takes; a key that is missing has it.

    Raises:
        UserError: No such file, a value of another type, or one that can't be imported.
    """
    where = folder / CONFIG
    config = read_json(where)
    check(config, keys, where)
    for key, wanted in fixed.items():
        if config.get(key, wanted) != wanted:
            raise UserError(f"{where}: {key} is {config[key]!r}: only {wanted!r} can be imported")
    return config


def read_preprocessor(folder: Path, keys: type) -> dict[str, Any]:
    """Read preprocessor_config.json, of which `keys` (a TypedDict) are used; empty if there is none."""
    return read_json(folder / PREPROCESSOR, keys) if (folder / PREPROCESSOR).is_file() else {}


def read_model(folder: Path, prefix: str) -> tuple[dict[str, Tensor], Path]:
    """Read the tensors of a model without its heads: (under their names inside of the model, the file).

    Args:
        folder: With model.safetensors or pytorch_model.bin.
        prefix: What stands before the model's names where it has heads; these have other names.

    Raises:
        UserError: Neither file is there, or a damaged one.
    """
    where = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if where is None:
        raise UserError(f"{folder}: neither {' nor '.join(WEIGHTS)} in it")
    tensors = read_weights(where)
    inner = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    tensors = inner or tensors
    tensors.pop(MASK, None)
    return tensors, where


def under_our_names(tensors: Mapping[str, Tensor], patterns: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Return tensors (float32), each renamed by the first pattern that fits: a regular expression of what its name
    begins with, and what stands there in ours.
    """
    found = {}
    for name, tensor in tensors.items():
        for pattern, ours in patterns:
            name, fits = re.subn(f"^{pattern}", ours, name)
            if fits:
                break
        found[name] = tensor.float()
    return found


def join_attention(tensors: dict[str, Tensor], where: str | Path) -> None:
    """Replace the tensors `<part>.q`, `.k` and `.v` by one projection `<part>.qkv`, in place.

    Raises:
        UserError: One of the three is missing, or of another size; names `where`.
    """
    for name in [name for name in tensors if re.fullmatch(r".+\.q\.(weight|bias)", name)]:
        block, _, kind = name.rpartition(".q.")
        parts = [f"{block}.{part}.{kind}" for part in "qkv"]
        missing = next((part for part in parts if part not in tensors), None)
        if missing:
            raise UserError(f"{where}: no tensor {missing}")
        try:
            tensors[f"{block}.qkv.{kind}"] = torch.cat([tensors.pop(part) for part in parts])
        except RuntimeError as error:
            raise UserError(f"{where}: queries, keys and values of {block} are not of one size") from error


def without_defaults(choices: Mapping[str, str], name: str, conf: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a class (its short name) that are given (not None) and differ from its defaults."""
    parameters = inspect.signature(resolve(choices, name, allow_import=False)).parameters
    return {key: value for key, value in conf.items() if value not in (None, parameters[key].default)}


def build_imported(
    frontend: tuple[str, Mapping[str, Any]],
    normalize: str | None,
    encoder: tuple[str, Mapping[str, Any]],
    tensors: Mapping[str, Tensor],
    where: str | Path,
) -> Imported:
    """Build an encoder with what stands before it, and load all of its tensors.

    Args:
        frontend: Its short name and arguments, of which those that are its defaults are left out.
        normalize: Its short name; None for no normalisation.
        encoder: Its short name and arguments.
        tensors: Under the names of our class.
        where: What they are of, for errors.

    Raises:
        UserError: Sizes that don't fit each other, or tensors that are missing, left over or of another size.
    """
    config = {
        "frontend": frontend[0],
        "frontend_conf": without_defaults(FRONTENDS, *frontend),
        "normalize": normalize,
        "encoder": encoder[0],
        "encoder_conf": dict(encoder[1]),
    }
    try:
        speech_encoder = build_speech_encoder(config)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    load_strict(speech_encoder.encoder, tensors, where)
    return config, speech_encoder.eval()
