# Copyright 2026 The hasrd authors
# Apache-2.0
"""The codec: speech to tokens and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hasrd.codec.build import build_modules
from hasrd.codec.tokens import Tokens
from hasrd.encoder.layers import length_mask
from hasrd.encoder.output import EncoderOutput
from hasrd.frontend import loudness as level


@dataclass
class CodecOutput:
    """A batch of crops after the codec, in training.

    Attributes:
        wave_hat: (B, N) reconstruction, zero past each crop's length.
        codes: (B, U, M) long.
        losses: the quantizer's, scalars with gradients: "commitment" and "codebook".
        stats: the quantizer's, scalars without.
        levels: the quantizer's, (B, U, D).
        lengths: (B,) valid tokens.
    """

    wave_hat: Tensor
    codes: Tensor
    losses: dict[str, Tensor]
    stats: dict[str, Tensor]
    levels: dict[str, Tensor]
    lengths: Tensor


class Codec(nn.Module):
    """Frontend, normalisation, encoder, quantizer and decoder as one model.

    The encoder gives a token only where it has all of its frames, so the last samples of an
    utterance have none of their own: they are decoded from its last token once more. Decoding gives
    back exactly the samples that went in.

    An encoder that normalises its input knows nothing of its level, and no other should have to code it. With
    `loudness`, speech is brought to this level before the encoder, with peaks of at most 1; the tokens carry the
    loudness that it had, and decoding gives it back.

    Args:
        frontend: wave (B, N), lengths to features (B, T, F), lengths.
        normalize: features, lengths to the same; None for none.
        encoder: features, lengths to an EncoderOutput.
        quantizer: layers (B, U, D), lengths to a QuantizerOutput; codes to latents.
        decoder: latents (B, U, D) to a waveform (B, U * hop).
        loudness: What the codec was trained at, in LUFS; None: speech is taken as it is.

    Raises:
        ValueError: A token of the encoder and of the decoder are not equally many samples, or no such loudness.
    """

    def __init__(
        self,
        frontend: nn.Module,
        normalize: nn.Module | None,
        encoder: nn.Module,
        quantizer: nn.Module,
        decoder: nn.Module,
        loudness: float | None = None,
    ) -> None:
        super().__init__()
        self.frontend = frontend
        self.normalize = normalize
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder
        if loudness is not None and not level.FLOOR < loudness <= 0:
            raise ValueError(f"loudness {loudness}: give LUFS between {level.FLOOR:g} and 0, or null")
        self.loudness = loudness
        self.sample_rate: int = frontend.sample_rate
        self.frame_shift: int = frontend.frame_shift * encoder.stride
        # Of what encoder and decoder take: `inference.prepare` sets them.
        self.encoder_dtype = self.decoder_dtype = torch.float32
        self.min_samples: int = frontend.window + (encoder.input_window - 1) * frontend.frame_shift
        if self.frame_shift != decoder.hop:
            raise ValueError(
                f"a token is {self.frame_shift} samples of the encoder's input, but "
                f"{decoder.hop} of the decoder's output"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, allow_import: bool = False) -> Codec:
        """Build a codec from a config (see build_modules)."""
        return cls(**build_modules(config, allow_import=allow_import))

    @property
    def frame_rate(self) -> float:
        """Tokens a second of each codebook."""
        return self.sample_rate / self.frame_shift

    @property
    def num_codebooks(self) -> int:
        """M, of all streams together."""
        return len(self.quantizer.codebook_sizes)

    def features(self, wave: Tensor, lengths: Tensor) -> EncoderOutput:
        """Return the encoder's layers of a batch.

        An utterance shorter than one token is padded with zeros to one.

        Args:
            wave: (B, N) samples in [-1, 1]; what is past an utterance's length is not looked at.
            lengths: (B,) samples.
        """
        missing = self.min_samples - wave.shape[1]
        if missing > 0:
            wave = F.pad(wave, (0, missing))
        wave = wave.masked_fill(~length_mask(lengths, wave.shape[1]), 0.0)
        feats, feats_lengths = self.frontend(wave, lengths.clamp(min=self.min_samples))
        if self.normalize is not None:
            feats, feats_lengths = self.normalize(feats, feats_lengths)
        return self.encoder(feats.to(self.encoder_dtype), feats_lengths)

    def at_level(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return waves (B, N) as the encoder is to get them, and the loudness that they had, (B,) float32 in LUFS.

        A codec without a level gives the waves as they came, and None.
        """
        if self.loudness is None:
            return wave, None
        wave, found = level.to_loudness(wave, self.sample_rate, self.loudness, lengths)
        return wave, found.float()

    def _extend(self, latent: Tensor, lengths: Tensor, num_samples: int) -> Tensor:
        """Repeat each item's last token so that the frames (B, F, D) cover `num_samples`."""
        frames = -(-num_samples // self.frame_shift)
        index = torch.arange(frames, device=latent.device).expand(len(latent), -1)
        index = torch.minimum(index, lengths[:, None] - 1)
        return latent.gather(1, index[..., None].expand(-1, -1, latent.shape[-1]))

    def forward(self, wave: Tensor, lengths: Tensor | None = None, encoded: EncoderOutput | None = None) -> CodecOutput:
        """Reconstruct a batch of crops, for training.

        Args:
            wave: (B, N), zero-padded, at the codec's level: the data loader sees to that.
            lengths: (B,) samples of each crop; None: all N.
            encoded: What a frozen encoder gives of the tokens that begin in each crop, where the crops are parts of
                utterances and begin with a token; None: the encoder is run on the crops.

        Returns:
            A CodecOutput; the reconstruction has the shape of `wave`.
        """
        if lengths is None:
            lengths = torch.full((len(wave),), wave.shape[1], device=wave.device)
        if encoded is None:
            encoded = self.features(wave, lengths)
        quantized = self.quantizer(encoded.layers, encoded.lengths)
        latent = self._extend(quantized.latent, encoded.lengths, wave.shape[1])
        wave_hat = self.decoder(latent)[:, : wave.shape[1]]
        wave_hat = wave_hat * length_mask(lengths, wave.shape[1])
        losses = {"commitment": quantized.commitment_loss, "codebook": quantized.codebook_loss}
        return CodecOutput(wave_hat, quantized.codes, losses, quantized.stats, quantized.levels, encoded.lengths)

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
            codes=self.quantizer.encode(encoded.layers, encoded.lengths),
            lengths=encoded.lengths,
            num_samples=lengths,
            frame_rate=self.frame_rate,
            stream_names=self.quantizer.stream_names,
            codebook_sizes=self.quantizer.codebook_sizes,
            loudness=loudness,
        )

    def _place(self, tokens: Tokens) -> tuple[Tensor, set[str]]:
        """Return codes in this quantizer's order (B, T, M') and the streams that they have."""
        names, sizes = self.quantizer.stream_names, self.quantizer.codebook_sizes
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
        wave = self._decode(tokens, *self._place(tokens if streams is None else tokens.select(streams)))
        if tokens.loudness is None:
            return wave
        return level.restore(wave, self.sample_rate, tokens.loudness, tokens.num_samples)

    def _decode(self, tokens: Tokens, codes: Tensor, present: set[str]) -> Tensor:
        """Return the waveform (B, max num_samples) of codes in this quantizer's order, of these streams."""
        latent = self.quantizer.decode(codes, streams=present)
        samples = tokens.num_samples
        wave = latent.new_zeros(len(codes), int(samples.max()) if len(codes) else 0)
        frames = -(-samples // self.frame_shift)
        for number in frames.unique().tolist():
            index = (frames == number).nonzero().squeeze(1)
            if number:
                part = self._extend(latent[index], tokens.lengths[index], number * self.frame_shift)
                part = self.decoder(part.to(self.decoder_dtype))[:, : wave.shape[1]]
                wave[index, : part.shape[1]] = part.to(wave.dtype)
        return wave * length_mask(samples, wave.shape[1])
