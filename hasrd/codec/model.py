# Copyright 2026 The hasrd authors
# Apache-2.0
"""What every tokenizer is: speech to tokens and back, of our codec and of those of other packages alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Mapping, Sequence

import torch
from torch import Tensor, nn

from hasrd.codec.tokens import Tokens
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.speech_encoder import SpeechEncoder
from hasrd.frontend import loudness as level


class TokenizerModel(nn.Module, ABC):
    """A trained model that all stages behind the training of codecs use.

    A subclass makes features, codes and speech; the level of the speech and the choice of streams are seen to here.

    Attributes:
        sample_rate: Hz, of the speech that goes in and comes out.
        frame_shift: Samples of a token.
        min_samples: Samples that the first token needs.
        frame_rate: Tokens a second of each codebook.
        stream_names: M names; codebooks of one stream have the same.
        codebook_sizes: M sizes.
        loudness: LUFS to which speech is brought before `features`; None: it is taken as it is.
        window: Seconds; what is longer, `Tokenizer.encode` encodes in windows of this length (see
            `hasrd.codec.windows`); None: it encodes whole utterances.
        speech_encoder: Whose layers `features` returns; None: it returns what is quantized, and nothing else.
        semantic_layer: The encoder's layer that the semantic stream stands for; None: there is no such layer.
        layer_weights: (L,) share of each of the encoder's layers in what is quantized; None where that is not learned.
        facts: What the numbers of a table need beside them.
    """

    sample_rate: int
    frame_shift: int
    min_samples: int
    frame_rate: float
    stream_names: tuple[str, ...]
    codebook_sizes: tuple[int, ...]
    speech_encoder: SpeechEncoder | None = None
    loudness: float | None = None
    window: float | None = None
    semantic_layer: int | None = None
    layer_weights: Tensor | None = None
    facts: Mapping[str, Any] = {}

    @abstractmethod
    def features(self, wave: Tensor, lengths: Tensor) -> EncoderOutput:
        """Return the encoder's layers of a batch.

        An utterance shorter than one token is padded with zeros to one.

        Args:
            wave: (B, N) samples in [-1, 1]; what is past an utterance's length is not looked at.
            lengths: (B,) samples.
        """

    @abstractmethod
    def quantize(self, encoded: EncoderOutput) -> Tensor:
        """Return the codes (B, U, M) of what `features` returns."""

    @abstractmethod
    def vectors(self, codes: Tensor, streams: Sequence[str] | None = None) -> Tensor:
        """Return what codes (B, U, M') of the first M' codebooks stand for, (B, U, D); a stream left out adds zero.

        Raises:
            NotImplementedError: A codec of another package that does not say it.
        """

    def codebook(self, m: int) -> Tensor:
        """Return the vectors (size, D) that the codes of codebook `m` stand for.

        Raises:
            NotImplementedError: A codec of another package, whose codebooks are its own affair.
        """
        raise NotImplementedError

    @abstractmethod
    def synthesize(self, tokens: Tokens, codes: Tensor, present: set[str]) -> Tensor:
        """Return the waveform (B, max num_samples), zero past an utterance's own samples.

        Args:
            tokens: Whose lengths count.
            codes: (B, T, M') their codes in this model's order; zero where a stream is left out.
            present: The streams to hear.
        """

    @property
    def codebook_strides(self) -> tuple[int, ...]:
        """M numbers: frames that each codebook's code stands for; here 1."""
        return (1,) * len(self.codebook_sizes)

    @property
    def num_codebooks(self) -> int:
        """M, of all streams together."""
        return len(self.codebook_sizes)

    def at_level(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return waves (B, N) as the encoder is to get them, and the loudness that they had, (B,) float32 in LUFS.

        A model without a level gives the waves as they came, and None.
        """
        if self.loudness is None:
            return wave, None
        wave, found = level.to_loudness(wave, self.sample_rate, self.loudness, lengths)
        return wave, found.float()

    @torch.no_grad()
    def encode(self, wave: Tensor, lengths: Tensor | None = None) -> Tokens:
        """Tokenise a batch of utterances; each gets the tokens that it gets alone.

        Args:
            wave: (B, N) samples in [-1, 1].
            lengths: (B,) samples of each utterance; None: all N.
        """
        if lengths is None:
            lengths = torch.full((len(wave),), wave.shape[1], device=wave.device)
        wave, loudness = self.at_level(wave, lengths)
        encoded = self.features(wave, lengths)
        return Tokens(
            codes=self.quantize(encoded),
            lengths=encoded.lengths,
            num_samples=lengths,
            frame_rate=self.frame_rate,
            stream_names=self.stream_names,
            codebook_sizes=self.codebook_sizes,
            loudness=loudness,
            codebook_strides=self.codebook_strides,
        )

    def _place(self, tokens: Tokens) -> tuple[Tensor, set[str]]:
        """Return codes in this model's order (B, T, M') and the streams that they have."""
        names, sizes = self.stream_names, self.codebook_sizes
        places: list[int] = []
        for name, size in zip(tokens.stream_names, tokens.codebook_sizes):
            free = [m for m, own in enumerate(names) if own == name and m not in places]
            if not free or sizes[free[0]] != size:
                raise ValueError(
                    f"tokens of streams {tokens.stream_names}, sizes {tokens.codebook_sizes}: this "
                    f"codec has {names}, {sizes}"
                )
            places.append(free[0])
        codes = tokens.codes.new_zeros(*tokens.codes.shape[:2], max(places, default=-1) + 1)
        codes[..., places] = tokens.codes
        return codes, set(tokens.stream_names)

    @torch.no_grad()
    def decode(self, tokens: Tokens, streams: Sequence[str] | None = None) -> Tensor:
        """Return the waveform of tokens, at the loudness that they carry, else as the decoder makes it.

        The loudness is right within 0.4 LU, also that of single streams. Peaks are at most 1 where that can be had (see
        `hasrd.frontend.loudness.restore`); nothing is clipped.

        Each utterance gives the samples that it gives alone: only those of equal length in frames
        share a batch, because a decoder looks past an utterance's end.

        Args:
            tokens: all streams of this codec, or some (Tokens.select), or the first codebooks.
            streams: names of the streams to hear; None: all that `tokens` has.

        Returns:
            (B, max num_samples), zero past an utterance's own samples.

        Raises:
            ValueError: Tokens of another codec, a stream that is not in `tokens`, or an utterance
                with samples but without tokens.
        """
        if torch.any((tokens.lengths == 0) & (tokens.num_samples > 0)):
            raise ValueError("an utterance with samples, but without a token")
        wave = self.synthesize(tokens, *self._place(tokens if streams is None else tokens.select(streams)))
        if tokens.loudness is None:
            return wave
        return level.restore(wave, self.sample_rate, tokens.loudness, tokens.num_samples)
