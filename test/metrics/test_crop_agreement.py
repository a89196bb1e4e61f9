# Copyright 2026 The hasrd authors
# Apache-2.0
"""Crop agreement, from arrays and from files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from score_files import write_arrays

from hasrd.metrics.crop_agreement import agreement, chance, inner
from hasrd.metrics.measure import Inputs
from hasrd.metrics.scores import MEASURES, read_rows, read_score
from hasrd.metrics.scoring.job import take

WHOLE = {"a": np.arange(20).reshape(10, 2) % 7, "b": np.ones((8, 2), dtype=int), "short": np.ones((2, 2), dtype=int)}
NAMES = ("semantic", "acoustic")


@pytest.fixture
def write(tmp_path):
    def write(crops: dict, margin: int | None, whole: dict = WHOLE) -> Inputs:
        (tmp_path / "crops.json").write_text(json.dumps({"samples": 8000, "margin": margin}))
        files = {"codes": write_arrays(tmp_path / "codes", whole), "crops": write_arrays(tmp_path / "crops", crops)}
        return Inputs(**files, codebook_sizes=(7, 7), stream_names=NAMES, frame_rate=31.25)

    return write


def score(inputs: Inputs) -> Path:
    """Score, and return the score's file."""
    folder = inputs.codes.parent / "scores"
    take([MEASURES["crop_agreement"]], {"combined": folder}, inputs, "test")
    return folder / "crop_agreement.json"


def crop_of(utterance: str, start: int, stop: int, wrong: tuple = ()) -> np.ndarray:
    places = np.arange(start, stop)
    crop = np.concatenate([places[:, None], WHOLE[utterance][start:stop]], axis=1)
    for frame, book in wrong:
        crop[frame, 1 + book] = (crop[frame, 1 + book] + 1) % 7
    return crop


def test_arrays():
    whole = WHOLE["a"]
    same = agreement(crop_of("a", 3, 6, [(1, 0)])[:, 1:], np.arange(3, 6), whole)
    assert same.tolist() == [[True, True], [False, True], [True, True]]
    assert inner(6, 2).tolist() == [False, False, True, True, False, False] and not inner(4, 2).any()
    assert inner(8, None).sum() == 4 and inner(8, 0).all()
    assert chance(np.array([0, 0, 1, 3]), 4) == pytest.approx((4 + 1 + 1) / 16)
    with pytest.raises(ValueError):
        agreement(whole[:3], np.arange(8, 11), whole)
    with pytest.raises(ValueError):
        agreement(whole[:3, :1], np.arange(3), whole)


def test_score(write):
    crops = {"a": crop_of("a", 2, 8, [(0, 0), (0, 1), (2, 1)]), "b": crop_of("b", 0, 4, [(3, 0)])}
    inputs = write(crops, margin=1)
    path = score(inputs)
    found = read_score(path)
    assert found.mean == pytest.approx(100 * 8 / 10) and found.count == 2 and found.unit == "%"
    semantic, acoustic = found.details["codebooks"]
    assert semantic["stream"] == "semantic" and semantic["value"] == found.mean
    assert semantic["inner_value"] == 100 and acoustic["inner_value"] == pytest.approx(100 * 5 / 6)
    assert acoustic["value"] == pytest.approx(80) and acoustic["ci95"][0] <= 80 <= acoustic["ci95"][1]
    assert found.details["left_out"] == 1 and found.details["margin"] == 1
    assert read_rows(path)["a"] == {"agreeing": "5", "tokens": "6", "inner_agreeing": "4", "inner_tokens": "4"}
    before = path.stat().st_mtime_ns
    score(inputs)
    assert path.stat().st_mtime_ns == before, "up to date"
    score(write(crops, margin=0))
    assert read_score(path).details["codebooks"][0]["inner_value"] == found.mean, "another margin is another score"


def test_crops_without_inner_tokens(write):
    path = score(write({"b": crop_of("b", 0, 4)}, margin=5))
    assert "inner_value" not in read_score(path).details["codebooks"][0]


def test_bad_input(write, capsys, one_line):
    score(write({}, None))
    said = capsys.readouterr().out
    assert "crop_agreement: left out: " in said and "no utterance is longer than a crop" in said
    one_line("utterance 'c' of .* is missing", score, write({"c": crop_of("a", 0, 4)}, None))
    one_line("utterance 'a': places 6 to 10 of 10 tokens", score, write({"a": crop_of("a", 5, 10) + [1, 0, 0]}, None))
    inputs = write({"a": crop_of("a", 0, 4)}, None)
    inputs.crops.with_name("crops.json").unlink()
    one_line("--crop_seconds", score, inputs)
