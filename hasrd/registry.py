# Copyright 2026 The hasrd authors
# Apache-2.0
"""Classes by short name or by import path, so that a config can name a class from anywhere."""

from __future__ import annotations

import importlib
from typing import Mapping

from hasrd.errors import UserError


def resolve(choices: Mapping[str, str], name: str) -> type:
    """Return the class that `name` stands for.

    Args:
        choices: Short name to "module:Class".
        name: A short name, or an import path: "package.module:Class" or "package.module.Class".

    Raises:
        UserError: No such short name, module or class.
    """
    path = choices.get(name, name)
    if ":" in path:
        module_name, _, class_name = path.partition(":")
    else:
        module_name, _, class_name = path.rpartition(".")
    if not module_name:
        raise UserError(
            f"unknown class '{name}': choose one of {', '.join(choices)} or give an import path (package.module:Class)"
        )
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except ModuleNotFoundError as error:
        raise UserError(f"class '{name}': no module named '{error.name}'; is it on PYTHONPATH?") from error
    except AttributeError as error:
        raise UserError(f"class '{name}': module '{module_name}' has no class '{class_name}'") from error
