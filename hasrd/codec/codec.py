# Copyright 2026 The hasrd authors
# Apache-2.0
"""The codec: speech to tokens and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hasrd.codec.build import build_modules
from hasrd.codec.model import TokenizerModel
from hasrd.codec.tokens import Tokens
from hasrd.codec.window_plan import WINDOW_SECONDS, check_window
from hasrd.decoder.decoder import Decoder
from hasrd.encoder.layers import length_mask
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.speech_encoder import SpeechEncoder
from hasrd.errors import UserError
from hasrd.frontend import loudness as level
from hasrd.quantizer.quantizer import Quantizer


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


class Codec(TokenizerModel):
    """Speech encoder, quantizer and decoder as one model.

    The encoder gives a token only where it has all of its frames, so the last samples of an
    utterance have none of their own: they are decoded from its last token once more. Decoding gives
    back exactly the samples that went in.

    An encoder that normalises its input knows nothing of its level, and no other should have to code it. With
    `loudness`, speech is brought to this level before the encoder, with peaks of at most 1; the tokens carry the
    loudness that it had, and decoding gives it back.

    Args:
        speech_encoder: wave (B, N), lengths to an EncoderOutput; its parts become the codec's own.
        quantizer: layers (B, U, D), lengths to a QuantizerOutput; codes to latents.
        decoder: latents (B, U, D) to a waveform (B, U * hop).
        loudness: What the codec was trained at, in LUFS; None: speech is taken as it is.
        window: Seconds of the windows in which longer speech is encoded (`Tokenizer.encode`); None: it is encoded
            whole.

    Raises:
        ValueError: A token of the encoder and of the decoder are not equally many samples, or no such loudness.
        UserError: No such window.
    """

    def __init__(
        self,
        speech_encoder: SpeechEncoder,
        quantizer: Quantizer,
        decoder: Decoder,
        loudness: float | None = None,
        window: float | None = WINDOW_SECONDS,
    ) -> None:
        super().__init__()
        # Files of weights name their tensors so.
        self.frontend, self.normalize = speech_encoder.frontend, speech_encoder.normalize
        self.encoder = speech_encoder.encoder
        self.quantizer = quantizer
        self.decoder = decoder
        if loudness is not None and not level.FLOOR < loudness <= 0:
            raise ValueError(f"loudness {loudness}: give LUFS between {level.FLOOR:g} and 0, or null")
        self.loudness = loudness
        check_window(window)
        self.window = window
        self.sample_rate: int = speech_encoder.sample_rate
        self.frame_shift: int = speech_encoder.frame_shift
        self.min_samples: int = speech_encoder.min_samples
        # Of what encoder and decoder take: `inference.prepare` sets them.
        self.encoder_dtype = self.decoder_dtype = torch.float32
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
    def speech_encoder(self) -> SpeechEncoder:
        """The codec's frontend, normalisation and encoder as one."""
        return SpeechEncoder(self.frontend, self.normalize, self.encoder, self.encoder_dtype)

    @property
    def frame_rate(self) -> float:
        """Tokens a second of each codebook."""
        return self.sample_rate / self.frame_shift

    @property
    def stream_names(self) -> tuple[str, ...]:
        """M names; codebooks of one stream have the same."""
        return tuple(self.quantizer.stream_names)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """M sizes."""
        return tuple(self.quantizer.codebook_sizes)

    @property
    def codebook_strides(self) -> tuple[int, ...]:
        """M numbers: frames that each codebook's code stands for."""
        return tuple(self.quantizer.codebook_strides)

    @property
    def semantic_layer(self) -> int | None:
        """The encoder's layer that the semantic stream stands for; None: there is no such layer."""
        return self.quantizer.semantic_layer

    @property
    def layer_weights(self) -> Tensor | None:
        """(L,) share of each of the encoder's layers in what is quantized; None where that is not learned."""
        return self.quantizer.layer_weights

    def features(self, wave: Tensor, lengths: Tensor) -> EncoderOutput:
        """See `TokenizerModel`."""
        missing = self.min_samples - wave.shape[1]
        if missing > 0:
            wave = F.pad(wave, (0, missing))
        wave = wave.masked_fill(~length_mask(lengths, wave.shape[1]), 0.0)
        return self.speech_encoder(wave, lengths.clamp(min=self.min_samples))

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

    def quantize(self, encoded: EncoderOutput) -> Tensor:
        """Return the codes (B, U, M) of what `features` returns."""
        return self.quantizer.encode(encoded.layers, encoded.lengths)

    def vectors(self, codes: Tensor, streams: Sequence[str] | None = None) -> Tensor:
        """Return what codes (B, U, M') of the first M' codebooks stand for, (B, U, D); a stream left out adds zero."""
        return self.quantizer.decode(codes, streams=streams)

    def codebook(self, m: int) -> Tensor:
        """Return the vectors (size, D) that the codes of codebook `m` stand for."""
        codes = torch.arange(self.codebook_sizes[m], device=next(self.parameters()).device)
        return self.quantizer.vectors(m, codes[None])[0].float()

    def synthesize(self, tokens: Tokens, codes: Tensor, present: set[str]) -> Tensor:
        """Return the waveform (B, max num_samples) of codes; only utterances of equal length share a batch."""
        latent = self.quantizer.decode(codes, streams=present)
        samples = tokens.num_samples
        wave = latent.new_zeros(len(codes), int(samples.max()) if len(codes) else 0)
        frames = -(-samples // self.frame_shift)
        for number in frames.unique().tolist():
            index = (frames == number).nonzero().squeeze(1)
            if number:
                part = self._extend(latent[index], tokens.lengths[index], number * self.frame_shift)
                part = self.decoder(part.to(self.decoder_dtype))
                if part.shape[1] != number * self.frame_shift:
                    raise UserError(
                        f"{type(self.decoder).__name__}: gives {part.shape[1]} samples of {number} tokens, but its hop "
                        f"is {self.decoder.hop}: let them agree"
                    )
                part = part[:, : wave.shape[1]]
                wave[index, : part.shape[1]] = part.to(wave.dtype)
        return wave * length_mask(samples, wave.shape[1])
