# Copyright 2026 The hasrd authors
# Apache-2.0
"""Level normalisation before a distance, as DAC's evaluation does it.

The clamp of the log spectra and the linear STFT term depend on the level. DAC
(descript-audio-codec, scripts/) saves its test references through VolumeNorm at -16 dB LUFS and
RescaleAudio (save_test_set.py, conf/base.yml), and brings each reconstruction to its reference's
loudness (get_samples.py); evaluate.py then compares them as they are. The same here: the reference
is brought to -16 LUFS, scaled down to a peak of 1 where it exceeds that, and the estimate is
brought to the loudness of the result. Loudness is that of `hasrd.frontend.loudness`: BS.1770-4, at
least -70 LUFS, so silence stays silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

TARGET_LUFS = -16.0
DESCRIPTION = "reference at -16 LUFS, peak at most 1; estimate at the reference's loudness (BS.1770-4)"


def level_pair(reference: Tensor, estimate: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Return both signals (N,) at the levels that DAC's evaluation compares them at."""
    from hasrd.frontend.loudness import loudness

    reference = level(reference, sample_rate)
    missing = loudness(reference[None], sample_rate) - loudness(estimate[None], sample_rate)
    return reference, estimate * 10.0 ** (float(missing) / 20.0)


def level(reference: Tensor, sample_rate: int) -> Tensor:
    """Return `reference` (N,) at -16 LUFS, scaled down to a peak of 1 where it exceeds that."""
    from hasrd.frontend.loudness import to_loudness

    return to_loudness(reference[None], sample_rate, TARGET_LUFS)[0][0]
