# Copyright 2026 The hasrd authors
# Apache-2.0
"""The random numbers of a training: a function of seed, epoch and process, and of the loader's worker."""

from __future__ import annotations

import random

import numpy as np
import torch
from espnet2.torch_utils.set_all_random_seed import set_all_random_seed


def seed_epoch(seed: int, epoch: int, rank: int) -> None:
    """Seed all generators for one epoch in one process.

    A training that goes on draws what an uninterrupted one draws. No two processes, epochs or seeds share their numbers
    (a sum of seed and epoch would give the second epoch of seed 0 those of the first of seed 1).

    Args:
        seed: `--seed`, at least 0.
        epoch: From 1 on.
        rank: Of the process.
    """
    set_all_random_seed(int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0]))


def seed_worker(worker: int) -> None:
    """Seed the generators of worker number `worker` of torch's data loader, which calls this in that worker.

    torch gives each worker another seed out of the generator that `seed_epoch` seeded. ESPnet would give worker 1 the
    numbers that worker 0 has an epoch later, and all processes the same ones.
    """
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
