# Copyright 2026 The hasrd authors
# Apache-2.0
"""The log-mel spectrogram of Whisper ("Robust Speech Recognition via Large-Scale Weak Supervision", 2022)."""

from __future__ import annotations

import copy
import math
from typing import Iterable

import torch
from torch import Tensor, nn

from hasrd.encoder.layers import length_mask

SAMPLE_RATE = 16000
N_FFT = 400
HOP = 160
# Of the magnitudes' logarithm: what is 80 dB below the loudest bin of the utterance is raised to that.
RANGE = 8.0


class WhisperLogMel(nn.Module):
    """Log-mel spectrogram of the audio as it is, without Whisper's padding to 30 s.

    A frame is centred every 10 ms, from sample 0 on, and the ends of each utterance are mirrored, as in OpenAI's code.
    The values are brought to about [-1, 1] by the utterance's loudest bin.

    Args:
        num_mels: bins F, 80 or, of large-v3, 128.
    """

    sample_rate = SAMPLE_RATE
    frame_shift = HOP
    # More than half a transform, which the mirror at the ends needs.
    window = 240

    def __init__(self, num_mels: int = 80) -> None:
        super().__init__()
        self.output_size = num_mels
        # Logarithm of the loudest bin; None: that of the utterance.
        self.loudest: Tensor | None = None
        self.register_buffer("hann", torch.hann_window(N_FFT), persistent=False)
        self.register_buffer("filters", mel_filters(num_mels), persistent=False)

    def num_frames(self, num_samples: int | Tensor) -> int | Tensor:
        """Return the frames of num_samples (an int or a tensor of any shape); none of less than a window."""
        return num_samples // HOP * (num_samples >= self.window)

    def forward(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map wave (B, N) with lengths (B,) samples to features (B, T, F) and frames (B,).

        Neither padding nor the other utterances of the batch change an utterance's features.
        """
        if not self.num_frames(wave.shape[1]):
            return wave.new_zeros(len(wave), 0, self.output_size), self.num_frames(lengths)
        logs, mask, frames = self._logs(wave, lengths)
        loudest = self.loudest
        if loudest is None:
            loudest = logs.masked_fill(~mask, -math.inf).amax(dim=(1, 2), keepdim=True)
        logs = (torch.maximum(logs, loudest - RANGE) + 4.0) / 4.0
        return logs.masked_fill(~mask, 0.0), frames

    def of_whole(self, parts: Iterable[Tensor]) -> WhisperLogMel:
        """Return a frontend that brings parts of one utterance to the scale of all of it.

        Args:
            parts: All of its samples, (1, N) each; they may overlap.
        """
        whole = copy.copy(self)
        loudest = [self._logs(part, torch.tensor([part.shape[1]], device=part.device))[0].amax() for part in parts]
        whole.loudest = torch.stack(loudest).amax()
        return whole

    def _logs(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logarithms (B, T, F), which of the frames are valid (B, T, 1) and how many (B,)."""
        frames = self.num_frames(lengths)
        total = self.num_frames(wave.shape[1])
        # Sample i of the mirrored utterance, for each utterance of its own length.
        place = torch.arange(-N_FFT // 2, (total - 1) * HOP + N_FFT // 2, device=wave.device).expand(len(wave), -1)
        last = lengths[:, None] - 1
        place = place.abs()
        place = torch.where(place > last, 2 * last - place, place).clamp(min=0)
        mirrored = wave.float().gather(1, place.clamp(max=wave.shape[1] - 1))
        windows = mirrored.unfold(1, N_FFT, HOP) * self.hann
        power = torch.fft.rfft(windows).abs().square()
        logs = (power @ self.filters).clamp(min=1e-10).log10()
        return logs, length_mask(frames, logs.shape[1])[..., None], frames


def mel_filters(num_mels: int) -> Tensor:
    """Return triangular filters (N_FFT / 2 + 1, num_mels) of equal area on Slaney's mel scale (Auditory Toolbox, 1998).

    It is linear below 1 kHz (200 / 3 Hz a mel) and logarithmic above (27 mels for a factor of 6.4).
    """
    edge, step = 15.0, math.log(6.4) / 27

    def to_hz(mels: Tensor) -> Tensor:
        return torch.where(mels < edge, mels * 200 / 3, 1000 * ((mels - edge) * step).exp())

    top = edge + math.log(SAMPLE_RATE / 2 / 1000) / step
    corners = to_hz(torch.linspace(0, top, num_mels + 2, dtype=torch.float64))
    bins = torch.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1, dtype=torch.float64)[:, None]
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return (torch.minimum(rising, falling).clamp(min=0) * 2 / (corners[2:] - corners[:-2])).float()
