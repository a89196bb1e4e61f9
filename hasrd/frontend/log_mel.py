# Copyright 2026 The hasrd authors
# Apache-2.0
"""Kaldi's log-mel filterbank, batched and on any device."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hasrd.encoder.layers import count_windows, length_mask

PREEMPHASIS = 0.97  # Kaldi, feat/feature-window.h
LOW_FREQUENCY = 20.0  # Hz; Kaldi, feat/mel-computations.h

# Frames that are worked on at a time. On a CPU their buffers should stay in the cache; on an
# accelerator few launches count more, and the limit only bounds the memory.
CPU_BLOCK = 256
DEVICE_BLOCK = 65536

BAND = 16  # filters that are applied together; measured


class LogMel(nn.Module):
    """Log-mel filterbank as Kaldi's compute-fbank-feats makes it without dither.

    Per frame: DC removal, pre-emphasis, Povey window, power spectrum, triangular filters on the mel
    scale 1127 ln(1 + f / 700) from 20 Hz to half the rate, logarithm with the float epsilon as
    floor. Only frames that lie fully inside the waveform are made (snip_edges). The defaults are
    HASRD's (section 3): 80 bins, 25 ms windows, a shift of 8 ms.

    Args:
        sample_rate: in Hz.
        window: samples of one frame.
        frame_shift: samples from frame to frame.
        num_mels: bins F.
        scale: what samples in [-1, 1] are multiplied by: 32768 for the 16-bit integers of Kaldi's own programs, which
            moves the logarithm, but not its floor.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        window: int = 400,
        frame_shift: int = 128,
        num_mels: int = 80,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.window = window
        self.frame_shift = frame_shift
        self.output_size = num_mels
        self.n_fft = 1 << (window - 1).bit_length()
        hann = torch.hann_window(window, periodic=False, dtype=torch.float64)
        self.register_buffer("povey", (scale * hann.pow(0.85)).float(), persistent=False)
        mel = mel_filters(num_mels, self.n_fft, sample_rate)
        self.register_buffer("mel", mel, persistent=False)
        self.bands = [band_of(mel, start) for start in range(0, num_mels, BAND)]

    def num_frames(self, num_samples: int | Tensor) -> int | Tensor:
        """Return the frames of a waveform of num_samples (an int or a tensor of any shape)."""
        return count_windows(num_samples, self.window, self.frame_shift)

    @torch.no_grad()
    def forward(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the features, in float32 also under autocast and without gradients.

        Args:
            wave: (B, N) in [-1, 1].
            lengths: (B,) samples of each utterance.

        Returns:
            (B, T, F) with T = num_frames(N), zero on padding, and (B,) frames of each utterance.
        """
        num_frames = self.num_frames(wave.shape[1])
        feats = wave.new_zeros((len(wave), num_frames, self.output_size), dtype=torch.float32)
        if feats.numel():
            with torch.autocast(wave.device.type, enabled=False):
                self._fill(feats, wave.float())
        lengths = self.num_frames(lengths)
        feats.masked_fill_(~length_mask(lengths, num_frames)[..., None], 0.0)
        return feats, lengths

    def _fill(self, feats: Tensor, wave: Tensor) -> None:
        """Write the features of wave (B, N) into feats (B, T, F), block after block."""
        batch, num_frames, _ = feats.shape
        # Kaldi removes a frame's mean, then pre-emphasises. Both are linear and the window starts
        # with 0, so that the frame's first sample (the only one whose predecessor is not in the
        # frame) drops out: pre-emphasise the waveform once and subtract 0.03 times the mean.
        emphasised = wave[:, 1:] - PREEMPHASIS * wave[:, :-1]
        frames = emphasised.unfold(1, self.window - 1, self.frame_shift)
        offsets = (1 - PREEMPHASIS) * self._frame_means(wave)
        step = CPU_BLOCK if wave.device.type == "cpu" else DEVICE_BLOCK
        step = min(max(1, step // batch), num_frames)
        buffer = wave.new_zeros((batch, step, self.n_fft))
        for start in range(0, num_frames, step):
            block = slice(start, min(start + step, num_frames))
            padded = buffer[:, : block.stop - start]
            filled = padded[..., : self.window - 1]
            torch.sub(frames[:, block], offsets[:, block, None], out=filled)
            filled *= self.povey[1:]
            squares = torch.view_as_real(torch.fft.rfft(padded)).square()
            power = squares[..., 0] + squares[..., 1]
            energy = [power[..., bins] @ self.mel[bins, filters] for bins, filters in self.bands]
            floor = torch.finfo(torch.float32).eps
            torch.clamp(torch.cat(energy, -1), min=floor, out=feats[:, block]).log_()

    def _frame_means(self, wave: Tensor) -> Tensor:
        """Return the mean of each frame (B, T) from the sums of pieces that the frames share."""
        piece = math.gcd(self.window, self.frame_shift)
        whole = wave.shape[1] // piece * piece
        sums = wave[:, :whole].unflatten(1, (-1, piece)).sum(-1)
        return sums.unfold(1, self.window // piece, self.frame_shift // piece).sum(-1) / self.window


def band_of(mel: Tensor, start: int) -> tuple[slice, slice]:
    """Return the bins, and the filters from start on, of the next BAND filters.

    A filter is zero nearly everywhere; a few neighbours share one small matrix product.
    """
    filters = slice(start, min(start + BAND, mel.shape[1]))
    bins = mel[:, filters].any(1).nonzero()
    return slice(int(bins.min()), int(bins.max()) + 1), filters


def mel_filters(num_mels: int, n_fft: int, sample_rate: int) -> Tensor:
    """Return Kaldi's triangular filters (n_fft // 2 + 1, num_mels), float32.

    They are triangles in mel, not in Hz, and leave out the bin at half the rate.
    """
    low, high = (1127.0 * math.log1p(f / 700.0) for f in (LOW_FREQUENCY, sample_rate / 2))
    delta = (high - low) / (num_mels + 1)
    left = low + delta * torch.arange(num_mels)
    frequency = sample_rate / n_fft * torch.arange(n_fft // 2)
    mel = 1127.0 * (1.0 + frequency / 700.0).log()
    up = (mel[:, None] - left) / delta
    filters = torch.minimum(up, 2.0 - up).clamp(min=0.0)
    return nn.functional.pad(filters, (0, 0, 0, 1))
