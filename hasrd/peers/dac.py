# Copyright 2026 The hasrd authors
# Apache-2.0
"""DAC (Kumar et al. 2023) of the package descript-audio-codec, from the files that it publishes.

A model there is one file, {"state_dict": tensors, "metadata": {"kwargs": arguments of its class, ...}}.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Sequence

import torch
from torch import Tensor, nn

from hasrd.errors import UserError, first_line
from hasrd.models.weights import load_strict, read_torch
from hasrd.peers.peer import Peer, package


class DAC(Peer):
    """Args: model: of the class dac.DAC."""

    def __init__(self, model: nn.Module) -> None:
        sizes = (model.codebook_size,) * model.n_codebooks
        super().__init__(model, model.sample_rate, model.sample_rate / int(model.hop_length), sizes)

    def encode(self, wave: Tensor) -> tuple[list[Tensor], Tensor]:
        """Encode waves, padded with zeros to whole frames as the package does; see `Peer.encode`."""
        model = self.model
        latent = model.encoder(model.preprocess(wave[:, None], self.sample_rate))
        codes = model.quantizer(latent, self.num_codebooks)[1]
        return list(codes.unbind(1)), latent.transpose(1, 2)

    def decode(self, books: Sequence[Tensor], first: int = 0) -> Tensor:
        """See `Peer.decode`."""
        return self.model.decode(self.model.quantizer.from_codes(torch.stack(list(books), 1))[0])[:, 0]


def load(path: Path) -> DAC:
    """Load a published file.

    Raises:
        UserError: The package is missing, or the file is not one of its own.
    """
    cls = package("dac", "descript-audio-codec").DAC
    saved = read_torch(path, advice="descript-audio-codec saves such a file with package=False")
    try:
        tensors, kwargs = saved["state_dict"], saved["metadata"]["kwargs"]
        model = cls(**{key: kwargs[key] for key in inspect.signature(cls).parameters if key in kwargs})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"{path}: no DAC can be built from it ({first_line(error)}): a published file has state_dict and metadata"
        ) from error
    load_strict(model, tensors, path)
    return DAC(model)
