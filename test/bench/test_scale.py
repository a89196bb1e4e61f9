# Copyright 2026 The hasrd authors
# Apache-2.0
"""Disk and time at full size: sums done by hand, and the page that shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hasrd.bench.scale import CONFIGS, HOURS, Speech, codec_rows, rows, table
from hasrd.codec.describe import describe

PAGE = Path(__file__).resolve().parents[2] / "docs/scale.md"
SSL, CODEC = (yaml.safe_load((CONFIGS / f"train_{name}.yaml").read_text(encoding="utf-8")) for name in ("ssl", "codec"))


def found(train_set: str = "train", **options):
    return {row.what.split(",")[0].split(":")[0]: row for row in rows(train_set, SSL, CODEC, **options)}


def test_sums_by_hand():
    row = found()
    hour = 3600
    assert row["log-mel"].size == pytest.approx(971.7 * hour * 125 * 80 * 4)
    # 31.25 tokens a second, 768 numbers a latent, 1 + 8 codes.
    heard = (100.6 + 5.4 + 5.4) * hour * 31.25
    assert row["latents and codes of train-clean-100 and the test sets"].size == pytest.approx(heard * (768 + 9) * 4)
    assert 100.6 * hour * 31.25 * 768 * 4 == pytest.approx(35e9, rel=0.01), "the latents of 100 h"
    assert row["frames for k-means"].size == pytest.approx(10.06 * hour * 31.25 * 768 * 4)
    # docs/models.md: parameters in all; the codec's encoder is frozen, its discriminators are saved.
    assert row["checkpoints of the pre-training"].size == 5 * 4 * 108_774_656
    assert 5 * 4 * 42.5e6 < row["checkpoints of the codec"].size < 5 * 4 * (141_317_583 + 42.6e6)
    assert row["checkpoints of the pre-training"].operations == pytest.approx(100_000 * 9600 * 35.2e9)
    assert row["checkpoints of the codec"].operations == pytest.approx(100_000 * 8 * 5 * 311e9)
    assert row["codes of the training set"].core_seconds == pytest.approx(960.9 * hour * 0.1088)


def test_what_depends_on_the_training_set_and_the_cache():
    small, large = found("train-clean-100"), found("train")
    ratio = (HOURS["train"] + 10.8) / (HOURS["train-clean-100"] + 10.8)
    assert large["log-mel"].size / small["log-mel"].size == pytest.approx(ratio)
    assert large["frames for k-means"] == small["frames for k-means"]
    layers = found(probe_cache_gb=300)["layers for the layer probe"]
    assert layers.size == pytest.approx(100.6 * 3600 * 31.25 * 13 * 768 * 2) and "stored" in layers.what
    assert found(probe_cache_gb=20)["layers for the layer probe"].size == 0
    assert found(portion=0.2)["frames for k-means"].size == 2 * small["frames for k-means"].size


def test_the_page_shows_what_is_computed():
    text = PAGE.read_text(encoding="utf-8")
    for name in ("train-clean-100", "train"):
        assert f"`--train_set {name}` ({HOURS[name]:.0f} h):\n\n{table(rows(name, SSL, CODEC), 100.0)}\n" in text


@pytest.mark.parametrize("change", [{"segment": None}, {"segment": "none"}, {"batch_size": None}])
def test_without_the_speech_of_a_step_there_is_no_time(change):
    model = describe(CODEC)
    speech = Speech(3600, 3000, 3000, 3000, 600, "train", "train")
    assert codec_rows(speech, CODEC, model)[0].operations
    assert codec_rows(speech, {**CODEC, **change}, model)[0].operations is None
