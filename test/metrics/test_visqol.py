# Copyright 2026 The hasrd authors
# Apache-2.0
"""ViSQOL, its similarity and its mapping against their equations."""

import math

import numpy as np
import pytest

from hasrd.metrics import visqol
from hasrd.metrics.undefined import Undefined

needs_visqol = pytest.mark.skipif(not visqol.ViSQOL.available(), reason="visqol-python is not installed (extra: eval)")


@needs_visqol
def test_identical_signals_get_the_top_of_the_exponential_mapper(clean):
    # The lattice network gives them 4.51.
    assert visqol.quality(clean, clean) == pytest.approx((5.0, 1.0), abs=1e-9)


@needs_visqol
def test_quality_falls_with_noise_and_is_the_fit_of_the_similarity(clean, noisy):
    found = [visqol.quality(clean, noisy(clean, snr)) for snr in (40, 20, 0)]
    assert 5 > found[0].mos > found[1].mos > found[2].mos > 1
    for quality in found:
        # The fit to TCD-VoIP of Google's v3.3.3.
        mos = -262.847869 + math.exp(0.0154302525 * (quality.nsim + 361.063949))
        assert quality.mos == pytest.approx(min(max(1.245063 * mos, 1), 5), rel=1e-6)


@needs_visqol
def test_the_estimates_level_and_a_shift_do_not_count(clean, noisy):
    degraded = noisy(clean, 15)
    expected = visqol.quality(clean, degraded).mos
    assert visqol.quality(clean, 0.3 * degraded).mos == pytest.approx(expected, abs=1e-3)
    assert visqol.quality(clean, degraded[:-1]).mos == pytest.approx(expected, abs=0.05)
    assert visqol.quality(clean[:-1], np.append(degraded[1:-1], degraded[:1])).mos == pytest.approx(expected, abs=0.1)


def nsim(reference, degraded):
    """Hines and Harte 2012, equation 4: luminance and structure under a 3 x 3 Gaussian of deviation .5."""
    side = np.exp(-(np.arange(-1, 2) ** 2) / (2 * 0.5**2))
    window = np.outer(side, side) / side.sum() ** 2

    def mean(image):
        padded = np.pad(image, 1, mode="edge")
        rows, columns = image.shape
        return sum(window[i, j] * padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3))

    mr, md = mean(reference), mean(degraded)
    vr, vd = mean(reference**2) - mr**2, mean(degraded**2) - md**2
    luminance = (2 * mr * md + 1e-4) / (mr**2 + md**2 + 1e-4)
    structure = (mean(reference * degraded) - mr * md + 4.5e-4) / (np.sqrt(vr * vd) + 4.5e-4)
    return (luminance * structure).mean()


@needs_visqol
def test_similarity_of_patches_is_the_papers():
    from visqol.nsim import measure_patch_similarity

    generator = np.random.default_rng(0)
    reference = 20 + 5 * generator.standard_normal((21, 20))
    for scale in (0.1, 2.0, 10.0):
        degraded = reference + scale * generator.standard_normal((21, 20))
        found = measure_patch_similarity(reference, degraded).similarity
        # Google's window is rounded differently: .6195 in the middle, not .6193.
        assert found == pytest.approx(nsim(reference, degraded), abs=1e-4)


@needs_visqol
@pytest.mark.parametrize("samples", [1, 784, 1300, 4000])
def test_clips_that_are_too_short(voice, samples):
    with pytest.raises(Undefined, match="too short"):
        visqol.quality(voice[4000 : 4000 + samples], voice[4000 : 4000 + samples])
