# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the page of `hasrd demo` calls: tokens of a recording, the speech of some of them, pictures, listening tests."""

from __future__ import annotations

import functools
import math
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

from hasrd.codec.convert import exchange, word_centroids
from hasrd.codec.tokenizer import Tokenizer
from hasrd.codec.tokens import Tokens
from hasrd.data.audio import AudioReader, audio_info
from hasrd.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A page is no place for hours of speech.
MAX_SECONDS = 60.0
# Of the picture.
FLOOR_DB = -80.0

Sound = tuple[int, np.ndarray]


@dataclass(frozen=True)
class Choice:
    """What is heard of the tokens of a model.

    Attributes:
        model: Its name.
        streams: Those that are not muted.
        codebooks: How many of the first ones are kept.
    """

    model: str
    streams: tuple[str, ...]
    codebooks: int


class Listener:
    """Models, and what can be heard with them.

    Args:
        models: By the names that the page shows.
    """

    def __init__(self, models: Mapping[str, Tokenizer]) -> None:
        self.models = dict(models)
        self.folder = tempfile.TemporaryDirectory(prefix="hasrd-demo-")
        self._encoded = functools.lru_cache(maxsize=32)(self._encode)

    def streams(self, model: str) -> list[str]:
        """The names of a model's streams, in their order."""
        return list(dict.fromkeys(self.models[model].stream_names))

    def whole(self, model: str) -> Choice:
        """All that a model has."""
        return Choice(model, tuple(self.streams(model)), self.models[model].num_codebooks)

    def tokens(self, model: str, path: str | None) -> Tokens:
        """The tokens of a recording, a batch of one.

        Raises:
            UserError: There is no recording, it cannot be read, or it is longer than MAX_SECONDS.
        """
        if not path:
            raise UserError("record or drop a file first")
        return self._encoded(model, path, os.path.getmtime(path) if os.path.exists(path) else 0.0)

    def _encode(self, model: str, path: str, _: float) -> Tokens:
        wave, rate = self._read(path)
        return self.models[model].encode(wave, rate, resample=True)

    def _read(self, path: str) -> Sound:
        info = audio_info(path)
        if info.num_samples > MAX_SECONDS * info.sample_rate:
            raise UserError(
                f"{Path(path).name}: {info.num_samples / info.sample_rate:.0f} s, at most {MAX_SECONDS:.0f} s are "
                "taken here: cut it, or use hasrd resynth"
            )
        return AudioReader(path, info.sample_rate, mix=True)[:], info.sample_rate

    def _some(self, choice: Choice, path: str | None) -> Tokens:
        """The tokens of a choice."""
        tokens = self.tokens(choice.model, path).first(int(choice.codebooks))
        streams = [name for name in choice.streams if name in tokens.stream_names]
        if not streams:
            raise UserError("nothing is left to hear: unmute a stream, or keep more codebooks")
        return tokens.select(streams)

    def hear(self, choice: Choice, path: str | None) -> tuple[Sound, str]:
        """Return the speech of what is chosen, and a line with codebooks and bits a second.

        Raises:
            UserError: As of `tokens`; or every stream that is kept is muted.
        """
        tokens = self._some(choice, path)
        books = tokens.codes.shape[2]
        text = f"{int(tokens.lengths[0])} tokens of {books} codebook{'s' * (books != 1)}, {tokens.bitrate:.0f} bit/s"
        return self._sound(choice.model, tokens), text

    def _sound(self, model: str, tokens: Tokens) -> Sound:
        tokenizer = self.models[model]
        wave = tokenizer.decode(tokens)[0].cpu().numpy()
        # As `hasrd decode` writes files: what would be clipped is made softer.
        wave = wave / max(1.0, float(np.abs(wave).max(initial=0.0)))
        return tokenizer.sample_rate, np.rint(wave * 32767).astype(np.int16)

    def swap(self, model: str, first: str | None, second: str | None) -> tuple[Sound, Sound]:
        """Return two recordings with their acoustic streams exchanged: the first in the second's voice, and back.

        Raises:
            UserError: As of `tokens`; or the model has no stream beside the acoustic one.
        """
        ours, theirs = self.tokens(model, first), self.tokens(model, second)
        try:
            centroids = word_centroids(self.models[model].codec)
            forth, back = (exchange(*pair, centroids=centroids) for pair in ((ours, theirs), (theirs, ours)))
            return self._sound(model, forth), self._sound(model, back)
        except ValueError as error:
            raise UserError(f"{model}: voices cannot be exchanged: {error}") from error

    def save(self, choice: Choice, path: str | None) -> str:
        """Write the tokens of a choice as `hasrd encode` does, and return the file's name."""
        tokens = self._some(choice, path)
        target = Path(self.folder.name) / f"{Path(str(path)).stem}.npz"
        self.models[choice.model].save_tokens(target, tokens)
        return str(target)

    def picture(self, choice: Choice, path: str | None) -> Figure:
        """Draw the spectrogram, and below it a row of colours for each codebook; what is muted is pale."""
        from matplotlib.figure import Figure

        tokens = self.tokens(choice.model, path)
        wave, rate = self._read(str(path))
        codes = tokens.codes[0, : int(tokens.lengths[0])].cpu().numpy()
        seconds, books = len(wave) / rate, codes.shape[1]
        figure = Figure(figsize=(9, 2.6 + 0.22 * books), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(10, max(2, books)))
        above.imshow(
            _spectrogram(wave, rate), origin="lower", aspect="auto", cmap="magma", vmin=FLOOR_DB, vmax=0,
            extent=(0, seconds, 0, rate / 2000),
        )  # fmt: skip
        above.set_ylabel("kHz")
        # Neighbouring codes mean nothing: each gets a colour of its own. The golden ratio spreads them.
        hues = (codes * 0.61803398875 + np.arange(books) * 0.37) % 1.0
        kept = np.array([m < choice.codebooks and name in choice.streams for m, name in enumerate(tokens.stream_names)])
        from matplotlib import colormaps

        colours = colormaps["hsv"](hues)[..., :3]
        colours = np.where(kept[None, :, None], colours * 0.75 + 0.15, 0.93)
        end = len(codes) / tokens.frame_rate
        below.imshow(
            colours.transpose(1, 0, 2), origin="upper", aspect="auto", interpolation="nearest",
            extent=(0, end, books - 0.5, -0.5),
        )  # fmt: skip
        first = [list(tokens.stream_names).index(name) for name in dict.fromkeys(tokens.stream_names)]
        below.set_yticks(first, [tokens.stream_names[m] for m in first])
        below.set_xlabel("seconds")
        below.set_xlim(0, max(seconds, 1e-3))
        return figure


