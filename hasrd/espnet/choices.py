# Copyright 2026 The hasrd authors
# Apache-2.0
"""Class choices of ESPnet tasks that also take an import path.

ESPnet's `ClassChoices` knows a closed table of names. The two classes here keep its interface (`add_arguments`,
`get_class`), so ESPnet's parsers and `--print_config` work with them as with its own.
"""

from __future__ import annotations

import argparse
from typing import Collection, Mapping

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder
from espnet2.train.class_choices import ClassChoices
from espnet2.utils.nested_dict_action import NestedDictAction

from hasrd.errors import UserError
from hasrd.espnet.encoder import adapt_encoder
from hasrd.registry import ForeignClass, resolve


def _none_or_str(value: str) -> str | None:
    """ESPnet's spelling of "nothing", without its lower-casing: an import path has capitals."""
    return None if value.lower() in ("none", "null", "nil") else value


class ImportableChoices(ClassChoices):
    """Choices given as a table of "module:Class", or any import path: they are for what a person asks for.

    What a file names is checked first (`hasrd.tasks.asr.ASRTask.build_from_file`).

    Args:
        name: Option name: gives `--<name>` and `--<name>_conf`.
        choices: Short name to "module:Class" (the `CHOICES` of a package of models).
        default: Short name taken when the option is not given; None makes the option optional.
    """

    def __init__(self, name: str, choices: Mapping[str, str], default: str | None = None):
        super().__init__(name, {}, default=default)
        self.paths = dict(choices)

    def choices(self) -> tuple[str | None, ...]:
        """Return the short names."""
        return tuple(self.paths) + ((None,) if self.optional else ())

    def get_class(self, name: str | None) -> type | None:
        """Return the class for a short name or an import path (UserError where there is none)."""
        return None if name is None else resolve(self.paths, name, allow_import=True)

    def check(self, name: str | None) -> None:
        """Raise ForeignClass where `name` is none of the choices: of a file that nobody has vouched for."""
        if name is not None:
            resolve(self.paths, name, allow_import=False)

    def add_arguments(self, parser) -> None:
        """Add `--<name>` and `--<name>_conf` to the parser."""
        names = ", ".join(str(name) for name in self.choices())
        parser.add_argument(
            f"--{self.name}",
            type=_none_or_str,
            default=self.default,
            help=f"The {self.name} class: {names}, or an import path (package.module:Class)",
        )
        parser.add_argument(
            f"--{self.name}_conf",
            action=NestedDictAction,
            default=dict(),
            help=f"The keyword arguments of the {self.name} class",
        )


def check_choices(task: type, args: argparse.Namespace) -> None:
    """Refuse the classes of a configuration that nobody has vouched for.

    Args:
        task: One of ours, which `args` are for.
        args: A configuration.

    Raises:
        ForeignClass: One is named by an import path, or is a class of ESPnet's that reads models of others.
    """
    for choices in task.class_choices_list:
        try:
            choices.check(getattr(args, choices.name, None))
        except UserError as error:
            raise type(error)(f"{choices.name} {error}") from error


class ExtendedChoices(ImportableChoices):
    """ESPnet's own choices, ours beside them, and any import path.

    Args:
        base: ESPnet's.
        ours: Short name to "module:Class".
        plain: Names of ESPnet's that are built from their arguments alone; the others load models of others, with
            packages that fetch or unpickle them. None: all.

    ESPnet's task builds its model from its module-level choices, so what is chosen here is registered there: in
    `register`, and nowhere else.
    """

    def __init__(self, base: ClassChoices, ours: Mapping[str, str], plain: Collection[str] | None = None):
        super().__init__(base.name, ours, default=base.default)
        # Not those that are registered later.
        self.plain = frozenset(base.classes if plain is None else plain)
        self.reading = frozenset(base.classes) - self.plain
        self.base = base
        self.optional = base.optional

    def choices(self) -> tuple[str | None, ...]:
        """Return ESPnet's short names and ours."""
        return tuple(self.base.classes) + super().choices()

    def get_class(self, name: str | None) -> type | None:
        """Return the class; torch-only encoders come wrapped as ESPnet's `AbsEncoder`.

        Raises:
            UserError: No such class.
            TypeError: A class that is not of ESPnet's base type and can't be wrapped.
        """
        if name is None or name in self.base.classes:
            return self.base.get_class(name)
        chosen = super().get_class(name)
        if self.base.base_type is AbsEncoder and not issubclass(chosen, AbsEncoder):
            if issubclass(chosen, torch.nn.Module):
                chosen = adapt_encoder(chosen)
        if self.base.base_type is not None and not issubclass(chosen, self.base.base_type):
            raise TypeError(f"--{self.name} {name} must be a {self.base.base_type.__name__}")
        return chosen

    def check(self, name: str | None) -> None:
        """Raise ForeignClass for an import path, and for a class of ESPnet's that reads models of others."""
        if isinstance(name, str) and name in self.reading:
            raise ForeignClass(
                f"'{name}' would load a model of others with its own package, which may run code out of it; if you "
                "trust it, give --allow_import"
            )
        if not isinstance(name, str) or name not in self.plain:
            super().check(name)

    def register(self, name: str | None) -> None:
        """Make `name` known to ESPnet's own choices, in the two spellings that they look up."""
        if name is not None and name not in self.base.classes:
            chosen = self.get_class(name)
            self.base.classes[name] = self.base.classes[name.lower()] = chosen
