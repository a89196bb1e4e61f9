# Copyright 2026 The hasrd authors
# Apache-2.0
"""Which tokenizer `hasrd encode` and `hasrd decode` run over files, and how it computes there."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from hasrd.errors import UserError


@dataclass(frozen=True)
class ModelUse:
    """A tokenizer for files; each process that takes part opens it once.

    Attributes:
        model, device, dtype, compile, model_file, allow_import: Of `hasrd.load`.
        streams: Names joined by commas; None: all that there are.
    """

    model: str
    device: str
    dtype: str
    compile: bool
    model_file: str | None
    allow_import: bool
    streams: str | None

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
        wanted = [name.strip() for name in self.streams.split(",")]
        known = list(dict.fromkeys(self.tokenizer().stream_names))
        for name in wanted:
            if name not in known:
                raise UserError(f"--streams {self.streams}: this model has {', '.join(known)}")
        return [name for name in known if name in wanted]

    def settings(self, made_by: str, **more: Any) -> dict[str, Any]:
        """Return all that shapes the files that it makes, beside what is in `more` and the inputs."""
        streams = ",".join(self.chosen_streams() or ["all"])
        model = self.tokenizer().model_sha256
        return {"made_by": made_by, "model": model, "streams": streams, "dtype": self.dtype, **more}


@functools.lru_cache(maxsize=1)
def _load(*arguments: Any):
    import hasrd

    return hasrd.load(*arguments)
