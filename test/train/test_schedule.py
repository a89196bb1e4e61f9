# Copyright 2026 The hasrd authors
# Apache-2.0
"""Learning rates an update: torch's own schedulers as the reference, the length of the training, going on."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.errors import UserError
from hasrd.train.schedule import ExponentialUpdateLR, WarmupCosineLR


def optimizer(*rates: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])


def rates_of(scheduler, updates: int) -> list[list[float]]:
    """The rates of the next `updates` updates."""
    rates = []
    for _ in range(updates):
        rates.append([group["lr"] for group in scheduler.optimizer.param_groups])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


@given(total=st.integers(1, 60), warmup=st.sampled_from([0.0, 0.1, 0.3, 0.9]), final=st.sampled_from([0.0, 0.01, 0.5]))
@settings(max_examples=40)
def test_warmup_and_cosine_are_those_of_torch(total, warmup, final):
    """LinearLR up to the highest rate, then CosineAnnealingLR."""
    ours = WarmupCosineLR(optimizer(0.3, 0.01), warmup, final)
    ours.plan(total)
    rise = round(warmup * total)
    found = rates_of(ours, total)
    for group, rate in enumerate((0.3, 0.01)):
        up = torch.optim.lr_scheduler.LinearLR(optimizer(rate), 1 / (rise + 1), 1.0, rise) if rise else None
        down = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer(rate), max(1, total - rise), final * rate)
        theirs = (rates_of(up, rise) if rise else []) + rates_of(down, total - rise)
        assert [rates[group] for rates in found] == pytest.approx([one for (one,) in theirs], rel=1e-6)
    assert max(max(rates) for rates in found) == pytest.approx(0.3 if total > rise else 0.3 * rise / (rise + 1))


def test_the_decay_of_a_training_does_not_depend_on_its_epochs():
    ours = ExponentialUpdateLR(optimizer(2.0), 0.99)
    assert [rate for (rate,) in rates_of(ours, 50)] == pytest.approx([2.0 * 0.99**update for update in range(50)])


@pytest.mark.parametrize("make", [lambda o: WarmupCosineLR(o, 0.2), lambda o: ExponentialUpdateLR(o, 0.9)])
@pytest.mark.parametrize("stop", [1, 7, 13])
def test_going_on_gives_the_same_rates(make, stop):
    whole = make(optimizer(0.1))
    whole.plan(20)
    expected = rates_of(whole, 20)
    first = make(optimizer(0.1))
    first.plan(20)
    assert rates_of(first, stop) == expected[:stop]
    again = make(optimizer(0.1))
    again.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    again.load_state_dict(copy.deepcopy(first.state_dict()))
    assert again.plan(20) == 20
    assert rates_of(again, 20 - stop) == expected[stop:], "bit by bit"


@pytest.mark.parametrize(
    "make", [lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9), lambda o: ExponentialUpdateLR(o, 0.9)]
)
def test_the_state_of_another_schedule_is_refused(make):
    other = make(optimizer(0.1))
    if isinstance(other, ExponentialUpdateLR):
        other.plan(10)
    with pytest.raises(ValueError, match="another schedule"):
        WarmupCosineLR(optimizer(0.1)).load_state_dict(other.state_dict())


def test_a_longer_training_has_the_rates_of_its_length():
    short, long = WarmupCosineLR(optimizer(0.1)), WarmupCosineLR(optimizer(0.1))
    short.plan(10)
    long.plan(40)
    expected = rates_of(long, 40)
    rates_of(short, 10)
    assert short.plan(40) == 10
    assert rates_of(short, 30) == expected[10:]


@pytest.mark.parametrize(
    "make",
    [
        lambda: WarmupCosineLR(optimizer(0.1), warmup=1.0),
        lambda: WarmupCosineLR(optimizer(0.1), warmup=250),
        lambda: WarmupCosineLR(optimizer(0.1), final=-0.1),
        lambda: ExponentialUpdateLR(optimizer(0.1), gamma=1.5),
    ],
)
def test_what_is_no_share(make):
    with pytest.raises(UserError, match="--scheduler_conf"):
        make()
