# Copyright 2026 The hasrd authors
# Apache-2.0
"""What is random in a step: different in each process, worker and epoch, the same again when a training goes on."""

from __future__ import annotations

import itertools
import random

import numpy as np
import torch

from hasrd.train.randomness import seed_epoch, seed_worker


def draws(seed: int, epoch: int, rank: int) -> tuple[float, float, float]:
    seed_epoch(seed, epoch, rank)
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_processes_epochs_and_seeds_draw_different_numbers():
    keys = list(itertools.product(range(3), range(1, 4), range(3)))
    drawn = {key: draws(*key) for key in keys}
    for column in zip(*drawn.values()):
        assert len(set(column)) == len(keys)
    assert all(draws(*key) == drawn[key] for key in keys)


class Draws(torch.utils.data.Dataset):
    """Each item is a number of each generator of the worker that reads it."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, _: int) -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))


def epoch_of(epoch: int, rank: int) -> list[float]:
    seed_epoch(0, epoch, rank)
    loader = torch.utils.data.DataLoader(Draws(), num_workers=2)
    loader.worker_init_fn = seed_worker
    return [float(number) for item in loader for number in item]


def test_workers_draw_different_numbers_and_the_same_again():
    epochs = {key: epoch_of(*key) for key in ((1, 0), (1, 1), (2, 0))}
    assert len(set(itertools.chain(*epochs.values()))) == 3 * 3 * 6
    assert epoch_of(2, 0) == epochs[2, 0]
