# Copyright 2026 The hasrd authors
# Apache-2.0
"""Files of weights: the one place where such a file is opened, and where tensors are put into a model.

Two formats are read: safetensors, and what `torch.save` writes, of which torch's restricted loader takes tensors and
plain data alone. Nothing in either is run.
"""

from __future__ import annotations

import warnings
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Mapping

import torch
from safetensors import safe_open
from torch import Tensor, nn

from hasrd.config import parse_json
from hasrd.errors import UserError, first_line

SAFETENSORS = ".safetensors"


def read_safetensors(path: str | Path, advice: str = "get it again") -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: (tensors, the texts of its header).

    Raises:
        UserError: No such file, or not a complete one; ends with `advice`.
    """
    with _reading(path, advice), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}


def read_header(path: str | Path, advice: str = "get it again") -> dict[str, str]:
    """Read the texts of a safetensors file's header, and none of its tensors; errors as of `read_safetensors`."""
    with _reading(path, advice), safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def read_torch(path: str | Path, device: str | torch.device = "cpu", advice: str = "get it again") -> Any:
    """Read what `torch.save` wrote: tensors and plain data (text, numbers, lists, mappings).

    Args:
        path: In torch's format since 1.6, a zip archive, or the older one.
        device: Where the tensors go.
        advice: What to do about a damaged file.

    Raises:
        UserError: No such file, not a complete one, or one that holds more than that, which would have to be run.
    """
    with _reading(path, advice):
        check_archive(path)
        with warnings.catch_warnings():
            # Of old and of foreign pickles, which it reads or refuses all the same.
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location=device, weights_only=True)
        _check_tensors(found)
        return found


def read_weights(path: str | Path, advice: str = "get it again") -> dict[str, Tensor]:
    """Read the tensors of a model's state dict, in either format.

    Raises:
        UserError: As of `read_torch`, or something else than named tensors.
    """
    if Path(path).suffix == SAFETENSORS:
        return read_safetensors(path, advice)[0]
    found = read_torch(path, advice=advice)
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in found.items()
    ):
        raise UserError(f"{path}: not a dictionary of tensors (a model's state dict): {advice}")
    return dict(found)


def read_config_of(path: str | Path, advice: str = "get it again") -> dict[str, Any]:
    """Read the configuration that stands in the header of an encoder's file.

    Raises:
        UserError: No such file, or no such configuration in it.
    """
    text = read_header(path, advice).get("config")
    config = None if text is None else parse_json(text, f"{path}: its configuration", advice)
    if not isinstance(config, dict):
        raise UserError(f"{path}: not an encoder file of stage 3 (of a packed model, give the folder): {advice}")
    return config


def part_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors of one part of a model, with their names in it."""
    prefix = f"{part}."
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def load_strict(module: nn.Module, tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Load all of a module's tensors, and no others, all of them finite.

    Raises:
        UserError: A missing, unexpected or mis-shaped tensor, or one with NaN or infinity where the module has none;
            names it, and `path`, where they come from.
    """
    own = module.state_dict()
    for name, tensor in tensors.items():
        if name in own and tensor.is_floating_point() and not tensor.isfinite().all() and own[name].isfinite().all():
            raise UserError(f"{path}: '{name}' is not finite: the training diverged, or the file is damaged")
    try:
        module.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[1:4])
        shown = reason if len(reason) <= 400 else f"{reason[:400]} ..."
        raise UserError(f"{path}: its tensors don't fit its configuration: {shown}") from error


@contextmanager
def building(path: str | Path) -> Iterator[None]:
    """Say the file that a model is built from with whatever is wrong with it."""
    try:
        yield
    except UserError as error:
        text = str(error).removeprefix("config: ")
        raise type(error)(text if text.startswith(f"{path}:") else f"{path}: {text}") from error
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # a class that is given anything fails in any way
        raise UserError(f"{path}: no model can be built from it: {first_line(error)}") from error


@contextmanager
def _reading(path: str | Path, advice: str) -> Iterator[None]:
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file: {advice}")
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # both libraries raise many types for damage, and more for what they refuse
        reason = "it holds more than tensors and plain data" if "weights_only" in str(error) else first_line(error)
        raise UserError(f"{path}: not a complete file of weights ({reason}): {advice}") from error


def check_archive(path: str | Path) -> None:
    """Refuse a zip archive whose members are compressed, or larger than the file: torch would take memory for them."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > Path(path).stat().st_size:
            raise ValueError("its members are said to be larger than the file")


def _check_tensors(value: Any) -> None:
    """Refuse tensors with more values than are in the file: whatever touched one would take memory for it."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            _check_tensors(item)
    elif isinstance(value, Tensor):
        if value.layout != torch.strided or value.is_quantized or value.is_meta:
            raise ValueError(f"a tensor that is {value.layout} on {value.device}")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ValueError(f"a tensor {tuple(value.shape)} with fewer values in the file")
