# Copyright 2026 The hasrd authors
# Apache-2.0
"""The normalisations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.errors import UserError
from hasrd.frontend import CHOICES, NORMALIZE_CHOICES
from hasrd.frontend.log_mel import LogMel
from hasrd.frontend.normalize import GlobalNorm, UtteranceNorm
from hasrd.frontend.raw import RawWave
from hasrd.registry import resolve


def test_choices_resolve():
    assert resolve(CHOICES, "log_mel", False) is LogMel and resolve(CHOICES, "raw", False) is RawWave
    assert resolve(NORMALIZE_CHOICES, "utterance", False) is UtteranceNorm
    assert resolve(NORMALIZE_CHOICES, "global", False) is GlobalNorm


def random_batch(lengths, seed, extra=0):
    torch.manual_seed(seed)
    # Padding that is not even zero must not count.
    return 4 * torch.randn(len(lengths), max(lengths) + extra, 6) - 7, torch.tensor(lengths)


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    extra=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_utterance_norm_over_valid_frames(lengths, extra, seed):
    feats, counts = random_batch(lengths, seed, extra)
    before = feats.clone()
    normalised, same = UtteranceNorm()(feats, counts)
    assert torch.equal(feats, before) and torch.equal(same, counts)
    for row, raw, length in zip(normalised, feats, lengths):
        assert not row[length:].any()
        alone, _ = UtteranceNorm()(raw[None, :length], torch.tensor([length]))
        torch.testing.assert_close(row[:length], alone[0], atol=1e-4, rtol=0)
        if length > 1:
            expected = (raw[:length] - raw[:length].mean(0)) / raw[:length].std(0, correction=0)
            torch.testing.assert_close(row[:length], expected, atol=1e-3, rtol=1e-3)
        elif length:
            assert not row[0].any()


def test_constant_bin_becomes_zero():
    feats = torch.randn(1, 7777, 2)
    feats[..., 1] = -15.942385
    normalised, _ = UtteranceNorm()(feats, torch.tensor([7777]))
    assert not normalised[..., 1].any() and normalised[..., 0].any()


@settings(max_examples=10, deadline=None)
@given(
    lengths=st.lists(st.sampled_from([0, 399, 400, 784, 5000, 16001]), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_log_mel_with_norm_in_a_batch_equals_alone(lengths, seed):
    torch.manual_seed(seed)
    waves = 0.1 * torch.randn(len(lengths), max(lengths) + 100)
    log_mel, norm = LogMel(), UtteranceNorm()
    feats, frames = norm(*log_mel(waves, torch.tensor(lengths)))
    for wave, length, feat, count in zip(waves, lengths, feats, frames.tolist()):
        alone, _ = norm(*log_mel(wave[None, :length], torch.tensor([length])))
        torch.testing.assert_close(feat[:count], alone[0], atol=1e-4, rtol=0)
        assert not feat[count:].any()


def test_global_norm_from_statistics(tmp_path):
    feats, counts = random_batch([50, 20], 0)
    valid = torch.cat([feats[0], feats[1, :20]]).double()
    path = tmp_path / "feats_stats.npz"
    np.savez(path, count=len(valid), sum=valid.sum(0).numpy(), sum_square=valid.square().sum(0).numpy())
    norm = GlobalNorm.from_stats(path)
    normalised, _ = norm(feats, counts)
    expected = (feats - valid.mean(0)) / valid.std(0, correction=0)
    torch.testing.assert_close(normalised[0], expected[0].float(), atol=1e-5, rtol=1e-5)
    assert not normalised[1, 20:].any()
    assert set(norm.state_dict()) == {"mean", "std"}


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04", "incomplete", "array"])
def test_bad_statistics_name_the_file(tmp_path, content):
    path = tmp_path / "feats_stats.npz"
    if content == "incomplete":
        np.savez(path, count=1)
    elif content == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="file of feature statistics"):
        GlobalNorm.from_stats(path)


@pytest.mark.parametrize("count, total", [(0, 1.0), (5, np.nan)])
def test_useless_statistics_are_refused(tmp_path, count, total):
    path = tmp_path / "feats_stats.npz"
    np.savez(path, count=count, sum=np.array([total]), sum_square=np.ones(1))
    with pytest.raises(UserError, match="of no frame|not finite"):
        GlobalNorm.from_stats(path)


def test_raw_wave():
    raw = RawWave()
    wave = torch.randn(2, 10)
    feats, lengths = raw(wave, torch.tensor([10, 4]))
    assert (raw.window, raw.frame_shift, raw.output_size, raw.sample_rate) == (1, 1, 1, 16000)
    assert feats.shape == (2, 10, 1) and lengths.tolist() == [10, 4] and raw.num_frames(7) == 7
    assert torch.equal(feats[0, :, 0], wave[0])
    assert torch.equal(feats[1, :4, 0], wave[1, :4]) and not feats[1, 4:].any()
