# Copyright 2026 The hasrd authors
# Apache-2.0
"""HASRD's factorisation: a semantic token from k-means, acoustic tokens from the residual."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor, nn

from hasrd.encoder.layers import length_mask
from hasrd.quantizer.kmeans import assign
from hasrd.quantizer.output import QuantizerOutput, usage_stats
from hasrd.quantizer.residual_vq import ResidualStack, draw_kept, select_streams


class HASRDQuantizer(nn.Module):
    """Semantic and acoustic tokens of a frozen encoder's layers (HASRD, section 2.2).

        H       = sum_n alpha_n H_n, alpha = softmax of learned scalars
        Hs_bar  = nearest k-means centroid of the semantic layer
        Ha      = H W - Hs_bar                                        (equation 2)
        decoder input = Hs_bar + sum_m Ha_bar_m, Ha_bar = residual VQ of Ha  (equation 3)

    Args:
        input_size: D.
        num_layers: L, layers that the encoder returns.
        semantic_layer: index of the layer that the k-means was trained on (8 in the paper).
        num_clusters: K of the k-means.
        num_codebooks: acoustic codebooks (8; with the semantic one 2.81 kbps at 31.25 Hz).
        codebook_size: entries of an acoustic codebook.
        codebook_dim: dimensions of their look-up (DAC's).
        quantizer_dropout: fraction of the items that, in training, keep 0 to `num_codebooks`
            acoustic codebooks; the semantic one is always kept.
        residual_loss_weight: of |sum_m Ha_bar_m - Ha|^2 in D dimensions, added to the codebook
            loss. DAC's losses look at 8 dimensions only and leave the sum free to differ from Ha.
            0, because in 90 s trainings (mel distance of both streams / the acoustic one / with Ha
            unquantised) weight 0 gave 2.51 / 2.88 / 2.64 and, with another seed, 2.47 / 2.68 /
            2.56; weight 1 gave 2.43 / 4.63 / 2.53, weight 10 2.48 / 5.56 / 2.49.
        dead_share: of the acoustic codebooks, see ResidualStack.
    """

    def __init__(
        self,
        input_size: int,
        num_layers: int,
        semantic_layer: int,
        num_clusters: int = 1024,
        num_codebooks: int = 8,
        codebook_size: int = 1024,
        codebook_dim: int = 8,
        quantizer_dropout: float = 0.5,
        residual_loss_weight: float = 0.0,
        dead_share: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= semantic_layer < num_layers:
            raise ValueError(f"semantic_layer {semantic_layer}: there are {num_layers} layers")
        self.output_size = input_size
        self.semantic_layer = semantic_layer
        self.num_codebooks = num_codebooks
        self.quantizer_dropout = quantizer_dropout
        self.residual_loss_weight = residual_loss_weight
        self.codebook_sizes = (num_clusters,) + (codebook_size,) * num_codebooks
        self.stream_names = ("semantic",) + ("acoustic",) * num_codebooks

        # NaN until they are set: a state dict brings them along, and nothing can use them before.
        self.register_buffer("centroids", torch.full((num_clusters, input_size), torch.nan))
        self._centroids_set = False
        self.layer_logits = nn.Parameter(torch.zeros(num_layers))
        self.mix = nn.Linear(input_size, input_size, bias=False)
        nn.init.eye_(self.mix.weight)
        self.acoustic = ResidualStack(input_size, num_codebooks, codebook_size, codebook_dim, dead_share)

    @property
    def layer_weights(self) -> Tensor:
        """(L,) alpha: positive, with sum 1."""
        return self.layer_logits.float().softmax(dim=0)

    @torch.no_grad()
    def set_centroids(self, centroids: Tensor) -> None:
        """Set the k-means centroids (K, D).

        Raises:
            ValueError: Another shape, or a value that is not finite.
        """
        if tuple(centroids.shape) != tuple(self.centroids.shape):
            raise ValueError(
                f"centroids of shape {tuple(centroids.shape)}: this quantizer has "
                f"{tuple(self.centroids.shape)} (num_clusters, encoder size)"
            )
        if not torch.isfinite(centroids).all():
            raise ValueError("centroids that are not finite")
        self.centroids.copy_(centroids)

    def _check_centroids(self) -> None:
        # The first use looks at the values once (they may come from a state dict).
        if not self._centroids_set:
            if not torch.isfinite(self.centroids).all():
                raise RuntimeError("the k-means centroids are not set: call set_centroids() or load a state dict")
            self._centroids_set = True

    def _semantic(self, layers: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return codes (B, U) and centroids Hs_bar (B, U, D)."""
        layer = layers[self.semantic_layer]
        codes = assign(layer.detach().flatten(0, 1), self.centroids).view(layer.shape[:2])
        return codes, self.centroids[codes]

    def _acoustic_input(self, layers: Sequence[Tensor], semantic: Tensor) -> Tensor:
        """Return Ha (B, U, D)."""
        if len(layers) != len(self.layer_logits):
            raise ValueError(f"{len(layers)} layers: this quantizer mixes {len(self.layer_logits)}")
        mixed = sum(a * layer.float() for a, layer in zip(self.layer_weights, layers))
        return self.mix(mixed) - semantic

    def forward(self, layers: Sequence[Tensor], lengths: Tensor, n_codebooks: int | None = None) -> QuantizerOutput:
        """Quantize a batch, straight-through.

        Args:
            layers: L tensors (B, U, D).
            lengths: (B,) valid frames.
            n_codebooks: use the first so many codebooks, the semantic one included; None: all,
                with quantizer dropout in training mode.

        Returns:
            A QuantizerOutput with M = 1 + `num_codebooks` codes. Its stats have the part of Ha's
            energy that the acoustic codes miss ("residual_error") and the rms of Hs_bar and Ha.

        Raises:
            RuntimeError: The centroids are not set.
        """
        self._check_centroids()
        device = lengths.device
        with torch.autocast(device.type, enabled=False):
            code, semantic = self._semantic(layers)
            target = self._acoustic_input(layers, semantic)
            mask = length_mask(lengths, target.shape[1])
            if n_codebooks is None and self.training:
                keep = draw_kept(len(code), 0, self.num_codebooks, self.quantizer_dropout, device)
            else:
                number = self.num_codebooks if n_codebooks is None else n_codebooks - 1
                keep = lengths.new_full((len(code),), number)
            acoustic, codes, commitment, codebook = self.acoustic(target, mask, keep)
            codes = torch.cat([code.masked_fill(~mask, 0)[..., None], codes], dim=-1)

            # Only items with all their codebooks can be near Ha.
            weight = mask * (keep >= self.num_codebooks)[:, None]
            frames = weight.sum().clamp(min=1)
            error = (acoustic - target.detach()).square().mean(dim=-1)
            error = (error * weight).sum() / frames
            if self.residual_loss_weight:
                codebook = codebook + self.residual_loss_weight * error
        stats = usage_stats(codes, mask, self.codebook_sizes)
        with torch.no_grad():
            valid = mask.sum().clamp(min=1)
            energy = (target.square().mean(dim=-1) * weight).sum() / frames
            stats["residual_error"] = (error / energy.clamp(min=1e-12)).detach()
            for name, part in (("semantic", semantic), ("acoustic", target)):
                power = (part.square().mean(dim=-1) * mask).sum() / valid
                stats[f"rms_{name}"] = power.sqrt().detach()
        return QuantizerOutput(semantic + acoustic, codes, commitment, codebook, stats)

    @torch.no_grad()
    def encode(self, layers: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Return the codes (B, U, M) of L layers (B, U, D); zero past lengths (B,).

        Raises:
            RuntimeError: The centroids are not set.
        """
        self._check_centroids()
        with torch.autocast(lengths.device.type, enabled=False):
            code, semantic = self._semantic(layers)
            mask = length_mask(lengths, code.shape[1])
            codes = self.acoustic.encode(self._acoustic_input(layers, semantic), mask)
        return torch.cat([code.masked_fill(~mask, 0)[..., None], codes], dim=-1)

    def decode(self, codes: Tensor, streams: Sequence[str] | None = None, n_codebooks: int | None = None) -> Tensor:
        """Return the latent of codes.

        Args:
            codes: (B, U, M') of the first M' codebooks, the semantic one first.
            streams: any of "semantic" and "acoustic"; None: both. One left out contributes zero.
            n_codebooks: use the first so many of the M' codebooks; None: all.

        Returns:
            (B, U, D).

        Raises:
            ValueError: A stream that this quantizer does not have.
            RuntimeError: The centroids are not set.
        """
        names = select_streams(self.stream_names, streams)
        self._check_centroids()
        codes = codes[..., :n_codebooks]
        with torch.autocast(codes.device.type, enabled=False):
            latent = self.acoustic.decode(codes[..., 1:] if "acoustic" in names else codes[..., :0])
            if "semantic" in names and codes.shape[-1]:
                latent = latent + self.centroids[codes[..., 0]]
        return latent
