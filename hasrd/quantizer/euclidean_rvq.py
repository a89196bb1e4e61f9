# Copyright 2026 The hasrd authors
# Apache-2.0
"""Residual vector quantization by Euclidean distance, with codebooks that are running means.

EnCodec's (Défossez et al. 2022, section 3.2), as SpeechTokenizer uses it (Zhang et al. 2023, section 3.1).
"""

from __future__ import annotations

from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hasrd.quantizer.kmeans import assign
from hasrd.quantizer.output import QuantizerOutput
from hasrd.quantizer.quantizer import Quantizer
from hasrd.quantizer.revival import draw, from_first_process, totals
from hasrd.quantizer.streams import ACOUSTIC

EPSILON = 1e-5  # added to the counts, so that no mean is one of nothing: EnCodec's
# At least so many vectors to a mean of the k-means of the first batch (ours). 4 crops of 2 s are 408 vectors: for 1024
# entries each would be its own mean, and all codebooks but the first one zero, as in SpeechTokenizer's code.
FRAMES_A_MEAN = 4


class EuclideanRVQ(Quantizer):
    """Residual VQ of an encoder's last layer in its own D dimensions.

    An entry is the running mean of the vectors that it stood for; no gradient trains it. The first batch in training
    mode sets the entries by k-means. The first stream is SpeechTokenizer's semantic one, which it distils from a
    teacher; all codebooks are used in every step (it has no quantizer dropout).

    Three things differ from EnCodec's code and SpeechTokenizer's, which follows it. There, k-means has as many means as
    entries, even where the first batch has fewer vectors; here it has FRAMES_A_MEAN vectors to each. There, the sums
    behind the means start as if each entry had been used once, so that the first steps shrink them; here they agree
    with k-means' counts. There, an entry with a running count below 2 a step is replaced, but the same step's running
    mean overwrites it; here it stays, with the average count. With 8 crops of 150 frames a step for 1024 entries, 2 is
    more than the average, and most entries would be replaced in every step: the bound here is a share of the average.
    As there, the commitment loss of the codebooks after the first has no gradient: each one before subtracts a
    straight-through estimate.

    What is looked up must vary by more than an optimiser's step moves all of it, or one entry is the nearest of all:
    see hasrd.encoder.seanet_layers.start. On speech (560 clips of LibriSpeech, 4 crops of 2 s a step, lr 5e-4, D =
    128), a valid set used of the 1024 entries, after 50 steps: with decay 0.99 and SpeechTokenizer's k-means 68 of the
    first codebook and 38 to 49 of the others, with FRAMES_A_MEAN 139 and 293 to 365, with decay 0.95 besides 197 and
    334 to 497.

    Several processes have equal codebooks: each step sums the vectors over all of them, and the random ones are those
    of the first process.

    Args:
        input_size: D.
        num_layers: layers that the encoder returns; the last one is quantized.
        num_codebooks: M (SpeechTokenizer: 8).
        codebook_size: K.
        decay: of the running means a step.
        kmeans_iterations: of the k-means of the first batch.
        dead_share: an entry that is used less often (running mean) than this share of the average one is replaced by a
            vector of the batch: with decay 0.99, 230 steps after its last use (0.95: 45). On synthetic vectors of
            Zipf-like frequencies (128 entries, 150 vectors a step, 2000 steps) that start elsewhere, as an encoder's
            do, the squared error came to 0.291 with a share of 0, 0.163 with 0.02, 0.154 with 0.1, 0.213 with 0.4 and
            0.330 with 0.8.
    """

    def __init__(
        self,
        input_size: int,
        num_layers: int = 1,
        num_codebooks: int = 8,
        codebook_size: int = 1024,
        decay: float = 0.99,
        kmeans_iterations: int = 50,
        dead_share: float = 0.1,
    ) -> None:
        super().__init__(
            input_size, ("semantic",) + (ACOUSTIC,) * (num_codebooks - 1), (codebook_size,) * num_codebooks
        )
        self.level_names = self.stream_names[:1]
        self.decay = decay
        self.kmeans_iterations = kmeans_iterations
        self.dead_share = dead_share
        advice = "the codebooks are not set: train first or load a state dict"
        self.register_late("codebooks", (num_codebooks, codebook_size, input_size), advice)
        self.register_buffer("counts", torch.zeros(num_codebooks, codebook_size))

    def quantize(self, layers: Sequence[Tensor], mask: Tensor, keep: Tensor) -> QuantizerOutput:
        """Quantize the last layer, straight-through; in training mode, update the codebooks afterwards.

        The codebook loss is zero. The level "semantic" is the first codebook's part, into which SpeechTokenizer distils
        a teacher. In training, the stats have the number of entries that were replaced ("replaced").
        """
        x = layers[-1]
        first = self.training and not self.is_set()
        if first:
            self._initialise(x.detach(), mask)
        self.check_set()
        frames = mask.sum().clamp(min=1)
        residual, quantized, commitment = x, torch.zeros_like(x), x.new_zeros(())
        codes, inputs, parts = [], [], []
        for codebook in self.codebooks:
            code = self._look_up(residual.detach(), codebook)
            entry = F.embedding(code, codebook)
            inputs.append(residual.detach())
            codes.append(code)
            parts.append(residual + (entry - residual).detach())
            error = (residual - entry).square().mean(dim=-1)
            commitment = commitment + (error * mask).sum() / frames
            quantized = quantized + parts[-1]
            residual = residual - parts[-1]
        codes = torch.stack(codes, dim=-1)
        stats = {}
        if self.training:
            # The first batch made the codebooks: what they have no use for is left to the second one.
            stats["replaced"] = x.new_zeros(()) if first else self._update(inputs, codes, mask)
        return QuantizerOutput(quantized, codes, commitment, x.new_zeros(()), stats, {self.level_names[0]: parts[0]})

    @staticmethod
    def _look_up(x: Tensor, codebook: Tensor) -> Tensor:
        """Return the index (B, U) of the entry of codebook (K, D) that is nearest to x (B, U, D)."""
        return assign(x.flatten(0, 1), codebook).view(x.shape[:2])

    @torch.no_grad()
    def _initialise(self, x: Tensor, mask: Tensor) -> None:
        """Set each codebook to the k-means of what x (B, U, D) and the codebooks before it leave.

        With FRAMES_A_MEAN vectors a mean at least; vectors of x themselves are the entries that are left over then.
        """
        frames = int(totals(x, torch.zeros_like(mask, dtype=torch.long), mask, 1)[1])
        for m, size in enumerate(self.codebook_sizes):
            entries = from_first_process(draw(x, mask, size))
            means = entries[: max(1, frames // FRAMES_A_MEAN)]
            for _ in range(self.kmeans_iterations):
                code = self._look_up(x, means)
                sums, counts = totals(x, code, mask, len(means))
                means = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], means)
            self.codebooks[m] = torch.cat([means, entries[len(means) :]])
            self.counts[m] = totals(x, self._look_up(x, self.codebooks[m]), mask, size)[1]
            # Of the means alone: a vector that is an entry, too, leaves nothing.
            x = x - F.embedding(self._look_up(x, means), means)

    @torch.no_grad()
    def _update(self, inputs: list[Tensor], codes: Tensor, mask: Tensor) -> Tensor:
        """Move the codebooks to what they stood for in this step; return how many entries were replaced.

        Args:
            inputs: M tensors (B, U, D), what each codebook was looked up for.
            codes: (B, U, M).
            mask: (B, U).
        """
        # A frame that is not finite moves no codebook; the trainer skips such a step's gradients, too.
        mask = mask & torch.isfinite(inputs[-1]).all(dim=-1)
        inputs = [x.masked_fill(~mask[..., None], 0.0) for x in inputs]
        replaced = []
        for codebook, count, x, code in zip(self.codebooks, self.counts, inputs, codes.unbind(dim=-1)):
            sums, counts = totals(x, code, mask, len(codebook))
            # The running sums need no memory of their own: they are the entries times the smoothed counts.
            sums = torch.lerp(sums, codebook * smooth(count)[:, None], self.decay)
            count.lerp_(counts, 1.0 - self.decay)
            codebook.copy_(sums / smooth(count)[:, None])
            average = count.mean()
            dead = count < self.dead_share * average
            codebook.copy_(torch.where(dead[:, None], from_first_process(draw(x, mask, len(codebook))), codebook))
            count.copy_(torch.where(dead, average, count))
            replaced.append(dead.sum())
        return torch.stack(replaced).sum().float()

    def look_up(self, layers: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Return the codes (B, U, M) of the last layer."""
        residual, codes = layers[-1], []
        for codebook in self.codebooks:
            codes.append(self._look_up(residual, codebook))
            residual = residual - F.embedding(codes[-1], codebook)
        return torch.stack(codes, dim=-1)

    def vectors(self, codebook: int, codes: Tensor) -> Tensor:
        """Return the vectors (B, U, D) that the codes (B, U) of one codebook stand for."""
        return F.embedding(codes, self.codebooks[codebook])

    def order(self) -> Sequence[int]:
        """Codebooks in the order of the residuals: the first one is the semantic stream."""
        return range(len(self.stream_names))


def smooth(counts: Tensor) -> Tensor:
    """Return counts (K,) with EPSILON added to each and their sum kept."""
    total = counts.sum()
    return (counts + EPSILON) * (total / (total + len(counts) * EPSILON))
