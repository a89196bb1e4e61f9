# Copyright 2026 The hasrd authors
# Apache-2.0
"""The trainer of a codec and its discriminator."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Sequence

from espnet2.train import gan_trainer as espnet
from espnet2.utils.build_dataclass import build_dataclass

from hasrd.errors import UserError
from hasrd.train.loop import EpochLoop
from hasrd.train.steps import Turn


@dataclasses.dataclass
class GANTrainerOptions(espnet.GANTrainerOptions):
    """ESPnet's options and ours."""

    adversarial_start_step: int
    grad_clip2: float
    weight_average: float


class GANTrainer(EpochLoop, espnet.GANTrainer):
    """Alternating updates: discriminator, then generator on the same, shared output.

    ESPnet's step runs both turns from the first step on; here the discriminator joins after `--adversarial_start_step`
    steps (on a CPU a step with it costs several without), each turn clips the gradients of its own optimiser to a norm
    of its own, and bf16 works on CPUs too.
    """

    # fp16 gradients of the adversarial losses overflow; GPUs without bf16 train codecs in float32.
    supports_fp16 = False
    # Reconstruction alone: comparable over the whole training.
    valid_arguments = {"forward_generator": True, "adversarial": False}

    @classmethod
    def build_options(cls, args: argparse.Namespace) -> GANTrainerOptions:
        """Collect the options of `train_one_epoch`.

        Raises:
            UserError: Gradients to be accumulated: the two turns would mix theirs.
        """
        if args.accum_grad > 1:
            raise UserError(f"--accum_grad {args.accum_grad}: a codec training accumulates no gradients; leave it out")
        return build_dataclass(GANTrainerOptions, args)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add ESPnet's GAN options and ours."""
        super().add_arguments(parser)
        parser.add_argument(
            "--adversarial_start_step",
            type=int,
            default=0,
            help="Train without the discriminator for so many steps first",
        )
        parser.add_argument(
            "--grad_clip2",
            type=float,
            default=10.0,
            help="Norm that the discriminator's gradients are clipped to (DAC: 10); --grad_clip is the generator's",
        )

    @classmethod
    def joins_after(cls, options: GANTrainerOptions) -> int:
        """Those without the discriminator."""
        return options.adversarial_start_step

    @classmethod
    def turns(cls, number: int, optimizers: Sequence, options: GANTrainerOptions) -> Sequence[Turn]:
        """Discriminator, then generator; the generator alone up to `--adversarial_start_step`, or without another."""
        adversarial = len(optimizers) > 1 and number > options.adversarial_start_step
        generator = Turn(0, "generator_", "grad_clip", {"forward_generator": True, "adversarial": adversarial})
        discriminator = Turn(1, "discriminator_", "grad_clip2", {"forward_generator": False})
        return (discriminator, generator) if adversarial else (generator,)
