# Copyright 2026 The hasrd authors
# Apache-2.0
import sys
import types

import numpy as np
import pytest
import torch
from scipy import signal

from hasrd.frontend import loudness as frontend
from hasrd.metrics.level import level, level_pair
from hasrd.metrics.mean_spectrum import distance_to_constant, log_mels, mean_spectra, spectrum_sums
from hasrd.metrics.scoring.audio import cut_to_shorter
from hasrd.metrics.spectral import mel_distance, stft_distance

RATE = 16000


def loudness(wave, rate):
    return float(frontend.loudness(wave[None], rate))


def noise(seconds=1.5, seed=0, scale=0.1):
    generator = np.random.default_rng(seed)
    wave = signal.lfilter([1.0], [1.0, -0.9], generator.standard_normal(int(seconds * RATE)))
    envelope = 0.3 + np.sin(np.linspace(0, 9, len(wave))) ** 2
    return torch.from_numpy((scale * wave * envelope).astype(np.float32))


def numpy_stft(wave, window):
    """Magnitudes (frames, bins), hop of a quarter window, reflected ends."""
    padded = np.pad(wave, window // 2, mode="reflect")
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    starts = range(0, len(padded) - window + 1, window // 4)
    return np.abs(np.fft.rfft(np.stack([padded[s : s + window] for s in starts]) * taper))


def slaney(hertz):
    return np.where(
        hertz < 1000,
        hertz * 3 / 200,
        15 + np.log(np.maximum(hertz, 1e-9) / 1000) * 27 / np.log(6.4),
    )


def numpy_mel(magnitudes, mels, window):
    grid = np.linspace(0, RATE / 2, 800001)
    edges = np.interp(np.linspace(0, slaney(np.array(RATE / 2)), mels + 2), slaney(grid), grid)
    bins = np.linspace(0, RATE / 2, window // 2 + 1)
    filters = np.stack(
        [
            np.interp(bins, edges[m : m + 3], [0, 1, 0], left=0, right=0) * 2 / (edges[m + 2] - edges[m])
            for m in range(mels)
        ]
    )
    return magnitudes @ filters.T


def test_stft_distance_against_numpy():
    x, y = noise(seed=0), noise(seed=1)
    expected = 0.0
    for window in (2048, 512):
        a, b = (numpy_stft(wave.double().numpy(), window) for wave in (x, y))
        expected += np.abs(np.log10(np.maximum(a, 1e-5) ** 2) - np.log10(np.maximum(b, 1e-5) ** 2)).mean()
        expected += np.abs(a - b).mean()
    assert stft_distance(x, y) == pytest.approx(expected, rel=1e-4)


def test_mel_distance_against_numpy():
    x, y = noise(seed=0), noise(seed=1)
    expected = 0.0
    for window, mels in zip((32, 64, 128, 256, 512, 1024, 2048), (5, 10, 20, 40, 80, 160, 320)):
        a, b = (numpy_mel(numpy_stft(wave.double().numpy(), window), mels, window) for wave in (x, y))
        expected += np.abs(np.log10(np.maximum(a, 1e-5)) - np.log10(np.maximum(b, 1e-5))).mean()
    assert mel_distance(x, y) == pytest.approx(expected, rel=1e-3)


class KWeighting:
    """What audiotools takes from pyloudnorm, which is not among what is installed: two biquads of the RBJ cookbook."""

    def __init__(self, rate):
        shelf, highpass = (1500.0, 4.0, 2**-0.5), (38.0, None, 0.5)
        self._filters = {"shelf": self.biquad(rate, *shelf), "highpass": self.biquad(rate, *highpass)}

    @staticmethod
    def biquad(rate, corner, gain, q):
        omega = 2 * np.pi * corner / rate
        alpha, cos = np.sin(omega) / (2 * q), np.cos(omega)
        if gain is None:
            b = np.array([(1 + cos) / 2, -(1 + cos), (1 + cos) / 2])
            a = np.array([1 + alpha, -2 * cos, 1 - alpha])
        else:
            g = 10 ** (gain / 40)
            p, m, root = g + 1, g - 1, 2 * np.sqrt(g) * alpha
            b = g * np.array([p + m * cos + root, -2 * (m + p * cos), p + m * cos - root])
            a = np.array([p - m * cos + root, 2 * (m - p * cos), p - m * cos - root])
        return types.SimpleNamespace(b=b / a[0], a=a / a[0], passband_gain=1.0)


def test_levelled_distances_are_those_of_dacs_evaluation(speech, monkeypatch):
    """The test set's transforms, the loudness of the outputs and the losses, all of DAC's own toolkit."""
    official = pytest.importorskip("dac.nn.loss", reason="the official DAC is not installed (extra: dev)")
    monkeypatch.setitem(sys.modules, "pyloudnorm", types.SimpleNamespace(Meter=KWeighting))
    mel = official.MelSpectrogramLoss(
        n_mels=[5, 10, 20, 40, 80, 160, 320],
        window_lengths=[32, 64, 128, 256, 512, 1024, 2048],
        mel_fmin=[0] * 7,
        mel_fmax=[None] * 7,
        pow=1.0,
        clamp_eps=1e-5,
        mag_weight=0.0,
    )
    stft = official.MultiScaleSTFTLoss()
    noise = 1e-3 * np.random.default_rng(0).standard_normal(len(speech))
    # Peaks of speech are above 1 at -16 LUFS; those of a compressed one are not.
    for wave in (speech, np.tanh(30 * speech)):
        x = torch.from_numpy(wave)
        y = torch.from_numpy((0.4 * ((wave * 32).round() / 32 + noise)).astype(np.float32))
        a = official.AudioSignal(x[None, None].clone(), RATE).normalize(-16.0).ensure_max_of_audio(1.0)
        # A copy: the toolkit remembers a loudness from before a change of level.
        loud = official.AudioSignal(a.audio_data.clone(), RATE).loudness()
        b = official.AudioSignal(y[None, None].clone(), RATE).normalize(loud)
        ours = level_pair(x, y, RATE)
        assert torch.allclose(ours[0], a.audio_data[0, 0], atol=1e-5)
        assert torch.allclose(ours[1], b.audio_data[0, 0], atol=1e-5)
        assert mel_distance(*ours) == pytest.approx(float(mel(b, a)), abs=1e-5)
        assert stft_distance(*ours) == pytest.approx(float(stft(b, a)), abs=1e-5)


def test_level_pair_is_dacs():
    reference, estimate = level_pair(noise(3.0, scale=0.01), noise(3.0, 1, scale=0.2), RATE)
    assert reference.abs().max() <= 1.0
    assert -20 < loudness(reference, RATE) <= -15.99
    assert loudness(estimate, RATE) == pytest.approx(loudness(reference, RATE), abs=0.05)
    spiky = noise(3.0)
    spiky[20000] = 8.0
    assert level(spiky, RATE).abs().max() == pytest.approx(1.0)


def test_distance_does_not_depend_on_either_level():
    x, y = noise(2.0), noise(2.0, 1)
    expected = mel_distance(*level_pair(x, y, RATE))
    assert mel_distance(*level_pair(0.3 * x, 1.7 * y, RATE)) == pytest.approx(expected, rel=1e-3)


def test_silence_gives_a_number():
    silence = torch.zeros(8000)
    assert loudness(silence, RATE) == frontend.FLOOR
    pairs = [(silence, silence), (noise(0.5), silence), (silence, noise(0.5))]
    values = [distance(*level_pair(*pair, RATE)) for pair in pairs for distance in (mel_distance, stft_distance)]
    assert all(np.isfinite(values)) and values[:2] == [0.0, 0.0] and min(values[2:]) > 1


def test_shortest_clip():
    x, y = level_pair(noise(0.049), noise(0.049, 1), RATE)
    assert x.shape == (784,) and 0 < mel_distance(x, y) < 20


def test_lengths(one_line):
    x, y = cut_to_shorter(noise(1.0), noise(1.0)[:-512])
    assert x.shape == y.shape == (15488,)
    one_line("16000 samples and the output 15487", cut_to_shorter, noise(1.0), noise(1.0)[:-513])
    one_line("no samples", cut_to_shorter, torch.zeros(3), torch.zeros(0))


def test_mean_spectrum_is_the_mean_over_all_frames():
    waves = [noise(1.0), noise(2.0, 1)]
    mels = [log_mels(wave) for wave in waves]
    constants = mean_spectra([spectrum_sums(mel) for mel in mels])
    for scale, constant in enumerate(constants):
        frames = np.concatenate([mel[scale].numpy() for mel in mels], axis=1)
        np.testing.assert_allclose(constant.numpy(), frames.mean(1), rtol=1e-9)
    expected = sum(np.abs(m.numpy() - c.numpy()[:, None]).mean() for m, c in zip(mels[0], constants))
    assert distance_to_constant(mels[0], constants) == pytest.approx(expected)


def test_mean_spectrum_agrees_with_mel_distance():
    # Against a signal whose every frame is its mean, the two measures are the same one.
    wave = noise(1.0)
    mels = log_mels(wave)
    zeros = [torch.full((mel.shape[0],), -5.0, dtype=torch.float64) for mel in mels]
    assert distance_to_constant(mels, zeros) == pytest.approx(mel_distance(wave, torch.zeros_like(wave)), rel=1e-4)
