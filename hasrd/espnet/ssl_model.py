# Copyright 2026 The hasrd authors
# Apache-2.0
"""The self-supervised model that ESPnet's trainer drives."""

from __future__ import annotations

import torch
from espnet2.train.abs_espnet_model import AbsESPnetModel

from hasrd.encoder.speech_encoder import SpeechEncoder


class SSLModel(AbsESPnetModel):
    """Masked prediction: a speech encoder whose features are masked, and a loss (HASRD section 2.1, equation 1).

    Targets come from the unmasked, normalised features; the encoder sees the masked ones.

    Args:
        speech_encoder: Its parts become the model's own. Without a frontend, the data loader gives features.
        loss: Has `mask`, `targets` and `forward` as `hasrd.loss.best_rq.BestRQLoss`.
    """

    def __init__(self, speech_encoder: SpeechEncoder, loss: torch.nn.Module):
        super().__init__()
        # Files of weights name their tensors so.
        self.frontend, self.normalize = speech_encoder.frontend, speech_encoder.normalize
        self.encoder = speech_encoder.encoder
        self.loss = loss

    @property
    def speech_encoder(self) -> SpeechEncoder:
        """The model's frontend, normalisation and encoder as one."""
        return SpeechEncoder(self.frontend, self.normalize, self.encoder)

    def collect_feats(self, speech: torch.Tensor, speech_lengths: torch.Tensor, **_: object) -> dict[str, torch.Tensor]:
        """Features for ESPnet's statistics collection (global normalisation)."""
        feats, lengths = self.speech_encoder.feats(speech, speech_lengths)
        return {"feats": feats, "feats_lengths": lengths}

    def forward(
        self, speech: torch.Tensor, speech_lengths: torch.Tensor, **_: object
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Return loss, statistics and weight (the number of masked tokens), scalars on the device.

        Args:
            speech: Wave (B, N) or features (B, T, F).
            speech_lengths: (B,) in samples or frames.
        """
        output = self.speech_encoder(speech, speech_lengths, self.loss.mask)
        loss, stats = self.loss(output.last, self.loss.targets(output.feats), output.mask)
        stats = dict(stats, loss=loss.detach())
        return loss, stats, output.mask.sum()
