# Copyright 2026 The hasrd authors
# Apache-2.0
"""SpeechTokenizer (Zhang et al. 2024) of the package speechtokenizer, from a folder with config.json and its weights.

The first codebook was distilled from HuBERT and is the semantic stream. As its authors do, a stream is decoded from its
codebooks alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import torch
from torch import Tensor, nn

from hasrd.errors import UserError
from hasrd.peers.peer import Peer, build, package

SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")


class SpeechTokenizer(Peer):
    """Args: model: of the class speechtokenizer.SpeechTokenizer."""

    def __init__(self, model: nn.Module) -> None:
        rate = model.sample_rate / int(model.downsample_rate)
        super().__init__(model, model.sample_rate, rate, (model.quantizer.bins,) * model.n_q, semantic=1)

    def encode(self, wave: Tensor) -> tuple[list[Tensor], Tensor]:
        """See `Peer.encode`."""
        latent = self.model.encoder(wave[:, None])
        return list(self.model.quantizer.encode(latent, n_q=self.num_codebooks)), latent.transpose(1, 2)

    def decode(self, books: Sequence[Tensor], first: int = 0) -> Tensor:
        """See `Peer.decode`."""
        return self.model.decode(torch.stack(list(books)), st=first)[:, 0]

    def vectors(self, books: Sequence[Tensor], first: int = 0) -> Tensor:
        """See `Peer.vectors`."""
        return self.model.quantizer.decode(torch.stack(list(books)), st=first).transpose(1, 2)


def weights_file(folder: Path) -> Path:
    """Find the one file of weights in a folder.

    Raises:
        UserError: There is none, or there are several.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise UserError(f"{folder}: one file of weights is needed beside config.json ({' '.join(SUFFIXES)}): {names}")
    return found[0]


def load(folder: Path) -> SpeechTokenizer:
    """Load a published folder.

    Raises:
        UserError: The package is missing, or the files are not its own.
    """
    cls = package("speechtokenizer").SpeechTokenizer
    return SpeechTokenizer(build(cls, "SpeechTokenizer", folder / "config.json", weights_file(folder)))
