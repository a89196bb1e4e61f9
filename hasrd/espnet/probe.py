# Copyright 2026 The hasrd authors
# Apache-2.0
"""The paper's probe: Linear, two BLSTM layers, then CTC (HASRD section 3, "Evaluation")."""

from __future__ import annotations

from typing import Optional, Sequence

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class BLSTMProbe(AbsEncoder):
    """Frozen features, or codes through an embedding, to a linear layer and a BLSTM (S3PRL's ASR probe).

    Args:
        input_size: Size F of a feature frame, or the number of code streams.
        codebook_sizes: Given, the input is codes (B, T, M), one size a stream; the streams' embeddings are summed.
        projection_size: Size of the linear layer (1024).
        hidden_size: Units of the BLSTM a direction (1024).
        num_layers: BLSTM layers (2).
        dropout: After the linear layer and between BLSTM layers (0.2, S3PRL).
        stack: Neighbouring frames of features that are joined into one, so that log-mel at 125 frames a second costs
            what tokens do; frames that are left over at the end are dropped.
    """

    def __init__(
        self,
        input_size: int,
        codebook_sizes: Optional[Sequence[int]] = None,
        projection_size: int = 1024,
        hidden_size: int = 1024,
        num_layers: int = 2,
        dropout: float = 0.2,
        stack: int = 1,
    ):
        super().__init__()
        self.embeddings = None
        self.stack = stack
        input_size *= stack
        if codebook_sizes is not None:
            if len(codebook_sizes) != input_size:
                raise ValueError(f"{len(codebook_sizes)} codebook sizes for {input_size} streams of codes")
            self.embeddings = nn.ModuleList(nn.Embedding(size, projection_size) for size in codebook_sizes)
            input_size = projection_size
        self.projection = nn.Sequential(nn.Linear(input_size, projection_size), nn.Dropout(dropout))
        # There is nothing between the layers of one, and torch warns of a dropout there.
        between = dropout if num_layers > 1 else 0.0
        self.blstm = nn.LSTM(
            projection_size, hidden_size, num_layers, batch_first=True, bidirectional=True, dropout=between
        )

    def output_size(self) -> int:
        """Both directions."""
        return 2 * self.blstm.hidden_size

    def forward(
        self, xs_pad: torch.Tensor, ilens: torch.Tensor, prev_states: torch.Tensor = None
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """Features (B, T, F) or codes (B, T, M) to (B, T // stack, 2 * hidden_size)."""
        if self.stack > 1:
            ilens = ilens // self.stack
            frames = xs_pad.shape[1] // self.stack
            xs_pad = xs_pad[:, : frames * self.stack].unflatten(1, (frames, self.stack)).flatten(2)
        if self.embeddings is not None:
            # Codes come as floats from archives, where ESPnet pads with 0, or as integers, where it pads with -1.
            codes = xs_pad.long().clamp(min=0)
            xs_pad = sum(embed(codes[..., m]) for m, embed in enumerate(self.embeddings))
        hidden = self.projection(xs_pad)
        run = self._cudnn if hidden.is_cuda else self._directions
        # ESPnet gives the loss this type: in bf16, losses that differ by less than 1 in 256 would be the same.
        return run(hidden, ilens).float(), ilens, None

    def _cudnn(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """cuDNN's kernel of all layers, for packed sequences."""
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.blstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]

    def _directions(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The same on a CPU, where packed sequences have a backward of quadratic time (360 frames: 9 times as long).

        Each direction reads padded sequences with the padding behind the utterance, where nothing valid sees it.
        """
        time = torch.arange(x.shape[1], device=x.device)
        mirror = torch.where(time < lengths[:, None], lengths[:, None] - 1 - time, time)[..., None]

        def mirrored(sequence: torch.Tensor) -> torch.Tensor:
            return sequence.gather(1, mirror.expand_as(sequence))

        for layer in range(self.blstm.num_layers):
            if layer > 0:
                x = nn.functional.dropout(x, self.blstm.dropout, self.training)
            start = x.new_zeros(1, len(x), self.blstm.hidden_size)
            forward, backward = (
                torch.lstm(x_in, (start, start), weights, True, 1, 0.0, self.training, False, True)[0]
                for x_in, weights in zip((x, mirrored(x)), self.blstm.all_weights[2 * layer :])
            )
            x = torch.cat([forward, mirrored(backward)], dim=-1)
        return x.masked_fill(time[:, None] >= lengths[:, None, None], 0.0)


class CTCLossPerLabel(nn.CTCLoss):
    """The CTC loss of each utterance divided by its number of labels.

    ESPnet averages over a batch what its loss gives for each utterance; with this one the average is that of
    `torch.nn.CTCLoss` with reduction "mean", S3PRL's. With the sums that ESPnet takes, hundreds of nats an utterance,
    every gradient exceeds S3PRL's clip norm of 1.

    Args:
        zero_infinity: Utterances with more labels than frames count as 0.
    """

    def __init__(self, zero_infinity: bool) -> None:
        super().__init__(reduction="none", zero_infinity=zero_infinity)

    def forward(
        self, log_probs: torch.Tensor, targets: torch.Tensor, input_lengths: torch.Tensor, target_lengths: torch.Tensor
    ) -> torch.Tensor:
        """Log-probabilities (T, B, V), labels (sum of their numbers,) and lengths (B,) to nats a label (B,)."""
        loss = super().forward(log_probs, targets, input_lengths, target_lengths)
        return loss / target_lengths.clamp(min=1).to(loss)
