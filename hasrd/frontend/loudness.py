# Copyright 2026 The hasrd authors
# Apache-2.0
"""Loudness of a wave, and waves at a given loudness.

Loudness is that of ITU-R BS.1770-4 for one channel, in LUFS: the K-weighted energy in blocks of 0.4 s, each a quarter
of a block behind the last; blocks below -70 LUFS do not count, nor do those 10 LU below the mean of the others. Three
things are audiotools' (DAC's toolkit), not the standard's: the corner frequencies of the K weighting are rounded
(within 0.15 LU of the standard's), a wave of less than 0.5 s is padded with zeros to that, and so is the last block,
which the standard leaves out (up to 0.1 LU in a clip of a few seconds). What has no block above -70 LUFS is at -70
LUFS, so that silence has a loudness and no gain is unbounded.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hasrd.encoder.layers import length_mask

FLOOR = -70.0
BLOCK_SECONDS = 0.4
SHORTEST_SECONDS = 0.5
# Type of filter, corner in Hz, gain in dB (of the shelf) and Q of the two stages of the K weighting.
SHELF = (1500.0, 4.0, 1 / math.sqrt(2))
HIGH_PASS = (38.0, 0.5)
# What is left of the K weighting's response after so long is below 1e-20.
RESPONSE_SECONDS = 0.25
# Of a long wave, hops that are weighted at a time: half a minute.
PART_HOPS = 300

# Of `restore`: the factor by which peaks above full scale are taken back at most, within how long, how often the
# loudness that this costs is made up for, and how much of it may be missing in the end (LU).
MOST_REDUCTION = 2.0
LIMITER_SECONDS = 0.002
ROUNDS = 4
TOLERANCE = 0.4


def loudness(wave: Tensor, sample_rate: int, lengths: Tensor | None = None) -> Tensor:
    """Return the integrated loudness of each wave in LUFS, (B,) float64, at least -70.

    Args:
        wave: (B, N) samples; what is past an utterance's length is not looked at.
        sample_rate: In Hz.
        lengths: (B,) samples of each utterance; None: all N.
    """
    if lengths is None:
        lengths = torch.full((len(wave),), wave.shape[1], device=wave.device)
    block, shortest = round(BLOCK_SECONDS * sample_rate), math.ceil(SHORTEST_SECONDS * sample_rate)
    hop = block // 4
    wave = wave.masked_fill(~length_mask(lengths, wave.shape[1]), 0.0).double()
    lengths = lengths.clamp(min=shortest)
    count = 1 + (lengths - block + hop - 1) // hop
    num_blocks = 1 + (max(wave.shape[1], shortest) - block + hop - 1) // hop
    weighted = _weight(functional.pad(wave, (0, block + (num_blocks - 1) * hop - wave.shape[1])), sample_rate)
    weighted = weighted.masked_fill(~length_mask(lengths, weighted.shape[1]), 0.0)
    return _integrated(weighted.square().unflatten(1, (-1, hop)).sum(2), count, block)


def to_loudness(wave: Tensor, sample_rate: int, target: float, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Bring waves to one loudness; where peaks would exceed 1, the wave is scaled down to a peak of 1.

    Args:
        wave: (B, N) samples.
        sample_rate: In Hz.
        target: In LUFS.
        lengths: (B,) samples of each utterance; None: all N.

    Returns:
        The waves (B, N), zero past an utterance's length, and the loudness that they had, (B,) float64.
    """
    if lengths is None:
        lengths = torch.full((len(wave),), wave.shape[1], device=wave.device)
    wave = wave.masked_fill(~length_mask(lengths, wave.shape[1]), 0.0)
    found = loudness(wave, sample_rate, lengths)
    return within_full_scale(wave * _gain(target - found)), found


def level_gain(source: Any, sample_rate: int, target: float) -> tuple[float, float]:
    """Return the factor by which `to_loudness` multiplies a long wave, and the loudness that it had, in LUFS.

    The memory that it takes does not depend on the wave's length, but for 80 bytes a second.

    Args:
        source: Samples (N,) of at least 0.5 s, read in slices: a tensor, an array or an AudioReader.
        sample_rate: In Hz.
        target: In LUFS.
    """
    block = round(BLOCK_SECONDS * sample_rate)
    hop = block // 4
    # What is before a part still sounds in it, behind the K weighting's filters.
    before = math.ceil(RESPONSE_SECONDS * sample_rate / hop) * hop
    sums, peak = [], 0.0
    for start in range(0, len(source), PART_HOPS * hop):
        first = max(0, start - before)
        wave = torch.as_tensor(source[first : start + PART_HOPS * hop])[None]
        peak = max(peak, float(_peak(wave)))
        weighted = _weight(wave.double(), sample_rate)[0, start - first :]
        sums.append(functional.pad(weighted, (0, -len(weighted) % hop)).square().unflatten(0, (-1, hop)).sum(1))
    hops = torch.cat(sums)[None]
    count = 1 + (len(source) - block + hop - 1) // hop
    hops = functional.pad(hops, (0, count + 3 - hops.shape[1]))
    found = float(_integrated(hops, torch.tensor([count], device=hops.device), block))
    gain = float(_gain(torch.tensor([target - found])))
    return gain / max(1.0, gain * peak), found


def within_full_scale(wave: Tensor) -> Tensor:
    """Scale down to a peak of 1 those of the waves (B, N) whose peak is above."""
    return wave / _peak(wave).clamp(min=1.0)


