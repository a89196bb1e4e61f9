# Copyright 2026 The hasrd authors
# Apache-2.0
"""The codec and its discriminator as ESPnet's GAN training drives them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator

import torch
from espnet2.gan_tts.hifigan.loss import (
    DiscriminatorAdversarialLoss,
    FeatureMatchLoss,
    GeneratorAdversarialLoss,
)
from espnet2.train.abs_gan_espnet_model import AbsGANESPnetModel

from hasrd.encoder.layers import length_mask
from hasrd.encoder.output import EncoderOutput
from hasrd.loss.distillation import Clock
from hasrd.loss.spectral import MelDistance
from hasrd.quantizer.usage import CodebookUsage


class CodecModel(AbsGANESPnetModel):
    """Reconstruction, adversarial and codebook losses of a codec (HASRD section 2.3; DAC's losses and weights).

    With `distillation`, teachers' losses on the quantizer's levels besides (HAC, SpeechTokenizer).

    Args:
        codec: `hasrd.codec.codec.Codec`.
        discriminator: Wave (B, 1, N) to a list of lists of feature maps, as ESPnet's discriminators give; None trains
            without one.
        lambda_mel: Weight of the multi-scale log-mel L1 (DAC: 15).
        lambda_feat_match: Weight of feature matching (DAC: 2).
        lambda_adv: Weight of the least-squares generator loss (DAC: 1).
        lambda_commit: Weight of the commitment loss (DAC: 0.25).
        lambda_codebook: Weight of the codebook loss (DAC: 1).
        distillation: `hasrd.loss.distillation.Distillation`, whose losses come weighted; None for none.
    """

    def __init__(
        self,
        codec: torch.nn.Module,
        discriminator: torch.nn.Module | None,
        lambda_mel: float = 15.0,
        lambda_feat_match: float = 2.0,
        lambda_adv: float = 1.0,
        lambda_commit: float = 0.25,
        lambda_codebook: float = 1.0,
        distillation: torch.nn.Module | None = None,
    ):
        super().__init__()
        self.codec = codec
        self.discriminator = discriminator
        self.distillation = distillation
        self.clock = Clock(codec.min_samples / 2 / codec.sample_rate, 1 / codec.frame_rate)
        self.mel_distance = MelDistance(sample_rate=codec.sample_rate)
        self.generator_loss = GeneratorAdversarialLoss(average_by_discriminators=False, loss_type="mse")
        self.discriminator_loss = DiscriminatorAdversarialLoss(average_by_discriminators=False, loss_type="mse")
        # DAC sums over layers and discriminators and leaves out the final outputs.
        self.feature_loss = FeatureMatchLoss(
            average_by_discriminators=False, average_by_layers=False, include_final_outputs=False
        )
        self.lambda_mel = lambda_mel
        self.lambda_feat_match = lambda_feat_match
        self.lambda_adv = lambda_adv
        self.lambda_commit = lambda_commit
        self.lambda_codebook = lambda_codebook
        sizes = codec.quantizer.codebook_sizes
        self.usage = CodebookUsage(
            [f"codebook_{m}" for m in range(len(sizes))],
            sizes,
            "such a codebook costs bits and carries little; where it stays so, use fewer codebooks or smaller ones",
        )
        self._shared = None

    def collect_feats(self, audio: torch.Tensor, **_: object) -> dict[str, torch.Tensor]:
        """Nothing to collect: ESPnet's statistics of this task are the lengths alone."""
        return {}

    def forward(
        self,
        audio: torch.Tensor,
        audio_lengths: torch.Tensor | None = None,
        forward_generator: bool = True,
        adversarial: bool = True,
        encoder_layers: torch.Tensor | None = None,
        encoder_layers_lengths: torch.Tensor | None = None,
        **targets: Any,
    ) -> dict[str, Any]:
        """Return loss, stats, weight (scalars on the device) and the optimiser's index (0 generator, 1 discriminator).

        Within a training step the discriminator's turn comes first; the generator's output is computed there, once, and
        kept for the generator's turn.

        Args:
            audio: (B, N) in [-1, 1].
            audio_lengths: (B,) in samples; None means N for all.
            forward_generator: Whose turn it is.
            adversarial: Whether the generator's turn uses the discriminator.
            encoder_layers: (B, U, L * D) of the frozen encoder on whole utterances, from the crops' first tokens on
                (`hasrd.codec.latent_cache`); None: the encoder is run on the crops.
            encoder_layers_lengths: (B,) tokens of each crop.
            targets: What the distillation compares with, by names that start with their level's (the data loader's).
        """
        if audio_lengths is None:
            audio_lengths = torch.full((len(audio),), audio.shape[1], device=audio.device)
        output = self._shared
        if output is None:
            encoded = None
            if encoder_layers is not None:
                layers = encoder_layers.float().chunk(self.codec.encoder.num_layers, -1)
                encoded = EncoderOutput(layers, encoder_layers_lengths)
            output = self.codec(audio, audio_lengths, encoded)
            self.usage.add(output.codes, length_mask(output.lengths, output.codes.shape[1]))
        if forward_generator:
            self._shared = None
            loss, stats = self._generator_turn(audio, output, adversarial and self.discriminator is not None)
            if self.distillation is not None:
                batch = {**targets, "audio": audio, "audio_lengths": audio_lengths}
                taught, shown = self.distillation(output.levels, output.lengths, self.clock, batch)
                loss = loss + taught
                stats |= {**shown, "loss": loss}
        else:
            self._shared = output if self.training else None
            real = self._judge(audio)
            fake = self._judge(output.wave_hat.detach())
            real_loss, fake_loss = self.discriminator_loss(fake, real)
            loss = real_loss + fake_loss
            stats = {"discriminator_loss": loss, "real_loss": real_loss, "fake_loss": fake_loss}
        stats = {key: value.detach() for key, value in stats.items()}
        # Filled in by the device: a number of the host's would be waited for.
        weight = torch.full((), len(audio), device=loss.device)
        return {"loss": loss, "stats": stats, "weight": weight, "optim_idx": 0 if forward_generator else 1}

    def _judge(self, wave: torch.Tensor) -> list[list[torch.Tensor]]:
        """Feature maps of wave (B, N); in float32 on CPUs.

        Measured with torch 2.11 on two threads: the backward pass of these convolutions takes 3 times as long in bf16.
        """
        if wave.device.type != "cpu":
            return self.discriminator(wave.unsqueeze(1))
        with torch.autocast("cpu", enabled=False):
            return self.discriminator(wave.float().unsqueeze(1))

    def _generator_turn(self, audio, output, adversarial: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        mel = self.mel_distance(output.wave_hat, audio)
        commit, codebook = output.losses["commitment"], output.losses["codebook"]
        loss = self.lambda_mel * mel + self.lambda_commit * commit + self.lambda_codebook * codebook
        stats = {"mel_distance": mel, "commitment_loss": commit, "codebook_loss": codebook, **output.stats}
        if adversarial:
            with _untrained(self.discriminator):
                fake = self._judge(output.wave_hat)
            with torch.no_grad():
                real = self._judge(audio)
            adv, feat = self.generator_loss(fake), self.feature_loss(fake, real)
            loss = loss + self.lambda_adv * adv + self.lambda_feat_match * feat
            stats.update(adv_loss=adv, feat_match_loss=feat)
        stats["loss"] = loss
        return loss, stats


@contextmanager
def _untrained(module: torch.nn.Module) -> Iterator[None]:
    """Gradients of what is computed in this context reach the module's input and none of its weights."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
