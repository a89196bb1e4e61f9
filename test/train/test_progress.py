# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a training says on the console while it runs."""

from __future__ import annotations

import pytest
from espnet2.train.reporter import Reporter

from hasrd.train import loop
from hasrd.train.loop import Clock, epoch_line


@pytest.fixture
def time(monkeypatch):
    """A clock that goes as the test says."""
    now = [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])
    return now


def lines(capsys) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_the_time_left_is_said_once_it_means_something(time, capsys):
    """Ten steps of 8 s are too few; from the 20th on, steps of 1 s say how long the rest takes."""
    clock = Clock(first_epoch=1)
    for step in range(1, 11):
        time[0] += 8
        clock.tick(1, 2, step, 100)
    assert lines(capsys) and not any("left" in line for line in lines(capsys))
    for step in range(11, 101):
        time[0] += 1
        clock.tick(1, 2, step, 100)
    shown = lines(capsys)
    assert shown[-1].startswith("training: epoch 1/2, step ") and all(line.endswith(" left") for line in shown[2:])


def test_a_training_that_goes_on_does_not_count_what_others_did(time, capsys):
    clock = Clock(first_epoch=3)
    for step in range(1, 51):
        time[0] += 1
        clock.tick(3, 3, step, 100)
    assert lines(capsys)[-1] == "training: epoch 3/3, step 50/100 (83%), 50 s left"


def test_steps_without_the_discriminator_say_how_long_it_takes_at_least(time, capsys):
    """50 steps of 1 s, then 50 of 3 s."""
    clock = Clock(first_epoch=1, joins_after=50)
    shown = {}
    for step in range(1, 101):
        time[0] += 1 if step <= 50 else 3
        clock.tick(1, 1, step, 100)
        shown |= dict.fromkeys([step], text) if (text := "".join(lines(capsys))) else {}
    assert shown[40].endswith(", more than 1 min 00 s left")
    assert not any("left" in text for step, text in shown.items() if 50 <= step < 70)
    left = {step: int(text.rsplit(", ", 1)[1].split()[0]) for step, text in shown.items() if 80 <= step < 100}
    assert left and all(seconds == 3 * (100 - step) for step, seconds in left.items())


def test_an_epoch_is_one_short_line_of_training_and_validation():
    reporter = Reporter()
    reporter.set_epoch(3)
    for part, factor in (("train", 1.0), ("valid", 2.0)):
        with reporter.observe(part) as observed:
            stats = {"used_0": 5.0, "mel_distance": 0.5 * factor, "loss": 30 * factor, "perplexity_0": 2.0}
            observed.register({name: value for name, value in stats.items()}, 1)
            observed.next()
    line = epoch_line(reporter, 11, ["mel_distance"])
    assert line.startswith("epoch 3/11: train mel_distance 0.5, loss 30; valid mel_distance 1, loss 60 (")
    assert len(line) < 120