def _spectrogram(wave: np.ndarray, rate: int) -> np.ndarray:
    """Decibels below the loudest (F, T), with windows of 32 ms every 8 ms, in float32."""
    size, hop = round(0.032 * rate), max(1, round(0.008 * rate))
    wave = np.pad(wave, (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(wave, size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32))).astype(np.float32) ** 2
    return np.maximum(10 * np.log10(power / max(float(power.max()), 1e-12) + 1e-12), FLOOR_DB).T


@dataclass(frozen=True)
class Abx:
    """A listening test of one's own ears: which of A and B is X? (Munson and Gardner, JASA 1950.)

    Attributes:
        answers: Whether each answer was right.
        x: What X is now, "A" or "B"; "" before the first trial.
    """

    answers: tuple[bool, ...] = ()
    x: str = ""

    def next(self, rng: np.random.Generator) -> Abx:
        """Draw another X."""
        return replace(self, x=str(rng.choice(["A", "B"])))

    def answer(self, word: str) -> Abx:
        """Note an answer, "A" or "B"; UserError where no X was drawn since the last one."""
        if not self.x:
            raise UserError("listen to X first")
        return Abx((*self.answers, word == self.x), "")

    @property
    def p_value(self) -> float:
        """How probably so many answers, or more, are right by guessing."""
        count, right = len(self.answers), sum(self.answers)
        return sum(math.comb(count, k) for k in range(right, count + 1)) / 2**count

    def __str__(self) -> str:
        if not self.answers:
            return "No answers yet."
        last = "Right." if self.answers[-1] else "Wrong."
        return (
            f"{last} {sum(self.answers)} of {len(self.answers)} are right; guessing is as good or better with a "
            f"probability of {self.p_value:.2g}."
        )


def choice_of(listener: Listener, model: str, streams: Sequence[str], codebooks: Any) -> Choice:
    """Make a choice of what the page's controls hold, within what the model has."""
    whole = listener.whole(model)
    kept = tuple(name for name in whole.streams if name in streams)
    return Choice(model, kept, max(1, min(int(codebooks), whole.codebooks)))
