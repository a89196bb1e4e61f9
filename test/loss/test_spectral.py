# Copyright 2026 The hasrd authors
# Apache-2.0
"""Spectral distances, against DAC's own and in the corners."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch

from hasrd.loss.spectral import MelDistance, STFTDistance, mel_filterbank

MELS, WINDOWS = (5, 10, 20, 40, 80, 160, 320), (32, 64, 128, 256, 512, 1024, 2048)


@pytest.fixture(scope="module")
def speech():
    """Two real utterances and a coarse copy of them, (2, N)."""
    folder = os.environ.get("LIBRISPEECH")
    if not folder:
        pytest.skip("LIBRISPEECH does not name a copy of LibriSpeech")
    soundfile = pytest.importorskip("soundfile")
    files = sorted(Path(folder, "test-clean").rglob("*.flac"))
    waves = (soundfile.read(file, dtype="float32")[0] for file in files)
    long = (torch.from_numpy(wave[:32000]) for wave in waves if len(wave) >= 32000)
    x = torch.stack([next(long), next(long)])
    torch.manual_seed(0)
    return x, (x * 32).round() / 32 + 1e-3 * torch.randn_like(x)


@pytest.fixture(scope="module")
def tones():
    time = torch.arange(16000) / 16000
    torch.manual_seed(0)
    x = 0.3 * torch.sin(2 * math.pi * torch.tensor([[220.0], [3000.0]]) * time)
    x = x + 0.01 * torch.randn_like(x)
    return x, 0.7 * x + 0.01 * torch.randn_like(x)


@pytest.mark.parametrize("signals", ["speech", "tones"])
def test_equals_dac(signals, request):
    official = pytest.importorskip(
        "dac.nn.loss", reason="the official DAC is not installed: it comes with the extra dev"
    )
    x, y = request.getfixturevalue(signals)
    a, b = (official.AudioSignal(v[:, None].clone(), 16000) for v in (x, y))
    # The arguments of conf/final/16khz.yml.
    mel = official.MelSpectrogramLoss(
        n_mels=MELS,
        window_lengths=WINDOWS,
        mel_fmin=[0] * 7,
        mel_fmax=[None] * 7,
        pow=1.0,
        clamp_eps=1e-5,
        mag_weight=0.0,
    )
    stft = official.MultiScaleSTFTLoss(window_lengths=[2048, 512])
    assert abs(MelDistance()(x, y) - mel(a, b)) < 1e-5
    assert abs(STFTDistance()(x, y) - stft(a, b)) < 1e-5


@pytest.mark.parametrize("mels, window", list(zip(MELS, WINDOWS)))
@pytest.mark.filterwarnings("ignore:Empty filters")
def test_filterbank_is_librosas(mels, window):
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    for rate in (16000, 44100):
        reference = torch.from_numpy(librosa.filters.mel(sr=rate, n_fft=window, n_mels=mels))
        assert torch.allclose(mel_filterbank(mels, window, rate), reference, atol=1e-7)


@pytest.mark.parametrize("distance", [MelDistance(), STFTDistance()])
def test_per_item(distance, tones):
    x, y = tones
    items = distance(x, y, per_item=True)
    assert items.shape == (2,)
    assert torch.allclose(items.mean(), distance(x, y))
    assert torch.allclose(items[1], distance(x[1:], y[1:]), rtol=1e-5)
    assert distance(x, x) == 0
    with pytest.raises(ValueError, match="one shape"):
        distance(x, y[:, :-1])


@pytest.mark.parametrize("distance", [MelDistance(), STFTDistance()])
@pytest.mark.parametrize("samples", [1, 16, 1024, 1025])
def test_short_signals_silence_and_gradients(distance, samples):
    x = torch.zeros(2, samples, requires_grad=True)
    y = torch.randn(2, samples)
    loss = distance(x, y)
    assert loss > 0
    loss.backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("distance", [MelDistance(), STFTDistance()])
def test_float32_under_autocast_and_no_state(distance, tones):
    x, y = tones
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(distance(x, y), distance(x.clone(), y))
        under = distance(x, y)
    assert torch.equal(under, distance(x, y)) and under.dtype == torch.float32
    assert not distance.state_dict()


def test_known_value():
    # A factor of 0.1 moves every log10 mel above the clamp by 1, in each scale. These two have no
    # filter that is too narrow for a bin.
    x = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    distance = MelDistance(window_lengths=(512, 1024), num_mels=(20, 40))
    assert torch.allclose(distance(x, 0.1 * x), torch.tensor(2.0), atol=1e-4)
