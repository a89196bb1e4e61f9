# Copyright 2026 The hasrd authors
# Apache-2.0
"""The average of the weights against a loop over numbers, and torch's own; training goes on with its own weights."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from hasrd.errors import UserError
from hasrd.train.average import WeightAverage


def trained(decay: float, steps: int):
    """A model after some steps, its average, and its weights after each step, the start first."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    average = WeightAverage(optimizer, decay)
    seen = [copy.deepcopy(model.state_dict())]
    for _ in range(steps):
        model(torch.randn(5, 4)).square().sum().backward()
        optimizer.step()
        seen.append(copy.deepcopy(model.state_dict()))
    return model, optimizer, average, seen


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99])
def test_average(decay):
    model, _, average, seen = trained(decay, 12)
    expected = {name: value.double() for name, value in seen[0].items()}
    for update, weights in enumerate(seen[1:], 1):
        share = min(decay, (1 + update) / (10 + update))
        expected = {name: share * value + (1 - share) * weights[name].double() for name, value in expected.items()}
    with average.in_place():
        for name, value in model.state_dict().items():
            torch.testing.assert_close(value.double(), expected[name], atol=1e-6, rtol=1e-5)
    assert all(torch.equal(value, seen[-1][name]) for name, value in model.state_dict().items()), "its own again"


def test_the_decay_is_torchs_once_the_start_is_over():
    model, optimizer, average, _ = trained(0.1, 3)
    theirs = AveragedModel(model, avg_fn=get_ema_avg_fn(0.1))
    with average.in_place():
        theirs.module.load_state_dict(model.state_dict())
    theirs.n_averaged += 1
    for _ in range(5):
        model(torch.randn(5, 4)).square().sum().backward()
        optimizer.step()
        theirs.update_parameters(model)
    with average.in_place():
        for name, value in model.state_dict().items():
            torch.testing.assert_close(value, theirs.module.state_dict()[name])


@pytest.mark.parametrize("decay", [-0.1, 1.0, 999.0, float("nan")])
def test_what_is_no_decay(decay):
    with pytest.raises(UserError, match="--weight_average"):
        trained(decay, 0)


def test_state():
    model, _, average, _ = trained(0.9, 4)
    again = trained(0.9, 0)[2]
    again.load_state_dict(copy.deepcopy(average.state_dict()))
    assert again.updates == 4 and all(map(torch.equal, again.averages, average.averages))
    with pytest.raises(ValueError, match="other shapes"):
        WeightAverage(torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=1.0), 0.9).load_state_dict(
            average.state_dict()
        )
    with pytest.raises(KeyError):
        with average.in_place():
            raise KeyError
    assert not any(map(torch.equal, average.averages, model.parameters()))
