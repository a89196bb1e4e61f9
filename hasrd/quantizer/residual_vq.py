# Copyright 2026 The hasrd authors
# Apache-2.0
"""Residual vector quantization with factorised, L2-normalised codes.

DAC's ("High-Fidelity Audio Compression with Improved RVQGAN", Kumar et al. 2023, section 3.2).
"""

from __future__ import annotations

from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from hasrd.quantizer.kmeans import assign
from hasrd.quantizer.output import QuantizerOutput
from hasrd.quantizer.quantizer import Quantizer
from hasrd.quantizer.revival import Revival
from hasrd.quantizer.streams import ACOUSTIC


def _projection(input_size: int, output_size: int) -> nn.Linear:
    linear = nn.Linear(input_size, output_size)
    nn.init.zeros_(linear.bias)
    return weight_norm(linear)


class FactorizedVQ(nn.Module):
    """One codebook, looked up by cosine in a few dimensions.

    Args:
        input_size: D.
        codebook_size: K.
        codebook_dim: dimensions of the look-up.
    """

    def __init__(self, input_size: int, codebook_size: int, codebook_dim: int) -> None:
        super().__init__()
        self.in_proj = _projection(input_size, codebook_dim)
        self.out_proj = _projection(codebook_dim, input_size)
        self.codebook = nn.Embedding(codebook_size, codebook_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantize x (B, U, D), float32.

        Returns:
            quantized (B, U, D), straight-through; codes (B, U); what was looked up (B, U, d) and
            the entries that were found (B, U, d).
        """
        latent = self.in_proj(x)
        codes = assign(F.normalize(latent.flatten(0, 1), dim=-1), F.normalize(self.codebook.weight, dim=-1)).view(
            x.shape[:2]
        )
        entry = self.codebook(codes)
        return self.out_proj(latent + (entry - latent).detach()), codes, latent, entry

    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors (B, U, D) that codes (B, U) stand for."""
        return self.out_proj(self.codebook(codes))


class ResidualStack(nn.Module):
    """M codebooks, each for what the ones before it left over.

    Args:
        input_size: D.
        num_codebooks: M; 0 is a stream that is left out.
        codebook_size: K.
        codebook_dim: dimensions of the look-up.
        dead_share: in training, an entry that is used less often than this share of the average one gets a new place
            (see Revival); 0: none.
    """

    def __init__(
        self, input_size: int, num_codebooks: int, codebook_size: int, codebook_dim: int, dead_share: float = 0.0
    ) -> None:
        super().__init__()
        self.books = nn.ModuleList(FactorizedVQ(input_size, codebook_size, codebook_dim) for _ in range(num_codebooks))
        if dead_share:
            self.revivals = nn.ModuleList(Revival(codebook_size, dead_share) for _ in range(num_codebooks))
        else:
            self.revivals = [None] * num_codebooks

    def forward(self, x: Tensor, mask: Tensor, keep: Tensor) -> tuple[Tensor, ...]:
        """Quantize a batch.

        Args:
            x: (B, U, D).
            mask: (B, U) bool, true on valid frames.
            keep: (B,) number of codebooks that each item uses; the others get codes, but add
                nothing to the sum and to the losses.

        Returns:
            quantized (B, U, D), codes (B, U, M), commitment loss, codebook loss (scalars).
        """
        residual, quantized = x, torch.zeros_like(x)
        commitment = codebook = x.new_zeros(())
        codes = []
        frames = mask.sum().clamp(min=1)
        for m, (book, revival) in enumerate(zip(self.books, self.revivals)):
            part, code, latent, entry = book(residual)
            if revival is not None and self.training:
                revival(book.codebook.weight, latent, code, mask)
            kept = (keep > m).to(x.dtype)[:, None]
            quantized = quantized + part * kept[..., None]
            residual = residual - part
            weight = mask * kept / frames
            commitment = commitment + ((latent - entry.detach()).square().mean(-1) * weight).sum()
            codebook = codebook + ((entry - latent.detach()).square().mean(-1) * weight).sum()
            codes.append(code)
        return quantized, _join(codes, x), commitment, codebook

    @torch.no_grad()
    def look_up(self, x: Tensor) -> Tensor:
        """Return the codes (B, U, M) of x (B, U, D)."""
        residual, codes = x, []
        for book in self.books:
            part, code, _, _ = book(residual)
            residual = residual - part
            codes.append(code)
        return _join(codes, x)


def _join(codes: list[Tensor], x: Tensor) -> Tensor:
    """Stack codes (B, U) of each codebook for x (B, U, D) to (B, U, M), also where there is none."""
    return torch.stack(codes, dim=-1) if codes else torch.zeros(*x.shape[:2], 0, dtype=torch.long, device=x.device)


class ResidualVQ(Quantizer):
    """Residual VQ of an encoder's last layer.

    Args:
        input_size: D.
        num_layers: layers that the encoder returns; the last one is quantized.
        num_codebooks: M (9 in HASRD section 3).
        codebook_size: K.
        codebook_dim: dimensions of the look-up.
        quantizer_dropout: fraction of the items that, in training, keep 1 to M codebooks (DAC's).
        dead_share: see ResidualStack.
    """

    def __init__(
        self,
        input_size: int,
        num_layers: int = 1,
        num_codebooks: int = 9,
        codebook_size: int = 1024,
        codebook_dim: int = 8,
        quantizer_dropout: float = 0.5,
        dead_share: float = 0.0,
    ) -> None:
        super().__init__(input_size, (ACOUSTIC,) * num_codebooks, (codebook_size,) * num_codebooks, quantizer_dropout)
        self.acoustic = ResidualStack(input_size, num_codebooks, codebook_size, codebook_dim, dead_share)

    def quantize(self, layers: Sequence[Tensor], mask: Tensor, keep: Tensor) -> QuantizerOutput:
        """Quantize the last layer, straight-through (see Quantizer)."""
        return QuantizerOutput(*self.acoustic(layers[-1], mask, keep))

    def look_up(self, layers: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Return the codes (B, U, M) of the last layer."""
        return self.acoustic.look_up(layers[-1])

    def vectors(self, codebook: int, codes: Tensor) -> Tensor:
        """Return the vectors (B, U, D) that the codes (B, U) of one codebook stand for."""
        return self.acoustic.books[codebook].decode(codes)
