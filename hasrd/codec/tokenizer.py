# Copyright 2026 The hasrd authors
# Apache-2.0
"""A trained codec for use: speech to tokens and back, with one clear line where the input is not what it should be."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from hasrd.codec.latents import BATCH_SAMPLES
from hasrd.codec.model import TokenizerModel
from hasrd.codec.token_file import read_token_file, write_token_file
from hasrd.codec.tokens import Tokens
from hasrd.codec.window_plan import OF_MODEL, check_window
from hasrd.codec.windows import encode_windows
from hasrd.data.audio import AudioReader, check_samples
from hasrd.data.resample import resample as resample_wave
from hasrd.data.waves import batches
from hasrd.errors import UserError
from hasrd.models.hub import Pretrained

# Of `decode`: the loudness that the Tokens carry.
OF_TOKENS = "of tokens"


class Tokenizer(nn.Module, Pretrained):
    """Speech to tokens and back with a trained codec; `hasrd.load` makes one.

    It is a module for use: its parameters are frozen, it stays in eval mode as part of a model that trains, and it can
    be moved to another device, but not to another type of numbers.

    Args:
        codec: Ready for use, on its device.
        model_sha256: Hash of its trained weights: files of tokens carry it.
        write: Writes the packed model that it was loaded from to a new folder, for `save_pretrained`.
    """

    def __init__(
        self, codec: TokenizerModel, model_sha256: str = "", write: Callable[[Path], Any] | None = None
    ) -> None:
        super().__init__()
        self.codec = codec
        self.model_sha256 = model_sha256
        self.write = write
        # The mixin would write these arguments to a config.json.
        self._hub_mixin_config = None
        self.eval()

    def train(self, mode: bool = True) -> Tokenizer:
        """Stay in eval mode: dropout would change the tokens."""
        return super().train(False)

    def _apply(self, fn: Callable, recurse: bool = True) -> Tokenizer:
        # Every move between devices and types goes through here. Which parts may be in bfloat16 `prepare` decides.
        for dtype in {parameter.dtype for parameter in self.parameters()}:
            if fn(torch.zeros(0, dtype=dtype, device=self.device)).dtype != dtype:
                raise UserError("a tokenizer keeps its type of numbers: load it with hasrd.load(..., dtype=...)")
        return super()._apply(fn, recurse)

    def forward(self, wave: Tensor) -> Tensor:
        """Return the speech of its own tokens: `decode(encode(wave))`, without gradients.

        Args:
            wave: (B, N) or (B, 1, N) samples in [-1, 1] at the model's sample rate.

        Returns:
            Of the shape of `wave`, float32 on the model's device, with the loudness of `wave`.

        Raises:
            UserError: As of `encode`.
        """
        if wave.dim() != 2 and wave.shape[1:-1] != (1,):
            raise UserError(f"a wave of shape {tuple(wave.shape)}: a batch (B, N) or (B, 1, N) is needed")
        return self.decode(self.encode(wave, self.sample_rate, [wave.shape[-1]] * len(wave))).view(wave.shape)

    @property
    def sample_rate(self) -> int:
        """Hz, of the speech that goes in and comes out."""
        return self.codec.sample_rate

    @property
    def frame_shift(self) -> int:
        """Samples of one token."""
        return self.codec.frame_shift

    @property
    def frame_rate(self) -> float:
        """Tokens a second of each codebook."""
        return self.codec.frame_rate

    @property
    def num_codebooks(self) -> int:
        """M, of all streams together."""
        return self.codec.num_codebooks

    @property
    def stream_names(self) -> tuple[str, ...]:
        """M names; codebooks of one stream have the same."""
        return self.codec.stream_names

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """M sizes."""
        return self.codec.codebook_sizes

    @property
    def device(self) -> torch.device:
        """Where the model is; tokens and waves come out there."""
        return next(self.codec.parameters()).device

    def __repr__(self) -> str:
        streams = {name: self.stream_names.count(name) for name in self.stream_names}
        shown = ", ".join(f"{name} {count}" for name, count in streams.items())
        return f"Tokenizer({self.sample_rate} Hz, {self.frame_rate:g} tokens/s, codebooks: {shown})"

    def encode(
        self,
        wave: Tensor | np.ndarray | AudioReader | Sequence[Tensor | np.ndarray | AudioReader],
        sample_rate: int,
        lengths: Tensor | Sequence[int] | None = None,
        resample: bool = False,
        window: float | str | None = OF_MODEL,
    ) -> Tokens:
        """Tokenise one utterance or several; each gets the tokens that it gets alone.

        Args:
            wave: one utterance (N,) or (1, N); or a list of such, of any lengths; or (B, N) with `lengths`; or
                (B, 1, N), with `lengths` where they are not all N. Samples are floats in [-1, 1] (up to 16 is taken for
                loud speech), or int16, which is divided by 32768. An AudioReader that is longer than a window is read
                in parts, others at once.
            sample_rate: of `wave`, in Hz.
            lengths: (B,) samples of each row of a padded batch.
            resample: bring another rate to the model's (soxr); else it is refused.
            window: seconds; what is longer is encoded in overlapping windows of this length, in time proportional to
                its length (see `hasrd.codec.windows`). None: each utterance is encoded whole. By default what the model
                says, mostly 30.

        Returns:
            Tokens, in the order of the waves, on the model's device. A clip shorter than one token is padded to one.

        Raises:
            UserError: Another rate, several channels, no samples, NaN or infinity, integers other than int16,
                samples far outside of [-1, 1], or no such window.
        """
        rows = self._rows(wave, lengths)
        named = [f"wave {i}: " if len(rows) > 1 else "" for i in range(len(rows))]
        waves = [self.as_wave(row, sample_rate, resample, name, window) for row, name in zip(rows, named)]
        limit = self.samples_at_once(window)
        codes: dict[int, Tensor] = {}
        loudness: dict[int, Tensor] = {}
        for i, row in enumerate(waves):
            if len(row) > limit:
                codes[i], level = encode_windows(self.codec, row, limit)
                if level is not None:
                    loudness[i] = torch.tensor(level, device=self.device)
        for batch in batches({i: len(row) for i, row in enumerate(waves) if i not in codes}, BATCH_SAMPLES):
            samples = torch.tensor([len(waves[i]) for i in batch], device=self.device)
            tokens = self.codec.encode(pad_sequence([waves[i] for i in batch], batch_first=True), samples)
            for row, (i, count) in enumerate(zip(batch, tokens.lengths.tolist())):
                codes[i] = tokens.codes[row, :count]
                if tokens.loudness is not None:
                    loudness[i] = tokens.loudness[row]
        return Tokens(
            codes=pad_sequence([codes[i] for i in range(len(waves))], batch_first=True),
            lengths=torch.tensor([len(codes[i]) for i in range(len(waves))], device=self.device),
            num_samples=torch.tensor([len(row) for row in waves], device=self.device),
            frame_rate=self.frame_rate,
            stream_names=self.stream_names,
            codebook_sizes=self.codebook_sizes,
            loudness=torch.stack([loudness[i] for i in range(len(waves))]) if loudness else None,
            codebook_strides=self.codec.codebook_strides,
        )

    def samples_at_once(self, window: float | str | None = OF_MODEL) -> float:
        """Return up to how many samples an utterance is encoded whole. Args and errors: see `encode`."""
        seconds = self.codec.window if window == OF_MODEL else window
        if seconds is None:
            return math.inf
        check_window(seconds)
        if self.codec.speech_encoder is None:
            raise UserError(f"window {seconds}: a codec of another package encodes whole utterances: leave it out")
        return seconds * self.sample_rate

    def as_wave(
        self,
        wave: Tensor | np.ndarray | AudioReader,
        sample_rate: int,
        resample: bool = False,
        name: str = "",
        window: float | str | None = OF_MODEL,
    ) -> Tensor | AudioReader:
        """Return one utterance as the model takes it: (N,) float32 on its device. Args and errors: see `encode`.

        An AudioReader of the model's rate that is longer than a window stays one.
        """
        if isinstance(wave, AudioReader):
            if wave.sample_rate == self.sample_rate and len(wave) > self.samples_at_once(window):
                return wave
            wave, sample_rate = wave[:], wave.sample_rate
        if not isinstance(wave, Tensor):
            wave = np.asarray(wave)
            if wave.dtype.kind not in "fi" or wave.dtype.itemsize > 8:
                raise UserError(f"{name}samples of type {wave.dtype}: give floats in [-1, 1], or int16")
            # A copy: torch takes neither every byte order and stride of numpy, nor read-only arrays.
            wave = torch.from_numpy(np.array(wave, dtype=wave.dtype.newbyteorder("="), order="C"))
        if wave.dim() == 2 and len(wave) == 1:
            wave = wave[0]
        if wave.dim() != 1:
            raise UserError(
                f"{name}a wave of shape {tuple(wave.shape)}: give one channel, (N,) or (1, N); several utterances as a "
                "list, or as (B, N) with lengths"
            )
        if wave.dtype == torch.int16:
            wave = wave / 32768
        if not wave.is_floating_point():
            raise UserError(f"{name}samples of type {wave.dtype}: give floats in [-1, 1], or int16")
        if not len(wave):
            raise UserError(f"{name}no samples in it")
        wave = wave.detach().float()
        try:
            check_samples(wave)
        except UserError as error:
            raise UserError(f"{name}{error}") from None
        if sample_rate != self.sample_rate:
            if not resample:
                raise UserError(
                    f"{name}{sample_rate} Hz, but this model takes {self.sample_rate} Hz: resample it, or let it be "
                    "done (resample=True)"
                )
            wave = torch.from_numpy(resample_wave(wave.cpu().numpy(), sample_rate, self.sample_rate))
        return wave.to(self.device)

    @torch.no_grad()
    def latents(
        self,
        wave: Tensor | np.ndarray | Sequence[Tensor | np.ndarray],
        sample_rate: int | None = None,
        layer: int | str | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resample: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Return a layer of the encoder; each utterance gets what it gets alone, encoded whole.

        Args:
            wave, lengths, resample: see `encode`.
            sample_rate: of `wave`, in Hz; None: the model's.
            layer: 0 to L - 1, where 0 is the encoder's input network; or "semantic", the one that the semantic stream
                is made of; None: the last one.

        Returns:
            (B, T, D) float32, zero past an utterance's length, and the lengths (B,), as many as of its tokens.

        Raises:
            UserError: As of `encode`; or no such layer.
        """
        number = self._layer(layer)
        rows = self._rows(wave, lengths)
        rate = self.sample_rate if sample_rate is None else sample_rate
        found: list[Tensor] = []
        for row in rows:
            one = self.as_wave(row, rate, resample)[None]
            samples = torch.tensor([one.shape[1]], device=self.device)
            encoded = self.codec.features(self.codec.at_level(one, samples)[0], samples)
            found.append(encoded.layers[number][0].float())
        counts = torch.tensor([len(latent) for latent in found], device=self.device)
        return pad_sequence(found, batch_first=True), counts

    def _layer(self, layer: int | str | None) -> int:
        """The number of one of the encoder's layers; args and errors as of `latents`."""
        encoder = self.codec.speech_encoder
        if encoder is None:
            raise UserError("a codec of another package does not give its encoder's layers")
        if layer == "semantic" and self.codec.semantic_layer is not None:
            layer = self.codec.semantic_layer
        return encoder.check_layer(encoder.num_layers - 1 if layer is None else layer, "latents")

    @torch.no_grad()
    def codebook(self, stream: str, m: int = 0) -> Tensor:
        """Return the vectors of a codebook, as they are added up for the decoder: (size, D) float32.

        Args:
            stream: name of its stream.
            m: which codebook of this stream, from 0 on.

        Raises:
            UserError: There is no such codebook, or the model is a codec of another package.
        """
        books = [book for book, name in enumerate(self.stream_names) if name == stream]
        if not 0 <= m < len(books):
            streams = {name: self.stream_names.count(name) for name in self.stream_names}
            raise UserError(f"no codebook {m} of a stream {stream}: this model has {streams}")
        try:
            return self.codec.codebook(books[m])
        except NotImplementedError as error:
            raise UserError("a codec of another package does not say what its codes stand for") from error

    @staticmethod
    def _rows(wave: Any, lengths: Any) -> list[Any]:
        """The utterances of whatever `encode` is given."""
        if isinstance(wave, (list, tuple)):
            if not wave or any(np.ndim(row) == 0 for row in wave):
                raise UserError("a list of waves is needed, each a tensor or an array" if wave else "an empty list")
            if lengths is not None:
                raise UserError("lengths are for a padded batch (B, N): the waves of a list have their own")
            return list(wave)
        if np.ndim(wave) == 3 and wave.shape[1] == 1:
            wave = wave[:, 0]
            lengths = [wave.shape[1]] * len(wave) if lengths is None else lengths
        if lengths is None:
            return [wave]
        lengths = [int(length) for length in lengths]
        if np.ndim(wave) != 2 or len(wave) != len(lengths):
            raise UserError(f"{len(lengths)} lengths for a wave of shape {tuple(np.shape(wave))}: (B, N) is needed")
        if not lengths:
            raise UserError("a batch of no utterances")
        if min(lengths) < 0 or max(lengths) > wave.shape[1]:
            raise UserError(f"lengths {lengths}: each must be at most N, {wave.shape[1]}")
        return [row[:length] for row, length in zip(wave, lengths)]

    def decode(
        self,
        codes: Tokens | Tensor | np.ndarray,
        streams: Sequence[str] | None = None,
        num_samples: int | Sequence[int] | Tensor | None = None,
        loudness: float | Sequence[float] | Tensor | str | None = OF_TOKENS,
    ) -> Tensor:
        """Return the speech of tokens.

        Args:
            codes: Tokens of this model (all streams, some, or the first codebooks); or integers (B, T, M') or (T, M')
                of its first M' codebooks.
            streams: names of the streams to hear; None: all that are there.
            num_samples: samples of each utterance; None: what the Tokens say, else T * `frame_shift`.
            loudness: LUFS of each utterance, at least -70; None: the model's own level; by default what the Tokens
                say, else the model's own level.

        Returns:
            (B, max num_samples) float32 on the model's device, zero past an utterance's own samples. Not clipped:
            single samples may lie outside of [-1, 1] where that loudness, or the model's own level, needs it.

        Raises:
            UserError: Codes of another model, a stream that is not there, or a length or loudness that does not fit.
        """
        try:
            tokens = self.as_tokens(codes, num_samples, loudness=loudness)
            return self.codec.decode(tokens, streams)
        except ValueError as error:
            raise UserError(str(error)) from error

    def as_tokens(
        self,
        codes: Tokens | Tensor | np.ndarray,
        num_samples: int | Sequence[int] | Tensor | None = None,
        stream_names: Sequence[str] | None = None,
        codebook_sizes: Sequence[int] | None = None,
        loudness: float | Sequence[float] | Tensor | str | None = OF_TOKENS,
    ) -> Tokens:
        """Return Tokens on the model's device. Args and errors: see `decode`.

        Args:
            stream_names, codebook_sizes: of the M' codebooks; None: of the model's first.
        """
        if isinstance(codes, Tokens):
            tokens = codes.to(self.device)
            codes, lengths, known = tokens.codes, tokens.lengths, tokens.num_samples
            loudness = tokens.loudness if loudness is OF_TOKENS else loudness
            stream_names, codebook_sizes, frame_rate = tokens.stream_names, tokens.codebook_sizes, tokens.frame_rate
            strides = tokens.codebook_strides
        else:
            codes = self._codes(codes)
            books = codes.shape[2]
            if stream_names is None and books > self.num_codebooks:
                raise UserError(f"codes of {books} codebooks: this model has {self.num_codebooks}")
            lengths = torch.full((len(codes),), codes.shape[1], device=self.device)
            known = lengths * self.frame_shift
            stream_names = self.stream_names[:books] if stream_names is None else stream_names
            codebook_sizes = self.codebook_sizes[:books] if codebook_sizes is None else codebook_sizes
            frame_rate = self.frame_rate
            held = dict(zip(self.stream_names, self.codec.codebook_strides))
            strides = tuple(held.get(name, 1) for name in stream_names)
            loudness = None if loudness is OF_TOKENS else loudness
        if num_samples is not None:
            known = self._of_each(num_samples, torch.long, len(codes), "numbers of samples")
        if loudness is not None:
            loudness = self._of_each(loudness, torch.float32, len(codes), "values of loudness")
        # Encoding leaves less than one token's window at the end without a token of its own.
        if torch.any(known > lengths * self.frame_shift + self.codec.min_samples):
            worst = int((known - lengths * self.frame_shift).argmax())
            raise UserError(
                f"{int(known[worst])} samples for {int(lengths[worst])} tokens of {self.frame_shift} samples: "
                "they don't belong together"
            )
        try:
            names, sizes = tuple(stream_names), tuple(codebook_sizes)
            return Tokens(codes, lengths, known, frame_rate, names, sizes, loudness, strides)
        except ValueError as error:
            raise UserError(str(error)) from error

    def _of_each(self, values: Any, dtype: torch.dtype, count: int, what: str) -> Tensor:
        """One value an utterance, or one for all, as (B,) of a type."""
        try:
            values = torch.as_tensor(values, device=self.device).to(dtype).reshape(-1)
        except (TypeError, ValueError, RuntimeError):
            raise UserError(f"{what}: {values!r} is no number") from None
        if len(values) not in (1, count):
            raise UserError(f"{len(values)} {what} for {count} utterances")
        return values.expand(count)

    def _codes(self, codes: Tensor | np.ndarray) -> Tensor:
        """Integers (B, T, M') or (T, M') as (B, T, M') int64."""
        if not isinstance(codes, Tensor):
            array = np.asarray(codes)
            if array.dtype.kind not in "iu":
                raise UserError(f"codes of type {array.dtype}: integers are needed")
            codes = torch.from_numpy(array.astype(np.int64))
        if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
            raise UserError(f"codes of type {codes.dtype}: integers are needed")
        if codes.dim() not in (2, 3):
            raise UserError(f"codes of shape {tuple(codes.shape)}: (B, T, M) or (T, M) is needed")
        codes = codes.to(self.device, torch.long)
        return codes[None] if codes.dim() == 2 else codes

    def save_tokens(self, path: str | Path, tokens: Tokens) -> None:
        """Write the tokens of one utterance to a .npz file (see hasrd.codec.token_file).

        Raises:
            UserError: Tokens of several utterances, or another file name.
        """
        write_token_file(path, tokens, self.sample_rate, self.model_sha256)

    def load_tokens(self, path: str | Path) -> Tokens:
        """Read the tokens of one utterance from a .npz file.

        Raises:
            UserError: No such file, not a file of tokens, or the tokens of another model; names the file.
        """
        file = read_token_file(path)
        if file.model and self.model_sha256 and file.model != self.model_sha256:
            raise UserError(
                f"{path}: tokens of another model (SHA-256 {file.model[:12]}..., this one has "
                f"{self.model_sha256[:12]}...): decode them with the model that made them"
            )
        try:
            if file.frame_rate not in (None, self.frame_rate):
                raise UserError(f"{file.frame_rate:g} tokens a second: this model has {self.frame_rate:g}")
            books = (file.stream_names, file.codebook_sizes)
            tokens = self.as_tokens(file.codes, file.num_samples, *books, file.loudness)
            self.check_tokens(tokens)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        return tokens

    def check_tokens(self, tokens: Tokens) -> None:
        """Raise UserError where the streams and codebooks are not this model's."""
        own = list(zip(self.stream_names, self.codebook_sizes))
        for book in zip(tokens.stream_names, tokens.codebook_sizes):
            if book not in own:
                raise UserError(f"a codebook '{book[0]}' of {book[1]} entries: this model has {own}")
            own.remove(book)
