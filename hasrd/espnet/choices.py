# Copyright 2026 The hasrd authors
# Apache-2.0
"""Class choices of ESPnet tasks that also take an import path.

ESPnet's `ClassChoices` knows a closed table of names. The two classes here keep its interface (`add_arguments`,
`get_class`), so ESPnet's parsers and `--print_config` work with them as with its own.
"""

from __future__ import annotations

from typing import Mapping

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder
from espnet2.train.class_choices import ClassChoices
from espnet2.utils.nested_dict_action import NestedDictAction

from hasrd.espnet.encoder import adapt_encoder
from hasrd.registry import resolve


def _none_or_str(value: str) -> str | None:
    """ESPnet's spelling of "nothing", without its lower-casing: an import path has capitals."""
    return None if value.lower() in ("none", "null", "nil") else value


class ImportableChoices(ClassChoices):
    """Choices given as a table of "module:Class", or any import path.

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
        return None if name is None else resolve(self.paths, name)

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


class ExtendedChoices(ImportableChoices):
    """ESPnet's own choices, ours beside them, and any import path.

    ESPnet's task builds its model from its module-level choices, so what is chosen here is registered there: in
    `register`, and nowhere else.
    """

    def __init__(self, base: ClassChoices, ours: Mapping[str, str]):
        super().__init__(base.name, ours, default=base.default)
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

    def register(self, name: str | None) -> None:
        """Make `name` known to ESPnet's own choices, in the two spellings that they look up."""
        if name is not None and name not in self.base.classes:
            chosen = self.get_class(name)
            self.base.classes[name] = self.base.classes[name.lower()] = chosen
