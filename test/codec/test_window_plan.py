# Copyright 2026 The hasrd authors
# Apache-2.0
"""The windows of long speech: each token is kept once, from the window in which it is most central."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasrd.codec.window_plan import check_window, plan_windows
from hasrd.errors import UserError


@st.composite
def plans(draw):
    step = draw(st.integers(1, 8))
    size = draw(st.integers(1, 40))
    overlap = draw(st.integers(0, size - 1))
    return draw(st.integers(1, 2000)), size * step, overlap * step, step


@given(plans())
def test_each_token_is_kept_once_from_the_window_whose_middle_is_nearest(plan):
    num_tokens, size, overlap, step = plan
    windows = plan_windows(*plan)
    assert windows[0].start == windows[0].first == 0 and windows[-1].stop == windows[-1].last == num_tokens
    for window in windows:
        assert window.start <= window.first < window.last <= window.stop <= window.start + size
        assert window.start % step == window.first % step == 0
    for window, after in zip(windows, windows[1:]):
        assert window.last == after.first and window.start < after.start <= window.stop - overlap
        assert window.stop == window.start + size
    # What shares a code in a slow stream counts together.
    for group in range(0, num_tokens, step):
        kept = next(window for window in windows if window.first <= group < window.last)
        nearest = min(abs(group + step / 2 - window.start - size / 2) for window in windows)
        assert abs(group + step / 2 - kept.start - size / 2) == nearest


@given(plans())
def test_windows_are_as_few_as_reach_the_end(plan):
    num_tokens, size, overlap, _ = plan
    assert len(plan_windows(*plan)) == 1 + max(0, math.ceil((num_tokens - size) / (size - overlap)))


@given(plans(), st.integers(0, 2000))
def test_what_comes_later_changes_only_the_last_windows(plan, more):
    num_tokens, *rest = plan
    short, long = plan_windows(num_tokens, *rest), plan_windows(num_tokens + more, *rest)
    assert [w.start for w in short[:-1]] == [w.start for w in long[: len(short) - 1]]


@pytest.mark.parametrize("seconds", [0, 0.99, -30, math.inf, math.nan, "30", True, [30]])
def test_no_windows(seconds):
    with pytest.raises(UserError, match="give at least 1 second"):
        check_window(seconds)


@pytest.mark.parametrize("seconds", [None, 1, 30.0])
def test_windows(seconds):
    check_window(seconds)
