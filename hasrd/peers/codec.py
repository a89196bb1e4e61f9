# Copyright 2026 The hasrd authors
# Apache-2.0
"""A codec of another package in the place of ours, so that the same stages tokenise, decode, probe and score it."""

from __future__ import annotations

import math
from typing import Any, Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from hasrd.codec.model import TokenizerModel
from hasrd.codec.tokens import Tokens
from hasrd.data.resample import resample
from hasrd.encoder.output import EncoderOutput
from hasrd.peers.peer import Peer


class PeerCodec(TokenizerModel):
    """A codec of another package with the interface of ours.

    Its codes have one column for each token that a frame has of a codebook.

    Speech goes in and comes out at one rate, that of the data; where the peer has another one, it is resampled on both
    ways (soxr). Utterances are encoded and decoded one by one, so that each gives what it gives alone. A decoder that
    draws noise (SNAC's) draws the same each time. The level is the peer's own affair: tokens carry no loudness.

    Args:
        peer: The codec.
        sample_rate: Of the data, in Hz.
    """

    def __init__(self, peer: Peer, sample_rate: int = 16000) -> None:
        super().__init__()
        self.peer = peer
        self.sample_rate, self.frame_rate = sample_rate, peer.frame_rate
        # Of 75 tokens a second, 213.3 samples each.
        self.frame_shift = self.min_samples = math.ceil(sample_rate / peer.frame_rate)
        per_book = list(zip(peer.stream_names, peer.codebook_sizes, peer.steps))
        self.stream_names = tuple(name for name, _, steps in per_book for _ in range(steps))
        self.codebook_sizes = tuple(size for _, size, steps in per_book for _ in range(steps))

    @property
    def facts(self) -> dict[str, Any]:
        """What the numbers of a table need beside them."""
        rates = dict.fromkeys((self.sample_rate, self.peer.sample_rate, self.peer.output_rate, self.sample_rate))
        if len(rates) == 1:
            return {"resampled": None}
        to, back = (f"{a} to {b} Hz" for a, b in self._rates())
        return {"resampled": f"speech from {to}, decoded speech from {back} (soxr)"}

    def _rates(self) -> list[tuple[int, int]]:
        return [(self.sample_rate, self.peer.sample_rate), (self.peer.output_rate, self.sample_rate)]

    @torch.no_grad()
    def features(self, wave: Tensor, lengths: Tensor) -> EncoderOutput:
        """Return the codes (B, T, M) and, as the last layer, what was quantized, (B, T, D).

        An utterance shorter than one frame is padded with zeros to one.

        Args:
            wave: (B, N) samples in [-1, 1]; what is past an utterance's length is not looked at.
            lengths: (B,) samples.
        """
        codes, latents = [], []
        for row, length in zip(wave, lengths.tolist()):
            clip = F.pad(row[:length], (0, max(0, 1 - length)))
            own = self._resample(clip, self.sample_rate, self.peer.sample_rate)
            frame = round(self.peer.sample_rate / self.peer.frame_rate)
            books, latent = self.peer.encode(F.pad(own, (0, max(0, frame - len(own))))[None])
            codes.append(self.join(books)[0])
            latents.append(latent[0])
        frames = torch.tensor([len(code) for code in codes], device=wave.device)
        return EncoderOutput((pad_sequence(codes, batch_first=True), pad_sequence(latents, batch_first=True)), frames)

    def quantize(self, encoded: EncoderOutput) -> Tensor:
        """Return the codes (B, T, M): a peer quantizes while it encodes."""
        return encoded.layers[0]

    def vectors(self, codes: Tensor, streams: Sequence[str] | None = None) -> Tensor:
        """Return what codes (B, T, M') of one stream or of all stand for, (B, T, D); for peers with both streams."""
        first = self._first_book(self.stream_names if streams is None else streams)
        return self.peer.vectors(self.split(codes.to(next(self.peer.parameters()).device), first), first)

    def synthesize(self, tokens: Tokens, codes: Tensor, present: set[str]) -> Tensor:
        """Return the waveform (B, max num_samples) of codes, one utterance after the other."""
        first = self._first_book(present)
        waves = []
        for row, length, samples in zip(codes, tokens.lengths.tolist(), tokens.num_samples.tolist()):
            if not samples:
                waves.append(torch.zeros(0, device=codes.device))
                continue
            with torch.random.fork_rng([codes.device] if codes.is_cuda else []):
                torch.manual_seed(0)
                own = self.peer.decode(self.split(row[None, :length], first), first)[0]
            wave = self._resample(own, self.peer.output_rate, self.sample_rate)[:samples]
            waves.append(F.pad(wave, (0, samples - len(wave))))
        return pad_sequence(waves, batch_first=True)

    def _first_book(self, streams: Collection[str]) -> int:
        """Number of the peer's first codebook that is in one of the streams."""
        return min(m for m, name in enumerate(self.peer.stream_names) if name in streams)

    def join(self, books: Sequence[Tensor]) -> Tensor:
        """Return codes (B, T * steps) of each codebook as columns (B, T, M)."""
        columns = [book.unflatten(1, (-1, steps)) for book, steps in zip(books, self.peer.steps)]
        return torch.cat(columns, dim=-1).long()

    def split(self, codes: Tensor, first: int) -> list[Tensor]:
        """Return columns (B, T, M') as codes of the codebooks from `first` on that they have; -1 in missing columns."""
        books, column = [], sum(self.peer.steps[:first])
        for steps in self.peer.steps[first:]:
            part = codes[..., column : column + steps]
            if not part.shape[-1]:
                break
            books.append(F.pad(part, (0, steps - part.shape[-1]), value=-1).flatten(1))
            column += steps
        return books

    @staticmethod
    def _resample(wave: Tensor, rate: int, target: int) -> Tensor:
        if rate == target:
            return wave
        return torch.from_numpy(resample(wave.float().cpu().numpy(), rate, target)).to(wave.device)
