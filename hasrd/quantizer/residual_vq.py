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

from hasrd.encoder.layers import length_mask
from hasrd.quantizer.kmeans import assign
from hasrd.quantizer.output import QuantizerOutput, usage_stats
from hasrd.quantizer.revival import Revival


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
        self.input_size = input_size
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
            codes.append(code.masked_fill(~mask, 0))
        return quantized, _join(codes, mask), commitment, codebook

    @torch.no_grad()
    def encode(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the codes (B, U, M) of x (B, U, D); zero where mask (B, U) is false."""
        codes = []
        for book in self.books:
            part, code, _, _ = book(x)
            x = x - part
            codes.append(code.masked_fill(~mask, 0))
        return _join(codes, mask)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the sum (B, U, D) of the entries of codes (B, U, M'); M' <= M, also 0."""
        total = torch.zeros(*codes.shape[:2], self.input_size, device=codes.device)
        for m in range(codes.shape[-1]):
            total = total + self.books[m].decode(codes[..., m])
        return total


def _join(codes: list[Tensor], mask: Tensor) -> Tensor:
    """Stack codes (B, U) of each codebook to (B, U, M), also where there is none."""
    return torch.stack(codes, dim=-1) if codes else torch.zeros(*mask.shape, 0, dtype=torch.long, device=mask.device)


def draw_kept(batch: int, lowest: int, highest: int, dropout: float, device) -> Tensor:
    """Draw how many codebooks each item keeps (quantizer dropout).

    A fraction `dropout` of the items (on average: the count is rounded at random) keeps lowest to
    highest of them, each number as likely; the others keep all.

    Returns:
        (batch,) long.
    """
    drawn = torch.randint(lowest, highest + 1, (batch,), device=device)
    count = (batch * dropout + torch.rand((), device=device)).floor()
    return torch.where(torch.arange(batch, device=device) < count, drawn, highest)


class ResidualVQ(nn.Module):
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
        super().__init__()
        self.output_size = input_size
        self.quantizer_dropout = quantizer_dropout
        self.codebook_sizes = (codebook_size,) * num_codebooks
        self.stream_names = ("acoustic",) * num_codebooks
        self.acoustic = ResidualStack(input_size, num_codebooks, codebook_size, codebook_dim, dead_share)

    def forward(self, layers: Sequence[Tensor], lengths: Tensor, n_codebooks: int | None = None) -> QuantizerOutput:
        """Quantize a batch, straight-through.

        Args:
            layers: tensors (B, U, D).
            lengths: (B,) valid frames.
            n_codebooks: use the first so many codebooks; None: all, with quantizer dropout in
                training mode.

        Returns:
            A QuantizerOutput; D as given, M codebooks.
        """
        x = layers[-1]
        total = len(self.codebook_sizes)
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            mask = length_mask(lengths, x.shape[1])
            if n_codebooks is None and self.training:
                keep = draw_kept(len(x), 1, total, self.quantizer_dropout, x.device)
            else:
                keep = lengths.new_full((len(x),), total if n_codebooks is None else n_codebooks)
            latent, codes, commitment, codebook = self.acoustic(x, mask, keep)
        stats = usage_stats(codes, mask, self.codebook_sizes)
        return QuantizerOutput(latent, codes, commitment, codebook, stats)

    @torch.no_grad()
    def encode(self, layers: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Return the codes (B, U, M) of layers (each (B, U, D)); zero past lengths (B,)."""
        x = layers[-1]
        with torch.autocast(x.device.type, enabled=False):
            return self.acoustic.encode(x.float(), length_mask(lengths, x.shape[1]))

    def decode(self, codes: Tensor, streams: Sequence[str] | None = None, n_codebooks: int | None = None) -> Tensor:
        """Return the latent of codes.

        Args:
            codes: (B, U, M') of the first M' codebooks.
            streams: names of the streams to decode; None: all. One left out contributes zero.
            n_codebooks: use the first so many of the M' codebooks; None: all.

        Returns:
            (B, U, D).

        Raises:
            ValueError: A stream that this quantizer does not have.
        """
        names = select_streams(self.stream_names, streams)
        codes = codes[..., :n_codebooks] if "acoustic" in names else codes[..., :0]
        with torch.autocast(codes.device.type, enabled=False):
            return self.acoustic.decode(codes)


def select_streams(stream_names: Sequence[str], streams: Sequence[str] | None) -> set[str]:
    """Return the names to decode: all of `stream_names`, or those in `streams`.

    Raises:
        ValueError: `streams` is one string, or has a name that is not in `stream_names`.
    """
    if streams is None:
        return set(stream_names)
    if isinstance(streams, str):
        raise ValueError(f"streams must be a sequence of names, not the string '{streams}'")
    unknown = set(streams) - set(stream_names)
    if unknown:
        known = ", ".join(dict.fromkeys(stream_names))
        raise ValueError(f"no stream named {', '.join(sorted(unknown))}: there are {known}")
    return set(streams)
