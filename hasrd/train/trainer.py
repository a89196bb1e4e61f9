# Copyright 2026 The hasrd authors
# Apache-2.0
"""The trainer of one-optimiser models."""

from __future__ import annotations

import argparse
import dataclasses

from espnet2.train import trainer as espnet
from espnet2.utils.build_dataclass import build_dataclass

from hasrd.train.loop import EpochLoop


@dataclasses.dataclass
class TrainerOptions(espnet.TrainerOptions):
    """ESPnet's options and ours."""

    weight_average: float


class Trainer(EpochLoop, espnet.Trainer):
    """ESPnet's trainer with atomic checkpoints, bf16 on CPUs too, and steps that do not wait for the device."""

    @classmethod
    def build_options(cls, args: argparse.Namespace) -> TrainerOptions:
        """Collect the options of the training."""
        return build_dataclass(TrainerOptions, args)
