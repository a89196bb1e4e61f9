# Copyright 2026 The hasrd authors
# Apache-2.0
"""What every quantizer is: codebooks in streams, whose vectors add up to the decoder's input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, Sequence

import torch
from torch import Tensor, nn

from hasrd.encoder.layers import length_mask
from hasrd.quantizer.output import QuantizerOutput, usage_stats
from hasrd.quantizer.streams import ACOUSTIC, select_streams


class Quantizer(nn.Module, ABC):
    """Layers of an encoder to codes, and codes to the sum of the vectors that they stand for.

    A subclass is built as `Quantizer(input_size, num_layers, **conf)`. It quantizes a batch (`quantize`, `look_up`) and
    knows what a code stands for (`vectors`). All else is done here, once for all quantizers: padding, float32 whatever
    autocast says, quantizer dropout, the choice of streams and the sum.

    Args:
        output_size: D of the vectors.
        stream_names: of the M codebooks, in the order of the codes; codebooks of one stream have the same name.
        codebook_sizes: entries of each.
        quantizer_dropout: fraction of the items that, in training, keep only the first of the acoustic codebooks (DAC's
            quantizer dropout): at least one where there is no other stream. None draws nothing.

    Attributes:
        num_acoustic: how many codebooks the acoustic stream has.
        level_names: streams that a teacher can be distilled into (see QuantizerOutput).
        needs_kmeans: whether the arguments `semantic_layer` and `num_clusters` come from a trained k-means, whose
            centroids `set_centroids` takes.
        semantic_layer: the layer that the semantic stream stands for; None: there is no such layer.
        codebook_strides: M numbers: frames that each codebook's code stands for, from the first frame on.
    """

    level_names: tuple[str, ...] = ()
    needs_kmeans: ClassVar[bool] = False
    semantic_layer: int | None = None

    def __init__(
        self,
        output_size: int,
        stream_names: Sequence[str],
        codebook_sizes: Sequence[int],
        quantizer_dropout: float | None = None,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.stream_names = tuple(stream_names)
        self.codebook_sizes = tuple(codebook_sizes)
        self.quantizer_dropout = quantizer_dropout
        self.num_acoustic = self.stream_names.count(ACOUSTIC)
        self.codebook_strides = (1,) * len(self.stream_names)
        self._late: tuple[str, str] | None = None
        self._is_set = False

    @property
    def layer_weights(self) -> Tensor | None:
        """(L,) share of each layer in what is quantized, with sum 1; None where that is not learned."""
        return None

    @property
    def num_parameters(self) -> int:
        """How many values training sets, as publications count them."""
        return sum(parameter.numel() for parameter in self.parameters())

    def set_centroids(self, centroids: Tensor) -> None:
        """Set the centroids (K, D) of a trained k-means.

        Raises:
            ValueError: This quantizer has no k-means, or they are not of its shape or not finite.
        """
        raise ValueError(f"{type(self).__name__} takes no centroids of k-means")

    def register_late(self, name: str, shape: Sequence[int], advice: str) -> None:
        """Register a buffer whose values come after the quantizer is built, not by gradients.

        It is NaN until then: a state dict brings it along, and nothing can use it before.

        Args:
            name: of the buffer.
            shape: of its tensor.
            advice: what is not set and what to do, for the error.
        """
        self.register_buffer(name, torch.full(tuple(shape), torch.nan))
        self._late = name, advice

    def is_set(self) -> bool:
        """Whether the buffer that is registered late has its values."""
        # The first use looks at the values once (they may come from a state dict).
        if not self._is_set:
            self._is_set = self._late is None or bool(torch.isfinite(self.get_buffer(self._late[0])).all())
        return self._is_set

    def check_set(self) -> None:
        """Raise RuntimeError where it has not."""
        if not self.is_set():
            raise RuntimeError(self._late[1])

    def inputs(self, layers: Sequence[Tensor], lengths: Tensor) -> Sequence[Tensor]:
        """Return what is quantized of the layers (each (B, U, D)); here the layers themselves.

        A network in front of codebooks runs here, in training in the type that autocast says.
        """
        return layers

    @abstractmethod
    def quantize(self, layers: Sequence[Tensor], mask: Tensor, keep: Tensor) -> QuantizerOutput:
        """Quantize a batch, straight-through.

        Args:
            layers: what `inputs` returns, (B, U, D) each, float32.
            mask: (B, U), true on valid frames.
            keep: (B,) how many of the acoustic codebooks each item keeps; the others get codes, but add nothing.

        Returns:
            Codes on padding may be anything, and the stats of usage are still missing.
        """

    @abstractmethod
    def look_up(self, layers: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Return the codes (B, U, M) of what `inputs` returns, (B, U, D) each, float32; anything on padding.

        Args:
            layers: (B, U, D) each.
            mask: (B, U), true on valid frames.
        """

    @abstractmethod
    def vectors(self, codebook: int, codes: Tensor) -> Tensor:
        """Return the vectors (B, U, D) that the codes (B, U) of one codebook stand for."""

    def order(self) -> Sequence[int]:
        """Codebooks in the order in which `quantize` adds up their vectors: in another, floats round differently.

        Here the acoustic ones come first.
        """
        return sorted(range(len(self.stream_names)), key=lambda m: self.stream_names[m] != ACOUSTIC)

    def forward(self, layers: Sequence[Tensor], lengths: Tensor) -> QuantizerOutput:
        """Quantize a batch, straight-through; in training mode with quantizer dropout.

        Args:
            layers: tensors (B, U, D).
            lengths: (B,) valid frames.

        Returns:
            A QuantizerOutput with M codebooks.

        Raises:
            RuntimeError: Codebooks that are not set.
        """
        mask = length_mask(lengths, layers[-1].shape[1])
        if self.training and self.quantizer_dropout is not None:
            lowest = int(self.num_acoustic == len(self.stream_names))
            keep = draw_kept(len(mask), lowest, self.num_acoustic, self.quantizer_dropout, mask.device)
        else:
            keep = lengths.new_full((len(mask),), self.num_acoustic)
        layers = self.inputs(layers, lengths)
        with torch.autocast(mask.device.type, enabled=False):
            output = self.quantize([layer.float() for layer in layers], mask, keep)
        codes = output.codes.masked_fill(~mask[..., None], 0)
        stats = {**usage_stats(codes, mask, self.codebook_sizes), **output.stats}
        return replace(output, codes=codes, stats=stats)

    @torch.no_grad()
    def encode(self, layers: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Return the codes (B, U, M) of layers (each (B, U, D)); zero past lengths (B,).

        Raises:
            RuntimeError: Codebooks that are not set.
        """
        self.check_set()
        mask = length_mask(lengths, layers[-1].shape[1])
        with torch.autocast(mask.device.type, enabled=False):
            codes = self.look_up(self.inputs([layer.float() for layer in layers], lengths), mask)
        return codes.masked_fill(~mask[..., None], 0)

    def decode(self, codes: Tensor, streams: Sequence[str] | None = None) -> Tensor:
        """Return the latent of codes.

        Args:
            codes: (B, U, M') of the first M' codebooks.
            streams: names of the streams to decode; None: all. One left out contributes zero.

        Returns:
            (B, U, D).

        Raises:
            ValueError: A stream that this quantizer does not have.
            RuntimeError: Codebooks that are not set.
        """
        names = select_streams(self.stream_names, streams)
        self.check_set()
        latent = torch.zeros(*codes.shape[:2], self.output_size, device=codes.device)
        with torch.autocast(codes.device.type, enabled=False):
            for m in self.order():
                if self.stream_names[m] in names and m < codes.shape[2]:
                    latent = latent + self.vectors(m, codes[..., m])
        return latent


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
