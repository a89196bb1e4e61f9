# Copyright 2026 The hasrd authors
# Apache-2.0
"""The trainer of one-optimiser models."""

from __future__ import annotations

from espnet2.train import trainer as espnet

from hasrd.train.loop import EpochLoop


class Trainer(EpochLoop, espnet.Trainer):
    """ESPnet's trainer with atomic checkpoints, bf16 on CPUs too, and steps that do not wait for the device."""
