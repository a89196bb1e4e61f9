# Copyright 2026 The hasrd authors
# Apache-2.0
"""Which tokenizer `hasrd encode`, `decode` and `resynth` run over files, and how it computes there."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from hasrd.codec.tokens import Tokens
from hasrd.errors import UserError


@dataclass(frozen=True)
class ModelUse:
    """A tokenizer for files; each process that takes part opens it once.

    Attributes:
        model, device, dtype, compile, model_file, allow_import: Of `hasrd.load`.
        streams: Names joined by commas; None: all that there are.
        codebooks: How many of the first codebooks, of these streams; None: all.
    """

    model: str
    device: str
    dtype: str
    compile: bool
    model_file: str | None
    allow_import: bool
    streams: str | None
    codebooks: int | None

    def tokenizer(self):
        """Return the tokenizer."""
        return _load(self.model, self.device, self.dtype, self.compile, self.model_file, self.allow_import)

    def chosen_streams(self) -> list[str] | None:
        """Return the streams that are named, in the model's order; None where none is.

        Raises:
            UserError: The model has no such stream.
        """
        if self.streams is None:
            return None
        wanted = [name.strip() for name in self.streams.split(",") if name.strip()]
        known = list(dict.fromkeys(self.tokenizer().stream_names))
        if not wanted or not set(wanted) <= set(known):
            raise UserError(f"--streams {self.streams}: this model has {', '.join(known)}")
        return [name for name in known if name in wanted]

    def chosen(self, tokens: Tokens) -> Tokens:
        """Return the codebooks that are named.

        Raises:
            UserError: The tokens lack one.
        """
        streams = self.chosen_streams()
        try:
            tokens = tokens if streams is None else tokens.select(streams)
            return tokens if self.codebooks is None else tokens.first(self.codebooks)
        except ValueError as error:
            raise UserError(str(error)) from None

    def settings(self, made_by: str, **more: Any) -> dict[str, Any]:
        """Return all that shapes the files that it makes, beside what is in `more` and the inputs.

        Raises:
            UserError: The model has no such streams, or not so many codebooks.
        """
        streams, names = self.chosen_streams(), self.tokenizer().stream_names
        held = sum(streams is None or name in streams for name in names)
        if self.codebooks is not None and not 1 <= self.codebooks <= held:
            shown = ", ".join(streams or ["all streams"])
            raise UserError(f"--codebooks {self.codebooks}: this model has {held} in {shown}")
        model = self.tokenizer().model_sha256
        # Missing where it is not given, as in the settings of earlier versions.
        codebooks = {} if self.codebooks is None else {"codebooks": self.codebooks}
        streams_text = ",".join(streams or ["all"])
        return {"made_by": made_by, "model": model, "streams": streams_text, "dtype": self.dtype, **codebooks, **more}


@functools.lru_cache(maxsize=1)
def _load(*arguments: Any):
    import hasrd

    return hasrd.load(*arguments)
