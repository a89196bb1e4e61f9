# Copyright 2026 The hasrd authors
# Apache-2.0
"""SNAC (Siuzdak et al. 2024) of the package snac, from a folder with config.json and pytorch_model.bin.

Its codebooks have different rates: of the model for 24 kHz 12, 23 and 47 tokens a second, 1 + 2 + 4 in a frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from torch import Tensor, nn

from hasrd.peers.peer import Peer, build, package

WEIGHTS = "pytorch_model.bin"


class SNAC(Peer):
    """Args: model: of the class snac.SNAC."""

    def __init__(self, model: nn.Module) -> None:
        longest = max(model.vq_strides)
        rate = model.sampling_rate / (int(model.hop_length) * longest)
        steps = [longest // stride for stride in model.vq_strides]
        super().__init__(model, model.sampling_rate, rate, (model.codebook_size,) * len(steps), steps=steps)
        self.vectors_per_frame = longest

    def encode(self, wave: Tensor) -> tuple[list[Tensor], Tensor]:
        """Encode waves, padded with zeros to whole frames as the package does; see `Peer.encode`."""
        latent = self.model.encoder(self.model.preprocess(wave[:, None]))
        codes = self.model.quantizer(latent)[1][: self.num_codebooks]
        batch, dim, vectors = latent.shape
        frames = vectors // self.vectors_per_frame
        return list(codes), latent.transpose(1, 2).reshape(batch, frames, self.vectors_per_frame * dim)

    def decode(self, books: Sequence[Tensor], first: int = 0) -> Tensor:
        """See `Peer.decode`: the package's own takes all of its codebooks, this those that are there."""
        total: Tensor | float = 0.0
        for codes, book in zip(books, self.model.quantizer.quantizers[first:]):
            part = book.out_proj(book.decode_code(codes.clamp(min=0))) * (codes >= 0)[:, None]
            total = total + part.repeat_interleave(book.stride, dim=-1)
        return self.model.decoder(total)[:, 0]


def load(folder: Path) -> SNAC:
    """Load a published folder.

    Raises:
        UserError: The package is missing, or the files are not its own.
    """
    cls = package("snac").SNAC
    return SNAC(build(lambda config: cls(**config), "SNAC", folder / "config.json", folder / WEIGHTS))
