# Copyright 2026 The hasrd authors
# Apache-2.0
"""A text teacher: the sentence embeddings of a sentence-transformers model (LaBSE, MiniLM, ...)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from hasrd.config import read_json
from hasrd.errors import UserError, first_line
from hasrd.progress import quiet_transformers
from hasrd.teacher.source import content_hash, find_source, read_modules

# What a model may consist of: LaBSE and MiniLM need no more, and nothing else is imported.
PARTS = ("Transformer", "Pooling", "Dense", "Normalize")
BATCH = 64


class SentenceTeacher:
    """A sentence-transformers model from local files. It runs no code from its folder, and asks no server.

    Args:
        source: Its folder, or "package:<distribution>": what an installed package carries.

    Attributes:
        size, model_hash: See the package.

    Raises:
        UserError: No such model, one with other parts than `PARTS`, a damaged one, or the library is not installed.
    """

    def __init__(self, source: str) -> None:
        folder = Path(find_source(source))
        modules = read_modules(folder)
        for name, part in modules:
            if not (name.startswith("sentence_transformers.") and name.rpartition(".")[2] in PARTS):
                raise UserError(f"{folder}: its part {name} is not supported: only {', '.join(PARTS)} are")
            if name.rpartition(".")[2] == "Dense":
                _check_activation(folder / part / "config.json")
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise UserError(
                f"sentence-transformers can't be imported ({error}): pip install sentence-transformers"
            ) from None
        # Weights without code in them, wherever there are such.
        safe = sorted((folder / modules[0][1]).glob("*.safetensors"))
        try:
            with quiet_transformers():
                self.model = SentenceTransformer(
                    str(folder),
                    device="cpu",
                    local_files_only=True,
                    trust_remote_code=False,
                    # Without them torch's restricted loader reads the file.
                    model_kwargs={"use_safetensors": True} if safe else {"weights_only": True},
                ).eval()
            missing = _missing(self.model, safe) if safe else None
            self.size: int = self.embed(["a"]).shape[1]
        except Exception as error:  # the libraries raise many types for damage
            raise UserError(f"{folder}: can't be loaded ({first_line(error)}): get the model's folder again") from error
        if missing:
            raise UserError(f"{folder}: no tensor {missing} in {safe[0].name}: get the model's folder again")
        self._source = source

    @functools.cached_property
    def model_hash(self) -> str:
        """Hash of the weights, the vocabulary and the configuration."""
        return content_hash(self._source)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Sentence embeddings (N, D) float32; texts of like length share a batch.

        A text in capitals alone is lowered first: models that tell them apart take it for initials.
        """
        texts = [text.lower() if text.isupper() else text for text in texts]
        if not texts:
            return np.zeros((0, self.size), np.float32)
        return np.asarray(self.model.encode(texts, batch_size=BATCH, show_progress_bar=False), np.float32)

    def ready(self, device: Any) -> SentenceTeacher:
        """Move it to a device for good; returns it."""
        self.model.to(device)
        return self


def _check_activation(config: Path) -> None:
    """Refuse a dense part whose activation is no class of torch's: the library may import whatever it is."""
    activation = read_json(config, advice="get the model's folder again").get("activation_function", "torch.nn.Tanh")
    if not (isinstance(activation, str) and activation.startswith("torch.nn.")):
        raise UserError(f"{config}: activation_function {activation!r} is not supported: only those of torch.nn are")


def _missing(model: Any, files: Sequence[Path]) -> str | None:
    """A tensor that no file has: transformers would have drawn it at random. That of a pooler is not used."""
    from safetensors import safe_open

    found: set[str] = set()
    for path in files:
        with safe_open(path, framework="pt") as file:
            found.update(file.keys())
    transformer = model[0].auto_model
    prefix = f"{transformer.base_model_prefix}."
    found |= {name.removeprefix(prefix) for name in found}
    names = (name for name in transformer.state_dict() if not name.startswith("pooler."))
    return next((name for name in names if name not in found), None)
