# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens: their checks and views."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hasrd.codec.tokens import Tokens


@pytest.fixture
def tokens():
    codes = torch.randint(0, 8, (2, 5, 3), generator=torch.Generator().manual_seed(0))
    codes[1, 3:] = 0
    return Tokens(
        codes=codes,
        lengths=torch.tensor([5, 3]),
        num_samples=torch.tensor([2600, 1700]),
        frame_rate=31.25,
        stream_names=["semantic", "acoustic", "acoustic"],
        codebook_sizes=[16, 8, 8],
    )


def test_bitrate(tokens):
    assert tokens.bitrate == 31.25 * (4 + 3 + 3)
    assert tokens.select(["semantic"]).bitrate == 31.25 * 4
    empty = torch.zeros(0, dtype=torch.long)
    nine = Tokens(empty.view(0, 0, 9), empty, empty, 31.25, ("acoustic",) * 9, (1024,) * 9)
    assert nine.bitrate == 2812.5  # the paper's 2.79 kbps, which rounds to 31 Hz


def test_select(tokens):
    acoustic = tokens.select(["acoustic"])
    assert torch.equal(acoustic.codes, tokens.codes[..., 1:])
    assert acoustic.stream_names == ("acoustic", "acoustic") and acoustic.codebook_sizes == (8, 8)
    both = tokens.select(["acoustic", "semantic"])
    assert torch.equal(both.codes, tokens.codes) and both.stream_names == tokens.stream_names
    with pytest.raises(ValueError, match="no stream named lexical: there are semantic, acoustic"):
        tokens.select(["lexical"])
    with pytest.raises(ValueError, match="not the string"):
        tokens.select("semantic")


def test_the_other_order_of_codes(tokens):
    codes = tokens.to_bkt()
    assert codes.shape == (2, 3, 5) and torch.equal(codes[1, 2], tokens.codes[1, :, 2])
    fields = {name: value for name, value in vars(tokens).items() if name != "codes"}
    again = Tokens.from_bkt(codes, **fields)
    assert torch.equal(again.codes, tokens.codes) and again.strides == tokens.strides
    with pytest.raises(ValueError, match=r"\(B, K, T\)"):
        Tokens.from_bkt(codes[0], **fields)


def test_first(tokens):
    two = tokens.first(2)
    assert torch.equal(two.codes, tokens.codes[..., :2])
    assert two.stream_names == ("semantic", "acoustic") and two.codebook_sizes == (16, 8)
    assert torch.equal(tokens.first(3).codes, tokens.codes)
    for number in (0, 4):
        with pytest.raises(ValueError, match="there are 3"):
            tokens.first(number)


def test_loudness(tokens):
    assert tokens.loudness is None and tokens.item(0).loudness is None and tokens.to("cpu").loudness is None
    loud = replace(tokens, loudness=torch.tensor([-20.0, -33.5]))
    for view in (loud.select(["acoustic"]), loud.first(1), loud.to("cpu")):
        assert torch.equal(view.loudness, loud.loudness)
    assert loud.item(1).loudness.tolist() == [-33.5]
    for wrong, words in [
        (torch.tensor([-20.0]), r"must be \(2,\) float32"),
        (torch.tensor([-20.0, -20.0]).double(), "float64"),
        (torch.tensor([-20.0, torch.nan]), "LUFS from -70 to 30"),
        (torch.tensor([-20.0, 31.0]), "LUFS from -70 to 30"),
    ]:
        with pytest.raises(ValueError, match=words):
            replace(tokens, loudness=wrong)


def test_item(tokens):
    item = tokens.item(1)
    assert item.codes.shape == (1, 3, 3) and torch.equal(item.codes[0], tokens.codes[1, :3])
    assert item.num_samples.tolist() == [1700] and len(item) == 1
    assert torch.equal(tokens.item(-1).codes, item.codes)
    with pytest.raises(IndexError):
        tokens.item(2)


def test_to(tokens):
    moved = tokens.to("cpu")
    assert torch.equal(moved.codes, tokens.codes) and moved.stream_names == tokens.stream_names


@pytest.mark.parametrize(
    "change, message",
    [
        ({"codes": torch.zeros(2, 5, 3)}, "int64"),
        ({"codes": torch.zeros(5, 3, dtype=torch.long)}, r"\(B, T, M\)"),
        ({"lengths": torch.tensor([5])}, "lengths must be"),
        ({"lengths": torch.tensor([5.0, 3.0])}, "lengths must be"),
        ({"lengths": torch.tensor([5, 6])}, "a length of 6 tokens"),
        ({"num_samples": torch.tensor([1, -1])}, "not be negative"),
        ({"stream_names": ("semantic",)}, "1 stream names"),
        ({"codebook_sizes": (16, 8)}, "2 codebook sizes"),
        ({"frame_rate": 0.0}, "positive"),
        ({"codes": torch.full((2, 5, 3), 8)}, "codebook 1 has 8 entries"),
        ({"codes": torch.full((2, 5, 3), -1)}, "codebook 0"),
    ],
)
def test_checks(tokens, change, message):
    with pytest.raises(ValueError, match=message):
        replace(tokens, **change)
