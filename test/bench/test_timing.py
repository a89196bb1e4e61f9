# Copyright 2026 The hasrd authors
# Apache-2.0
"""The clock: who runs when, and what is made of the times."""

from __future__ import annotations

import time

import pytest

from hasrd.bench import timing


def test_candidates_run_in_turn():
    calls: list[str] = []
    times = timing.in_turn({name: (lambda name=name: calls.append(name)) for name in "abc"}, 3)
    assert calls == list("abc" * 3)
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3, "c": 3}


def test_all_turns_are_shown():
    shown = []
    timing.in_turn({"a": int, "b": int}, 2, show=lambda turns: shown.extend(turns) or turns)
    assert shown == ["a", "b", "a", "b"]


def test_a_time_is_the_candidates_own():
    times = timing.in_turn({"fast": int, "slow": lambda: time.sleep(0.05)}, 2)
    assert min(times["slow"]) >= 0.05


def test_ratios_are_those_of_a_round():
    # Load that doubles both times of a round changes no ratio; the ratio of the medians would be 4 / 2.
    base, other = [3.0, 6.0, 4.0], [1.0, 2.0, 4.0]
    assert timing.ratio(base, other) == 3.0
    assert timing.quartiles(base, other) == [2.0, 3.0]
    assert timing.quartiles([6.0], [2.0]) == [3.0, 3.0]


def test_measure_leaves_the_warm_up_out(monkeypatch):
    ticks = iter([0, 100, 100, 101, 101, 104, 104, 106])  # the first round takes 100 s
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(ticks))
    assert timing.measure({"a": int}, rounds=3) == {"a": pytest.approx(2)}
