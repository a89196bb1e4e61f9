# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hasrd.codec.token_file import TokenFacts
from hasrd.codec.tokens import Tokens
from hasrd.units import PAD, SPECIAL
from hasrd.units.arrangements import deduplicate, delay, first_ids, flatten, once, repeat, undelay, unflatten
from hasrd.units.layout import KINDS, Layout, Units


@st.composite
def slow_codes(draw):
    """Sizes, strides and codes (T, M) that keep to their strides."""
    count, frames = draw(st.integers(1, 4)), draw(st.integers(0, 13))
    sizes = draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
    strides = draw(st.lists(st.integers(1, 4), min_size=count, max_size=count))
    columns = []
    for size, stride in zip(sizes, strides):
        number = -(-frames // stride)
        own = draw(st.lists(st.integers(0, size - 1), min_size=number, max_size=number))
        columns.append([code for code in own for _ in range(stride)][:frames])
    return tuple(sizes), tuple(strides), np.array(columns, dtype=np.int64).reshape(count, frames).T


@given(st.lists(st.integers(-2, 2)))
def test_deduplication_is_that_of_itertools(codes):
    units, durations = deduplicate(np.array(codes, dtype=np.int64))
    assert list(zip(units, durations)) == [(code, len(list(group))) for code, group in groupby(codes)]
    assert repeat(units, durations).tolist() == codes


def test_ids_follow_on_each_other():
    assert first_ids([3, 2, 5], 4) == (4, 7, 9)


def test_a_slow_code_is_there_once():
    codes = np.array([[0, 7, 1], [1, 7, 1], [2, 8, 1], [3, 8, 2], [4, 9, 2]])
    flat, books = flatten(codes, (1, 2, 3))
    assert flat.tolist() == [0, 7, 1, 1, 2, 8, 3, 2, 4, 9] and books.tolist() == [0, 1, 2, 0, 0, 1, 0, 2, 0, 1]
    rows = delay(codes, (1, 2, 3), (0, 1, 2), -1)
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4, -1, -1]
    assert rows[:, 1].tolist() == [-1, 7, -1, 8, -1, 9, -1]
    assert rows[:, 2].tolist() == [-1, -1, 1, -1, -1, 2, -1]


@given(slow_codes(), st.data())
def test_every_arrangement_has_an_inverse(drawn, data):
    _, strides, codes = drawn
    flat, books = flatten(codes, strides)
    # In the order of the definition: frames, then codebooks, those alone that begin a stride.
    places = [(t, m) for t in range(len(codes)) for m, stride in enumerate(strides) if t % stride == 0]
    assert flat.tolist() == [codes[place] for place in places] and books.tolist() == [m for _, m in places]
    assert np.array_equal(unflatten(flat, len(codes), strides), codes)
    delays = data.draw(st.lists(st.integers(0, 5), min_size=len(strides), max_size=len(strides)))
    assert np.array_equal(undelay(delay(codes, strides, delays, -1), strides, delays), codes)


@given(slow_codes(), st.sampled_from(KINDS), st.booleans())
def test_layouts_restore_the_codes(drawn, kind, dedup):
    sizes, strides, codes = drawn
    if dedup:
        kind, sizes, strides, codes = "flat", sizes[:1], strides[:1], codes[:, :1]
    facts = TokenFacts(("a",) + ("b",) * (len(sizes) - 1), sizes, 50.0, codebook_strides=strides)
    layout = Layout(kind, facts, dedup)
    units = layout.arrange(codes)
    assert np.array_equal(layout.restore(units), codes)
    words = layout.vocabulary
    assert len(words) == len(set(words)) == len(SPECIAL) + sum(sizes)
    # The id says which codebook it is of, whatever the kind.
    for book, (start, size) in enumerate(zip(layout.starts, sizes)):
        name = "a" if book == 0 else f"b{book - 1}" if len(sizes) > 2 else "b"
        assert words[start : start + size] == [f"<{name}_{code}>" for code in range(size)]
    allowed = {PAD} if kind == "delay" else set()
    assert not set(units.ids.ravel().tolist()) & (set(range(len(SPECIAL))) - allowed)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(ids=np.array([4, 5, 6])), "3 codes for 2 frames"),
        (dict(ids=np.array([4, 8, 5, 99])), "no code"),
        (dict(ids=np.array([[4, 8]])), "shape"),
        (dict(frames=3), "4 codes for 3 frames"),
    ],
)
def test_what_is_no_such_sequence_is_refused(change, message):
    layout = Layout("flat", TokenFacts(("a", "b"), (4, 4)))
    units = layout.arrange(np.array([[0, 0], [1, 1]]))
    with pytest.raises(ValueError, match=message):
        layout.restore(Units(**{"ids": units.ids, "frames": units.frames, **change}))


def test_codes_that_a_layout_would_lose_are_refused():
    with pytest.raises(ValueError, match="within their stride of 2"):
        once(np.array([1, 1, 2, 3]), 2)
    with pytest.raises(ValueError, match="no code 4"):
        Layout("frames", TokenFacts(("a",), (4,))).arrange(np.array([[4]]))
    with pytest.raises(ValueError, match="one codebook"):
        Layout("flat", TokenFacts(("a", "b"), (4, 4)), dedup=True)
    with pytest.raises(ValueError, match="durations"):
        Layout("flat", TokenFacts(("a",), (4,)), dedup=True).restore(Units(np.array([4]), 1))


def test_a_layout_of_tokens():
    codes = torch.tensor([[[0, 7], [1, 7], [1, 3]]])
    size = torch.tensor([3])
    tokens = Tokens(codes, size, size * 320, 50.0, ("semantic", "acoustic"), (4, 8), codebook_strides=(1, 2))
    layout = Layout.of(tokens, "delay")
    units = layout.arrange(tokens.codes[0].numpy())
    assert units.ids.tolist() == [[4, PAD], [5, 4 + 4 + 7], [5, PAD], [PAD, 4 + 4 + 3]]
    assert np.array_equal(layout.restore(units), codes[0])
    semantic = Layout.of(tokens.select(["semantic"]), dedup=True)
    assert semantic.arrange(codes[0, :, :1].numpy()).durations.tolist() == [1, 2]
