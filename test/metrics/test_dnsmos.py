# Copyright 2026 The hasrd authors
# Apache-2.0
"""DNSMOS: its networks run by hand on features made with numpy."""

from pathlib import Path

import numpy as np
import pytest

from hasrd.metrics import dnsmos

needs_dnsmos = pytest.mark.skipif(not dnsmos.DNSMOS.available(), reason="speechmos is not installed (extra: eval)")


def log_mel(wave):
    """120 Slaney mels of frames of 321 samples, zeros beyond the ends, dB below the loudest, 80 dB kept."""
    padded = np.pad(wave.astype(np.float64), 160)
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(321) / 321)
    starts = range(0, len(padded) - 320, 160)
    power = np.abs(np.fft.rfft(np.stack([padded[s : s + 321] * taper for s in starts]))) ** 2
    top = 15 + 27 * np.log(8) / np.log(6.4)
    mels = np.linspace(0, top, 122)
    edges = np.where(mels < 15, 200 * mels / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    bins = np.arange(161) * 16000 / 321
    filters = np.stack(
        [np.interp(bins, edges[m : m + 3], [0, 1, 0]) * 2 / (edges[m + 2] - edges[m]) for m in range(120)]
    )
    level = 10 * np.log10(np.maximum(power @ filters.T, 1e-10))
    return (np.maximum(level - level.max(), -80) + 40) / 40


def by_hand(wave):
    """Overall, signal, background and P.808: the polynomials of the DNS challenge, windows averaged."""
    import onnxruntime
    import speechmos

    folder = Path(speechmos.__file__).parent / "dnsmos_models"
    p835, p808 = (
        onnxruntime.InferenceSession(str(folder / name), providers=["CPUExecutionProvider"])
        for name in ("sig_bak_ovr.onnx", "model_v8.onnx")
    )
    found = []
    # The number of windows is the challenge's own.
    for start in range(0, 16000 * (int(len(wave) // 16000 - 9.01) + 1), 16000):
        window = wave[start : start + 144160].astype(np.float32)
        sig, bak, ovr = p835.run(None, {"input_1": window[None]})[0][0]
        features = log_mel(window[:-160])[None].astype(np.float32)
        found.append(
            (
                0.04602535 + 1.11546468 * ovr - 0.06766283 * ovr**2,
                0.0052439 + 1.22083953 * sig - 0.08397278 * sig**2,
                -0.39604546 + 1.60915514 * bak - 0.13166888 * bak**2,
                p808.run(None, {"input_1": features})[0][0][0],
            )
        )
    return np.mean(found, axis=0)


@needs_dnsmos
@pytest.mark.filterwarnings("ignore")
def test_two_windows_and_mappings_by_hand(voice, noisy):
    wave = np.resize(noisy(voice, 20), 177600)
    np.testing.assert_allclose(dnsmos.opinion(wave), by_hand(wave), atol=2e-4)


@needs_dnsmos
@pytest.mark.filterwarnings("ignore")
def test_a_short_clip_is_repeated(speech):
    repeated = speech
    while len(repeated) < 144160:
        repeated = np.tile(repeated, 2)
    np.testing.assert_allclose(dnsmos.opinion(speech), by_hand(repeated), atol=2e-4)


@needs_dnsmos
def test_noise_is_heard(speech, noisy):
    good, bad = dnsmos.opinion(speech), dnsmos.opinion(noisy(speech, 0))
    assert good.ovrl > bad.ovrl + 0.5 and good.bak > bad.bak + 1


@needs_dnsmos
def test_any_length_and_level():
    generator = np.random.default_rng(0)
    for wave in (3 * generator.standard_normal(800), 1e-4 * generator.standard_normal(16000)):
        assert np.isfinite(dnsmos.opinion(wave.astype(np.float32))).all()
