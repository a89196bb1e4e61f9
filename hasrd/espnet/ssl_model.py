# Copyright 2026 The hasrd authors
# Apache-2.0
"""The self-supervised model that ESPnet's trainer drives."""

from __future__ import annotations

import torch
from espnet2.train.abs_espnet_model import AbsESPnetModel


class SSLModel(AbsESPnetModel):
    """Masked prediction: frontend, normalisation, masking, encoder, loss (HASRD section 2.1, equation 1).

    Targets come from the unmasked, normalised features; the encoder sees the masked ones.

    Args:
        frontend: Wave to features, or None where the data loader gives features.
        normalize: Normalisation of the features, or None.
        encoder: Features to `EncoderOutput`.
        loss: Has `mask`, `targets` and `forward` as `hasrd.loss.best_rq.BestRQLoss`.
    """

    def __init__(
        self,
        frontend: torch.nn.Module | None,
        normalize: torch.nn.Module | None,
        encoder: torch.nn.Module,
        loss: torch.nn.Module,
    ):
        super().__init__()
        self.frontend = frontend
        self.normalize = normalize
        self.encoder = encoder
        self.loss = loss

    def features(self, speech: torch.Tensor, speech_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Wave (B, N) or features (B, T, F) to features (B, T, F) before normalisation."""
        if self.frontend is None:
            return speech, speech_lengths
        return self.frontend(speech, speech_lengths)

    def collect_feats(self, speech: torch.Tensor, speech_lengths: torch.Tensor, **_: object) -> dict[str, torch.Tensor]:
        """Features for ESPnet's statistics collection (global normalisation)."""
        feats, lengths = self.features(speech, speech_lengths)
        return {"feats": feats, "feats_lengths": lengths}

    def forward(
        self, speech: torch.Tensor, speech_lengths: torch.Tensor, **_: object
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Return loss, statistics and weight (the number of masked tokens), scalars on the device.

        Args:
            speech: Wave (B, N) or features (B, T, F).
            speech_lengths: (B,) in samples or frames.
        """
        feats, lengths = self.features(speech, speech_lengths)
        if self.normalize is not None:
            feats, lengths = self.normalize(feats, lengths)
        targets = self.loss.targets(feats)
        masked, mask = self.loss.mask(feats, lengths)
        output = self.encoder(masked, lengths)
        loss, stats = self.loss(output.last, targets, mask)
        stats = dict(stats, loss=loss.detach())
        return loss, stats, mask.sum()
