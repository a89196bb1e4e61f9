# Copyright 2026 The hasrd authors
# Apache-2.0
"""Loudness and levels, against the standard, torchaudio and what they must do to speech."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal
from torchaudio.functional import loudness as torchaudio_loudness

from hasrd.frontend.loudness import FLOOR, TOLERANCE, level_gain, loudness, restore, to_loudness

RATE = 16000


def noise(seconds=1.5, seed=0, scale=0.1):
    """(1, N) low-pass noise with an envelope."""
    generator = np.random.default_rng(seed)
    wave = signal.lfilter([1.0], [1.0, -0.9], generator.standard_normal(int(seconds * RATE)))
    envelope = 0.3 + np.sin(np.linspace(0, 9, len(wave))) ** 2
    return torch.from_numpy((scale * wave * envelope).astype(np.float32))[None]


def bs1770(wave):
    """ITU-R BS.1770-4 from its text: K weighting for any rate, blocks of 0.4 s, two gates."""

    def shelf():
        gain, q, corner = 3.999843853973347, 0.7071752369554196, 1681.974450955533
        k, high = np.tan(np.pi * corner / RATE), 10 ** (gain / 20)
        band, a0 = high**0.4996667741545416, 1 + k / q + k * k
        b = [high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]
        return np.array(b) / a0, [1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]

    def highpass():
        q, corner = 0.5003270373238773, 38.13547087602444
        k = np.tan(np.pi * corner / RATE)
        a0 = 1 + k / q + k * k
        return [1, -2, 1], [1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]

    for numerator, denominator in (shelf(), highpass()):
        wave = signal.lfilter(numerator, denominator, wave)
    energy = np.array([np.mean(wave[s : s + 6400] ** 2) for s in range(0, len(wave) - 6399, 1600)])
    loud = -0.691 + 10 * np.log10(energy)
    kept = energy[loud > -70]
    threshold = -0.691 + 10 * np.log10(kept.mean()) - 10
    return -0.691 + 10 * np.log10(energy[(loud > -70) & (loud > threshold)].mean())


def test_against_the_standard():
    # The standard's own check: a full-scale sine of 997 Hz in one channel is at -3.01 LKFS.
    sine = torch.sin(2 * torch.pi * 997 * torch.arange(3 * RATE) / RATE)[None]
    assert float(loudness(sine, RATE)) == pytest.approx(-3.01, abs=0.1)
    for scale in (0.01, 0.1, 10.0):
        wave = noise(3.0, scale=scale)
        assert float(loudness(wave, RATE)) == pytest.approx(bs1770(wave[0].double().numpy()), abs=0.15)


def test_pauses_do_not_count():
    wave = noise(3.0)
    paused = torch.cat([wave, 1e-3 * noise(6.0, 1)], 1)
    assert float(loudness(paused, RATE)) == pytest.approx(float(loudness(wave, RATE)), abs=0.3)
    assert float(loudness(paused, RATE)) == pytest.approx(bs1770(paused[0].double().numpy()), abs=0.15)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_against_torchaudio(rate):
    """It has the same corner frequencies, clips above 1, and leaves out what does not fill a block, of 0.4 s, here."""
    block = 4 * (rate // 10)
    wave = noise(48000 / RATE, scale=0.02)[:, : 48000 // block * block]
    assert float(loudness(wave, rate)) == pytest.approx(float(torchaudio_loudness(wave, rate)), abs=1e-3)


@given(
    lengths=st.lists(st.integers(0, 20000), min_size=1, max_size=5),
    scale=st.floats(1e-4, 8.0),
    seed=st.integers(0, 99),
)
def test_a_batch_is_measured_as_each_alone(lengths, scale, seed):
    rows = [scale * noise(1.3, seed + i)[0, :length] for i, length in enumerate(lengths)]
    batch = torch.full((len(rows), max(lengths)), torch.nan)
    for row, wave in zip(batch, rows):
        row[: len(wave)] = wave
    samples = torch.tensor(lengths)
    found = loudness(batch, RATE, samples)
    alone = torch.cat([loudness(wave[None], RATE) for wave in rows])
    assert torch.equal(found.float(), alone.float()) and (found >= FLOOR).all()
    levelled, before = to_loudness(batch, RATE, -16.0, samples)
    assert torch.equal(before, found) and levelled.abs().max(dim=1).values.le(1.0).all() if max(lengths) else True
    for row, wave in zip(levelled, rows):
        assert torch.equal(row[: len(wave)], to_loudness(wave[None], RATE, -16.0)[0][0])
        assert not row[len(wave) :].any()


def test_short_clips_and_silence():
    clip = noise(0.1)
    assert clip.shape == (1, 1600)
    assert torch.equal(loudness(clip, RATE), loudness(torch.nn.functional.pad(clip, (0, 6400)), RATE))
    for silence in (torch.zeros(1, 0), torch.zeros(1, 1), torch.zeros(2, 9000)):
        assert loudness(silence, RATE).eq(FLOOR).all()
        assert torch.equal(to_loudness(silence, RATE, -16.0)[0], silence)
        lengths = torch.full((len(silence),), silence.shape[1])
        assert torch.equal(restore(silence, RATE, torch.full((len(silence),), -20.0), lengths), silence)
    # What lies below the gate is amplified by 54 dB and no more.
    hiss = 1e-5 * noise(1.0)
    assert torch.allclose(to_loudness(hiss, RATE, -16.0)[0], 10 ** (54 / 20) * hiss, rtol=1e-5)


@given(decibel=st.floats(-30.0, 20.0), seed=st.integers(0, 99))
def test_the_level_that_is_asked_for(decibel, seed):
    wave = 10 ** (decibel / 20) * noise(1.0, seed, scale=0.02)
    levelled, found = to_loudness(wave, RATE, -23.0)
    expected = loudness(noise(1.0, seed, scale=0.02), RATE) + decibel
    assert float(found) == pytest.approx(float(expected), abs=1e-3)
    assert float(loudness(levelled, RATE)) == pytest.approx(-23.0, abs=1e-3) and levelled.abs().max() < 1


@given(
    samples=st.integers(8000, 60000), seed=st.integers(0, 99), hops=st.integers(1, 20), peak=st.sampled_from([0, 30])
)
def test_a_long_wave_in_parts(samples, seed, hops, peak):
    wave = noise(4.0, seed)[:, :samples]
    wave[0, samples // 2] += peak
    levelled, found = to_loudness(wave, RATE, -16.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hasrd.frontend.loudness.PART_HOPS", hops)
        for source in (wave[0], wave[0].numpy()):
            gain, level = level_gain(source, RATE, -16.0)
            assert level == pytest.approx(float(found), abs=1e-9)
            torch.testing.assert_close(gain * wave, levelled, rtol=1e-5, atol=0)


def test_long_silence():
    assert level_gain(torch.zeros(1, 50000)[0], RATE, -16.0) == (pytest.approx(10 ** (54 / 20)), FLOOR)


def test_peaks_are_scaled_not_clipped():
    wave = noise(2.0)
    wave[0, 20000] = 8.0
    levelled, _ = to_loudness(wave, RATE, -16.0)
    assert levelled.abs().max() == 1.0
    assert torch.allclose(levelled / levelled[0, 0] * wave[0, 0], wave, atol=1e-4)


@pytest.mark.parametrize("drive", [0, 3, 100], ids=["natural", "compressed", "nearly square"])
@pytest.mark.parametrize("target", [-40.0, -25.0, -16.0, -10.0, -6.0])
def test_restore(speech, drive, target):
    """As loud as it was; within [-1, 1] where the speech was, though its copy has higher peaks; never clipped."""
    wave = torch.from_numpy(np.tanh(drive * speech) if drive else speech)[None]
    wave = wave * 10 ** ((target - loudness(wave, RATE)) / 20).float()
    copy = wave + 0.2 * wave.abs() * torch.randn(wave.shape, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([wave.shape[1]])
    restored = restore(0.3 * copy, RATE, torch.tensor([target]), lengths)
    assert float(loudness(restored, RATE)) == pytest.approx(target, abs=TOLERANCE + 0.01)
    if wave.abs().max() <= 1:
        assert restored.abs().max() <= 1
    highest = restored[0].abs() > 0.9999 * restored.abs().max()
    assert not (highest[1:] & highest[:-1]).any(), "no flat tops"
    two = restore(torch.cat([0.3 * copy, copy]), RATE, torch.tensor([target, -30.0]), lengths.expand(2))
    assert torch.equal(two[:1], restored)
