# Copyright 2026 The hasrd authors
# Apache-2.0
"""STOI against the equations of Taal et al. 2011, written out."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from hasrd.metrics import stoi
from hasrd.metrics.undefined import Undefined

needs_pystoi = pytest.mark.skipif(not stoi.STOI.available(), reason="pystoi is not installed (extra: eval)")
FRAME, HOP = 256, 128
# A Hann window without its zeros.
HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, FRAME + 1) / (FRAME + 1))


def frames(wave):
    return np.stack([HANN * wave[s : s + FRAME] for s in range(0, len(wave) - FRAME, HOP)])


def without_silence(x, y):
    """Frames of x more than 40 dB below its loudest one are cut out of both."""
    a, b = frames(x), frames(y)
    energy = 20 * np.log10(np.sqrt((a**2).sum(1)) + 1e-16)
    kept = energy > energy.max() - 40
    out = np.zeros((2, (kept.sum() - 1) * HOP + FRAME))
    for index, pair in enumerate(zip(a[kept], b[kept])):
        out[:, index * HOP : index * HOP + FRAME] += pair
    return out


def bands(wave):
    """Equation 1: roots of the energy in 15 third octaves from 150 Hz, edges on the nearest bins."""
    power = np.abs(np.fft.rfft(frames(wave), 512)) ** 2
    bins = np.arange(257) * 10000 / 512
    rows = []
    for j in range(15):
        centre = 150 * 2 ** (j / 3)
        low, high = (np.abs(bins - centre * 2 ** (side / 6)).argmin() for side in (-1, 1))
        rows.append(np.sqrt(power[:, low:high].sum(1)))
    return np.stack(rows)


def taal(x, y):
    """The measure of two signals at 10 kHz, equations 1 to 6."""
    x, y = map(bands, without_silence(x, y))
    found = []
    for m in range(30, x.shape[1] + 1):
        for j in range(15):
            a, b = x[j, m - 30 : m], y[j, m - 30 : m]
            b = np.minimum(b * np.linalg.norm(a) / np.linalg.norm(b), a * (1 + 10 ** (15 / 20)))
            a, b = a - a.mean(), b - b.mean()
            found.append(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    return np.mean(found)


@needs_pystoi
@pytest.mark.parametrize("snr", [20, 0, -10])
def test_it_is_taals(clean, noisy, snr):
    import pystoi

    degraded = noisy(clean, snr)
    x, y = (resample_poly(wave.astype(np.float64), 5, 8) for wave in (clean, degraded))
    expected = taal(x, y)
    assert pystoi.stoi(x, y, 10000) == pytest.approx(expected, abs=1e-6)
    # At 16 kHz its own filter brings them to 10 kHz.
    assert stoi.intelligibility(clean, degraded) == pytest.approx(expected, abs=2e-3)


@needs_pystoi
def test_it_falls_with_noise_and_knows_no_level(clean, noisy):
    found = [stoi.intelligibility(clean, noisy(clean, snr)) for snr in (20, 0, -20)]
    assert 1 > found[0] > found[1] > found[2]
    assert stoi.intelligibility(clean, clean) == pytest.approx(1.0, abs=1e-9)
    assert stoi.intelligibility(clean, 0.1 * noisy(clean, 0)) == pytest.approx(found[1], abs=1e-6)


@needs_pystoi
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("samples", [1, 100, 784, 6399, 6400, 6500])
def test_clips_that_are_too_short(voice, samples):
    clip = voice[1600 : 1600 + samples]
    with pytest.raises(Undefined, match="0.4 s"):
        stoi.intelligibility(clip, clip)


@needs_pystoi
def test_silences_do_not_count_as_length(voice):
    mostly_silence = np.concatenate([voice[1600:4800], np.zeros(32000, np.float32)])
    with pytest.raises(Undefined):
        stoi.intelligibility(mostly_silence, mostly_silence)
