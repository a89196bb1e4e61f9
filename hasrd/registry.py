# Copyright 2026 The hasrd authors
# Apache-2.0
"""Classes by short name or by import path, so that a configuration can name a class from anywhere."""

from __future__ import annotations

import argparse
import importlib
from typing import Any, Mapping

from hasrd.errors import UserError

# Of a training, whose configuration a person names.
ALLOW_IMPORT = (
    "Also import classes that files made elsewhere (an encoder's, a teacher's) name by import path, which runs their "
    "code; those of the configuration itself are always imported"
)


def add_allow_import(parser: argparse.ArgumentParser, what: str = "the model") -> None:
    """Add `--allow_import` to the options of a command that builds `what` from files."""
    parser.add_argument(
        "--allow_import",
        action="store_true",
        help=f"import the classes that {what} names by import path, which runs their code; else such are refused",
    )


class ForeignClass(UserError):
    """A class that is none of hasrd's, where nobody said that it may be imported."""


def resolve(choices: Mapping[str, str], name: Any, allow_import: bool) -> type:
    """Return the class that `name` stands for; whatever is built from a file gets its classes here.

    Args:
        choices: Short name to "module:Class".
        name: A short name, one of the values of `choices`, or another import path: "package.module:Class" or
            "package.module.Class".
        allow_import: Whether an import path that is none of the choices may be imported, which runs its code. True only
            where a person said so: on the command line (--allow_import, or the configuration of a training), or in
            Python. What a file says never decides it.

    Raises:
        ForeignClass: Such an import path, which is not allowed.
        UserError: No such short name, module or class.
    """
    if not isinstance(name, str):
        raise UserError(f"unknown class {name!r}: choose one of {', '.join(choices)}")
    own = {path.replace(":", "."): path for path in choices.values()}
    if name in choices or name.replace(":", ".") in own:
        path = choices.get(name) or own[name.replace(":", ".")]
    elif not name.replace(":", ".").rpartition(".")[0]:
        raise UserError(
            f"unknown class '{name}': choose one of {', '.join(choices)} or give an import path (package.module:Class)"
        )
    elif not allow_import:
        raise ForeignClass(
            f"'{name}' is no class of hasrd: importing it would run its code; if you trust it, load with "
            "allow_import=True (--allow_import)"
        )
    else:
        path = name
    module_name, _, class_name = path.partition(":") if ":" in path else path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except ModuleNotFoundError as error:
        raise UserError(f"class '{name}': no module named '{error.name}'; is it on PYTHONPATH?") from error
    except AttributeError as error:
        raise UserError(f"class '{name}': module '{module_name}' has no class '{class_name}'") from error
