# Copyright 2026 The hasrd authors
# Apache-2.0
"""HASRD's factorisation: a semantic token from k-means, acoustic tokens from the residual."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor, nn

from hasrd.quantizer.kmeans import assign
from hasrd.quantizer.output import QuantizerOutput, masked_mean, rms
from hasrd.quantizer.pooling import POOLINGS, hold
from hasrd.quantizer.quantizer import Quantizer
from hasrd.quantizer.residual_vq import ResidualStack
from hasrd.quantizer.streams import ACOUSTIC


class HASRDQuantizer(Quantizer):
    """Semantic and acoustic tokens of a frozen encoder's layers (HASRD, section 2.2).

        H       = sum_n alpha_n H_n, alpha = softmax of learned scalars
        Hs_bar  = nearest k-means centroid of the semantic layer
        Ha      = H W - Hs_bar                                        (equation 2)
        decoder input = Hs_bar + sum_m Ha_bar_m, Ha_bar = residual VQ of Ha  (equation 3)

    With `acoustic_stride` (ours), Ha is pooled over so many frames before its residual VQ and held for as many after
    it: what changes slowly, such as the voice, still gets through, while what changes fast is left to the semantic
    tokens, and the acoustic stream costs as many times fewer bits. With `mixed_layers` (ours), only some layers are in
    H, such as those below the semantic one.

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
        dead_share: of the acoustic codebooks, see ResidualStack.
        acoustic_stride: frames that share their acoustic codes; 1 is the paper's.
        acoustic_pooling: how one vector is made of these frames: "mean", "attention" or "convolution".
        mixed_layers: indices of the layers that H is mixed of; None, as in the paper, is all.

    Raises:
        ValueError: The encoder has no such layer, a stride below 1, or an unknown pooling.
    """

    needs_kmeans = True

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
        dead_share: float = 0.0,
        acoustic_stride: int = 1,
        acoustic_pooling: str = "mean",
        mixed_layers: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            input_size,
            ("semantic",) + (ACOUSTIC,) * num_codebooks,
            (num_clusters,) + (codebook_size,) * num_codebooks,
            quantizer_dropout,
        )
        if not 0 <= semantic_layer < num_layers:
            raise ValueError(f"semantic_layer {semantic_layer}: there are {num_layers} layers")
        if acoustic_stride < 1:
            raise ValueError(f"acoustic_stride {acoustic_stride}: at least 1 frame is needed")
        self.mixed_layers = sorted(set(range(num_layers) if mixed_layers is None else mixed_layers))
        if not self.mixed_layers or not 0 <= self.mixed_layers[0] <= self.mixed_layers[-1] < num_layers:
            raise ValueError(f"mixed_layers {mixed_layers}: choose some of the {num_layers} layers, from 0 on")
        if acoustic_pooling not in POOLINGS:
            raise ValueError(f"acoustic_pooling {acoustic_pooling}: choose one of {', '.join(POOLINGS)}")
        self.num_layers = num_layers
        self.semantic_layer = semantic_layer
        self.acoustic_stride = acoustic_stride
        self.codebook_strides = (1,) + (acoustic_stride,) * num_codebooks
        advice = "the k-means centroids are not set: call set_centroids() or load a state dict"
        self.register_late("centroids", (num_clusters, input_size), advice)
        self.layer_logits = nn.Parameter(torch.zeros(len(self.mixed_layers)))
        self.mix = nn.Linear(input_size, input_size, bias=False)
        nn.init.eye_(self.mix.weight)
        self.pool = POOLINGS[acoustic_pooling](input_size, acoustic_stride)
        self.acoustic = ResidualStack(input_size, num_codebooks, codebook_size, codebook_dim, dead_share)

    @property
    def layer_weights(self) -> Tensor:
        """(L,) alpha: positive, with sum 1; zero for a layer that is not mixed."""
        mixed = dict(zip(self.mixed_layers, self.layer_logits.float().softmax(dim=0)))
        return torch.stack([mixed.get(n, self.layer_logits.new_zeros(())) for n in range(self.num_layers)])

    @property
    def num_parameters(self) -> int:
        """How many values training sets: the centroids' too, though not by gradients."""
        return super().num_parameters + self.centroids.numel()

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

    def _split(self, layers: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the semantic codes (B, U), Hs_bar and Ha (both (B, U, D)) of L layers (B, U, D)."""
        if len(layers) != self.num_layers:
            raise ValueError(f"{len(layers)} layers: this quantizer mixes {self.num_layers}")
        layer = layers[self.semantic_layer]
        codes = assign(layer.detach().flatten(0, 1), self.centroids).view(layer.shape[:2])
        semantic = self.centroids[codes]
        alpha = self.layer_weights
        mixed = sum(alpha[n] * layers[n] for n in self.mixed_layers)
        return codes, semantic, self.mix(mixed) - semantic

    def quantize(self, layers: Sequence[Tensor], mask: Tensor, keep: Tensor) -> QuantizerOutput:
        """Quantize L layers, straight-through (see Quantizer).

        The stats have the part of Ha's energy that the acoustic codes miss ("residual_error") and the rms of Hs_bar
        and Ha.
        """
        self.check_set()
        code, semantic, residual = self._split(layers)
        slow, slow_mask = self.pool(residual, mask)
        acoustic, codes, commitment, codebook = self.acoustic(slow, slow_mask, keep)
        acoustic, codes = (hold(x, self.acoustic_stride, code.shape[1]) for x in (acoustic, codes))
        with torch.no_grad():
            # Only items with all their codebooks can be near Ha.
            whole = mask & (keep >= self.num_acoustic)[:, None]
            error = masked_mean((acoustic - residual).square().mean(dim=-1), whole)
            energy = masked_mean(residual.square().mean(dim=-1), whole)
            stats = {
                "residual_error": error / energy.clamp(min=1e-12),
                "rms_semantic": rms(semantic, mask),
                "rms_acoustic": rms(residual, mask),
            }
        codes = torch.cat([code[..., None], codes], dim=-1)
        return QuantizerOutput(semantic + acoustic, codes, commitment, codebook, stats)

    def look_up(self, layers: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Return the codes (B, U, M) of L layers (B, U, D), the semantic one first."""
        code, _, residual = self._split(layers)
        slow, _ = self.pool(residual, mask)
        codes = hold(self.acoustic.look_up(slow), self.acoustic_stride, code.shape[1])
        return torch.cat([code[..., None], codes], dim=-1)

    def vectors(self, codebook: int, codes: Tensor) -> Tensor:
        """Return the vectors (B, U, D) that the codes (B, U) of one codebook stand for."""
        return self.acoustic.books[codebook - 1].decode(codes) if codebook else self.centroids[codes]
