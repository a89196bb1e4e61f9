# Copyright 2026 The hasrd authors
# Apache-2.0
"""Wide-band PESQ: the bounds of the standard's mapping, noise, and what it refuses."""

import numpy as np
import pytest

from hasrd.metrics import pesq
from hasrd.metrics.undefined import Undefined

needs_pesq = pytest.mark.skipif(not pesq.PESQ.available(), reason="pesq is not installed (extra: pesq)")


def mos_lqo(raw):
    """P.862.2's mapping of a raw score (-0.5 to 4.5) to an opinion; it gives the range as 1.04 to 4.64."""
    return 0.999 + 4.0 / (1.0 + np.exp(-1.3669 * raw + 3.8224))


def test_the_mapping_is_that_of_the_standard():
    assert (round(mos_lqo(-0.5), 2), round(mos_lqo(4.5), 2)) == (1.04, 4.64)


@needs_pesq
def test_identical_signals_get_the_top_of_the_mapping(clean):
    assert pesq.wide_band(clean, clean) == pytest.approx(mos_lqo(4.5), abs=1e-4)


@needs_pesq
def test_quality_falls_with_noise(clean, noisy):
    found = [pesq.wide_band(clean, noisy(clean, snr)) for snr in (50, 30, 10)]
    assert mos_lqo(4.5) > found[0] > found[1] + 0.3 > found[2] + 0.6 > pesq.PESQ.worst[0]


@needs_pesq
def test_level_and_delay_do_not_count(clean, noisy):
    degraded = noisy(clean, 25)
    expected = pesq.wide_band(clean, degraded)
    assert pesq.wide_band(clean, 0.2 * degraded) == pytest.approx(expected, abs=0.02)
    assert pesq.wide_band(clean[:-160], np.roll(degraded, 160)[:-160]) == pytest.approx(expected, abs=0.2)


@needs_pesq
def test_more_speech_than_its_code_has_room_for(noisy):
    """From the 51st stretch on, its C code ends the process."""
    time = np.arange(16 * 16000) / 16000
    bursts = (0.3 * np.random.default_rng(0).standard_normal(len(time)) * (time % 0.5 < 0.25)).astype(np.float32)
    assert pesq.wide_band(bursts, noisy(bursts, 30)) > pesq.PESQ.worst[0]
    for other in (1.0, 0.01):
        long = np.concatenate([bursts, other * bursts])
        with pytest.raises(Undefined, match="too many stretches"):
            pesq.wide_band(long, long)


@needs_pesq
def test_what_it_refuses(voice):
    with pytest.raises(Undefined, match="quarter of a second"):
        pesq.wide_band(voice[:3000], voice[:3000])
    with pytest.raises(Undefined, match="no speech"):
        pesq.wide_band(np.zeros_like(voice), voice)
