# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the data loader does to an utterance before it is batched."""

from __future__ import annotations

import math
import zlib
from typing import Callable, Mapping

import numpy as np
import torch

from hasrd.codec.latent_cache import CachedLatents
from hasrd.frontend.loudness import to_loudness


class Segment:
    """Cut a segment of fixed length; shorter clips stay as they are (`PadTo` pads them, HASRD section 3).

    Args:
        length: Samples of a segment.
        name: Key of the wave in the utterance's dictionary.
        random: Take a random place (training); else the clip's middle, which is speech where its start may be silence.
        sample_rate: Of the wave, in Hz.
        targets: What else lies in the segment, by the start of its names: (uid, start, stop in seconds) to arrays.
        latents: Of whole utterances, which the segment then gets its part of ("encoder_layers", (U, L * D)): it begins
            with a token, and is cut from the utterance at the level of its latents.
    """

    def __init__(
        self,
        length: int,
        name: str,
        random: bool,
        sample_rate: int = 16000,
        targets: Mapping[str, Callable[[str, float, float], dict[str, np.ndarray]]] | None = None,
        latents: CachedLatents | None = None,
    ):
        self.length = length
        self.name = name
        self.random = random
        self.sample_rate = sample_rate
        self.targets = targets or {}
        self.latents = latents

    def __call__(self, uid: str, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Replace the wave (N,) of utterance `uid` by its segment (at most `length`,); add the segment's targets."""
        wave, grid = data[self.name], 1
        if self.latents is not None:
            wave, grid = wave * np.float32(self.latents.gain(uid)), self.latents.frame_shift
        places = (len(wave) - self.length) // grid + 1
        start = 0
        if places > 1:
            # numpy's global generator: the trainer seeds it for each epoch, process and worker.
            start = grid * (np.random.randint(places) if self.random else (places - 1) // 2)
        wave = wave[start : start + self.length]
        data = {**data, self.name: wave}
        if self.latents is not None:
            data["encoder_layers"] = self.latents(uid, start // grid, -(-len(wave) // grid))
        begin, end = start / self.sample_rate, (start + len(wave)) / self.sample_rate
        for prefix, targets in self.targets.items():
            data |= {f"{prefix}_{name}": array for name, array in targets(uid, begin, end).items()}
        return data


class AtLoudness:
    """Bring a segment to the level that a codec takes speech at, peaks at most 1 (`hasrd.frontend.loudness`).

    DAC's VolumeNorm and RescaleAudio. Its ShiftPhase is an option; it comes first here, so that it leaves no peak above
    1, and shifts no validation data. A segment that is all but silent is amplified by (loudness + 70) dB at most.

    Args:
        loudness: In LUFS; None leaves the level as it is.
        name: Key of the wave in the utterance's dictionary.
        sample_rate: Of the wave, in Hz.
        shift_phase: Shift the phase of all frequencies by one random angle.
        cut: What cuts the segment (`Segment`); None takes whole clips.
    """

    def __init__(
        self, loudness: float | None, name: str, sample_rate: int, shift_phase: bool, cut: Segment | None = None
    ):
        self.loudness = loudness
        self.name = name
        self.sample_rate = sample_rate
        self.shift_phase = shift_phase
        self.cut = cut

    def __call__(self, uid: str, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Cut the segment of utterance `uid` and replace its wave (N,) by float32 samples at the level."""
        data = data if self.cut is None else self.cut(uid, data)
        wave = torch.from_numpy(np.array(data[self.name], dtype=np.float32))[None]
        if self.shift_phase:
            wave = shift_phase(wave, np.random.uniform(-np.pi, np.pi), self.sample_rate)
        if self.loudness is not None:
            wave, _ = to_loudness(wave, self.sample_rate, self.loudness)
        return {**data, self.name: wave[0].numpy()}


def shift_phase(wave: torch.Tensor, angle: float, sample_rate: int) -> torch.Tensor:
    """Shift the phase of all frequencies of wave (B, N) by `angle` in radians, in windows of 32 ms (DAC's ShiftPhase).

    The ends are padded with zeros, where DAC reflects them: a clip may be shorter than half a window.
    """
    size = 1 << math.ceil(math.log2(0.032 * sample_rate))
    form = {"n_fft": size, "hop_length": size // 4, "window": torch.hann_window(size), "center": True}
    spectrum = torch.stft(wave, **form, pad_mode="constant", return_complex=True)
    return torch.istft(spectrum * complex(math.cos(angle), math.sin(angle)), **form, length=wave.shape[1])


class PadTo:
    """Pad a batch to fixed lengths, so that every step has one shape; the lengths stay those of the clips.

    Args:
        lengths: Of what is padded, by its key in the batch: samples of the wave, tokens of latents.
        collate: ESPnet's collate function, called first.
    """

    def __init__(self, lengths: Mapping[str, int], collate):
        self.lengths = lengths
        self.collate = collate

    def __call__(self, items) -> tuple[list[str], dict[str, torch.Tensor]]:
        """Collate `items` and pad each tensor (B, N, ...) to (B, length, ...)."""
        uids, batch = self.collate(items)
        for name, length in self.lengths.items():
            sides = (0, 0) * (batch[name].dim() - 2)
            batch[name] = torch.nn.functional.pad(batch[name], (*sides, 0, length - batch[name].shape[1]))
        return uids, batch


class ShuffleTime:
    """Permute an utterance's frames: a control that keeps which frames there are and loses their order.

    Args:
        then: What to call afterwards (ESPnet's preprocessor), or None.
        name: Key of the features (T, D).
    """

    def __init__(self, then, name: str = "speech"):
        self.then = then
        self.name = name

    def __call__(self, uid: str, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Permute the frames of utterance `uid`, always in the same way for the same id."""
        frames = data[self.name]
        order = np.random.default_rng(zlib.crc32(uid.encode())).permutation(len(frames))
        data = {**data, self.name: frames[order]}
        return data if self.then is None else self.then(uid, data)
