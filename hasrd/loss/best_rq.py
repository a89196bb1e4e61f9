# Copyright 2026 The hasrd authors
# Apache-2.0
"""BEST-RQ: predict the random-projection labels of masked frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hasrd.encoder.layers import length_mask
from hasrd.quantizer.random_projection import RandomProjectionQuantizer
from hasrd.quantizer.usage import CodebookUsage


class BestRQLoss(nn.Module):
    """Masked prediction of BEST-RQ (Chiu et al. 2022) as HASRD (section 2.1) uses it.

    Args:
        input_size: F, features of a frame.
        encoder_size: D, size of the encoder's output.
        stack: frames a token.
        codebook_size: number of labels.
        codebook_dim: dimensions of the random projection.
        mask_prob: part of each utterance's tokens that is masked.
        noise_std: standard deviation of the noise that replaces masked frames; its mean is 0.
        seed: of the random projection.
    """

    def __init__(
        self,
        input_size: int = 80,
        encoder_size: int = 768,
        stack: int = 4,
        codebook_size: int = 8192,
        codebook_dim: int = 16,
        mask_prob: float = 0.6,
        noise_std: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.stack = stack
        self.mask_prob = mask_prob
        self.noise_std = noise_std
        self.quantizer = RandomProjectionQuantizer(input_size, stack, codebook_dim, codebook_size, seed)
        self.head = nn.Linear(encoder_size, codebook_size)
        self.usage = CodebookUsage(
            ["targets"],
            [codebook_size],
            "there is little to predict, so little is learned; are the features normalised (normalize: utterance), "
            "and is there speech in the audio?",
        )

    @torch.no_grad()
    def mask(self, feats: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Replace spans of `stack` frames by noise.

        Each utterance loses round(mask_prob * U) of its own U = lengths // stack tokens, at least
        one, drawn without replacement. All on the device, without waiting for it.

        Args:
            feats: (B, T, F), normalised. Not changed.
            lengths: (B,) valid frames.

        Returns:
            masked features (B, T, F); mask (B, T // stack) bool, true on masked tokens.
        """
        tokens = feats.shape[1] // self.stack
        lengths = lengths // self.stack
        count = (lengths * self.mask_prob).round().clamp(min=1)
        score = torch.rand(len(feats), tokens, device=feats.device)
        # Padding comes last, so that the lowest scores are the utterance's own tokens.
        score = score.masked_fill(~length_mask(lengths, tokens), torch.inf)
        rank = score.argsort(dim=1).argsort(dim=1)
        mask = (rank < count[:, None]) & length_mask(lengths, tokens)
        frames = mask.repeat_interleave(self.stack, dim=1)
        frames = F.pad(frames, (0, feats.shape[1] - frames.shape[1]))
        noise = torch.randn_like(feats) * self.noise_std
        return torch.where(frames[..., None], noise, feats), mask

    def targets(self, feats: Tensor) -> Tensor:
        """Return the labels (B, T // stack) of normalised, unmasked features (B, T, F)."""
        return self.quantizer(feats.detach())

    def forward(self, hidden: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Score the prediction of the masked tokens, without waiting for the device.

        Args:
            hidden: (B, U, D) encoder output of the masked features.
            targets: (B, U) labels of the unmasked features.
            mask: (B, U) bool as `mask` gives it: true on masked tokens, false on padding.

        Returns:
            The mean cross entropy over the masked tokens, and scalars about these tokens:
            "accuracy"; "majority", the share of the most frequent label, which a constant
            prediction would reach; "targets_used", the number of different labels;
            "target_perplexity", exp of their entropy.
        """
        # Logits of the masked tokens only: 10 minutes of audio have 18750 tokens, 8192 labels. Each utterance gives
        # as many rows as an unpadded one has masked tokens (however that is rounded), its masked ones first: to ask
        # how many there are would wait for the device.
        tokens = mask.shape[1]
        rows = min(tokens, int(tokens * self.mask_prob) + 1)
        index = mask.int().argsort(dim=1, descending=True, stable=True)[:, :rows]
        index = (index + tokens * torch.arange(len(mask), device=mask.device)[:, None]).flatten()
        valid, labels = mask.flatten()[index], targets.flatten()[index]
        number = mask.sum().clamp(min=1)
        logits = self.head(hidden.flatten(0, 1).index_select(0, index))
        loss = F.cross_entropy(logits.float(), labels.masked_fill(~valid, -100), reduction="sum", ignore_index=-100)
        with torch.no_grad():
            self.usage.add(labels[:, None], valid)
            share = torch.zeros(self.quantizer.codebook_size, device=mask.device)
            share = share.index_add_(0, labels, valid.float()) / number
            stats = {
                "accuracy": ((logits.argmax(dim=-1) == labels) & valid).sum() / number,
                "majority": share.max(),
                "targets_used": (share > 0).sum().float(),
                "target_perplexity": torch.special.entr(share).sum().exp(),
            }
        return loss / number, stats