def restore(wave: Tensor, sample_rate: int, target: Tensor, lengths: Tensor) -> Tensor:
    """Bring each decoded wave to the loudness that the speech had, within 0.4 LU.

    A decoder's peaks are not the speech's: loud speech within [-1, 1] would come back with peaks outside. A limiter
    takes them back to 1 (those above 2, to half) within 2 ms around each, and the loudness that this costs is made up
    for. What cannot have its loudness within [-1, 1] keeps peaks above 1; nothing is clipped.

    Args:
        wave: (B, N) samples, zero past an utterance's length.
        sample_rate: In Hz.
        target: (B,) in LUFS.
        lengths: (B,) samples of each utterance.
    """
    if not wave.shape[1]:
        return wave
    wave = wave * _gain(target - loudness(wave, sample_rate, lengths))
    loud = (_peak(wave)[:, 0] > 1.0).nonzero().squeeze(1)
    if len(loud):
        limited = wave[loud]
        # A little below, so that no rounding leads above.
        ceiling = (1 - 1e-6) * (_peak(limited) / MOST_REDUCTION).clamp(min=1.0)
        boost = torch.zeros(len(loud), dtype=torch.float64, device=wave.device)
        for _ in range(ROUNDS):
            limited = _limit(wave[loud] * _gain(boost), ceiling, sample_rate)
            missing = target[loud] - loudness(limited, sample_rate, lengths[loud])
            boost = boost + missing
        wave = wave.index_copy(0, loud, limited * _gain((missing - TOLERANCE).clamp(min=0.0)))
    return wave


def _weight(wave: Tensor, sample_rate: int) -> Tensor:
    """Return wave (B, N) float64 after the K weighting, filtered as a product of spectra."""
    samples = wave.shape[1]
    size = 1 << (samples + round(RESPONSE_SECONDS * sample_rate) - 1).bit_length()
    spectrum = torch.fft.rfft(wave, size) * _response(size, sample_rate, wave.device)
    return torch.fft.irfft(spectrum, size)[:, :samples]


@lru_cache(maxsize=1)  # crops of a training have one length
def _response(size: int, sample_rate: int, device: torch.device) -> Tensor:
    """Return the K weighting's response (size // 2 + 1,) at the frequencies of a transform of so many samples."""
    angle = torch.linspace(0, -math.pi, size // 2 + 1, dtype=torch.float64, device=device)
    delay = torch.polar(torch.ones_like(angle), angle)
    response = torch.ones_like(delay)
    for b, a in _biquads(sample_rate):
        response *= (b[0] + delay * (b[1] + delay * b[2])) / (a[0] + delay * (a[1] + delay * a[2]))
    return response


def _biquads(sample_rate: int) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Return numerator and denominator of both stages (R. Bristow-Johnson's cookbook of biquad filters)."""
    corner, gain, q = SHELF
    omega = 2 * math.pi * corner / sample_rate
    cos, alpha, root = math.cos(omega), math.sin(omega) / (2 * q), 10 ** (gain / 40)
    side = 2 * math.sqrt(root) * alpha
    up, down = root + 1, root - 1
    shelf = (
        (root * (up + down * cos + side), -2 * root * (down + up * cos), root * (up + down * cos - side)),
        (up - down * cos + side, 2 * (down - up * cos), up - down * cos - side),
    )
    corner, q = HIGH_PASS
    omega = 2 * math.pi * corner / sample_rate
    cos, alpha = math.cos(omega), math.sin(omega) / (2 * q)
    high_pass = (((1 + cos) / 2, -(1 + cos), (1 + cos) / 2), (1 + alpha, -2 * cos, 1 - alpha))
    return [shelf, high_pass]


def _integrated(hops: Tensor, count: Tensor, block: int) -> Tensor:
    """Return the loudness (B,) of waves whose weighted squares have these sums over each hop, (B, K + 3).

    Args:
        hops: A block has four of them; zero past a wave's end.
        count: (B,) blocks of each wave.
        block: Samples of a block.
    """
    energy = hops.unfold(1, 4, 1).sum(2) / block
    kept = length_mask(count, energy.shape[1]) & (_lufs(energy) > FLOOR)
    kept = kept & (_lufs(energy) > _lufs(_mean(energy, kept))[:, None] - 10.0)
    return _lufs(_mean(energy, kept)).clamp(min=FLOOR)


def _mean(energy: Tensor, kept: Tensor) -> Tensor:
    """Return the mean (B,) of the kept blocks of energy (B, K); zero where there is none."""
    return (energy * kept).sum(1) / kept.sum(1).clamp(min=1)


def _lufs(energy: Tensor) -> Tensor:
    return -0.691 + 10.0 * energy.log10()


def _gain(decibel: Tensor) -> Tensor:
    """Return factors (B, 1) float32 of decibels (B,)."""
    return (10.0 ** (decibel.double() / 20.0)).float()[:, None]


def _peak(wave: Tensor) -> Tensor:
    """Return the largest magnitude (B, 1) of wave (B, N); zero where there is no sample."""
    return functional.pad(wave.abs(), (0, 1)).amax(1, keepdim=True)


def _limit(wave: Tensor, ceiling: Tensor, sample_rate: int) -> Tensor:
    """Hold wave (B, N) within its ceiling (B, 1), by a gain that goes down and up again around each peak."""
    half = max(1, round(LIMITER_SECONDS * sample_rate / 2))
    gain = ceiling / torch.maximum(wave.abs(), ceiling)
    # The smallest gain of a window, smoothed over as long a one, is nowhere above what its middle needs.
    smallest = -functional.max_pool1d(-functional.pad(gain, (2 * half, 2 * half), value=1.0), 2 * half + 1, 1)
    return wave * functional.avg_pool1d(smallest, 2 * half + 1, 1)
