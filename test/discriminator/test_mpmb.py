# Copyright 2026 The hasrd authors
# Apache-2.0
"""The discriminators: ESPnet's own on equal weights; nothing is made on the host in a step."""

from __future__ import annotations

import pytest
import torch
from espnet2.gan_codec.shared.discriminator.msmpmb_discriminator import (
    MultiBandDiscriminator,
    MultiScaleDiscriminator,
)
from torch.utils._python_dispatch import TorchDispatchMode

from hasrd.discriminator.mpmb import (
    BANDS,
    BandDiscriminator,
    MultiPeriodMultiBandDiscriminator,
    ScaleDiscriminator,
)


def pairs():
    conf = {"sample_rate": 16000, "bands": list(BANDS), "channel": 4}
    for size in (512, 1024):
        yield BandDiscriminator(size, **conf), MultiBandDiscriminator(size, **conf)
    for divisor in (1, 2, 4):
        yield ScaleDiscriminator(divisor, 16000), MultiScaleDiscriminator(divisor, sample_rate=16000)


@pytest.mark.parametrize("samples", [4000, 8192])
def test_equals_espnet(samples):
    torch.manual_seed(0)
    for ours, theirs in pairs():
        theirs.load_state_dict(ours.state_dict())
        wave = 0.1 * torch.randn(2, 1, samples)
        mine, expected = ours(wave), theirs(wave)
        assert len(mine) == len(expected)
        for one, other in zip(mine, expected):
            torch.testing.assert_close(one, other)


class Made(TorchDispatchMode):
    """Notes the windows and filters that are made, which for a GPU are made on the host and copied."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Note and call."""
        name = func.overloadpacket.__name__
        if name in ("hann_window", "arange"):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


def made_in(module: torch.nn.Module, wave: torch.Tensor) -> list[str]:
    with Made() as made:
        module(wave)
    return made.found


def test_windows_and_filters_are_made_once():
    judge = MultiPeriodMultiBandDiscriminator(
        periods=[2], period_channels=4, period_max_channels=8, fft_sizes=[512], band_channels=4, rates=[1, 2]
    )
    wave = torch.randn(1, 1, 8000)
    with torch.inference_mode():
        judge(wave)
    assert made_in(judge, wave) == []
    judge(wave)[0][-1].sum().backward()
    assert made_in(MultiBandDiscriminator(512, sample_rate=16000), wave) != [], "this test sees what ESPnet's does"
    assert made_in(MultiScaleDiscriminator(2, sample_rate=16000), wave) != []
    assert not any("window" in name or "kernel" in name for name in judge.state_dict())
