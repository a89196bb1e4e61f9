# Copyright 2026 The hasrd authors
# Apache-2.0
"""HAC's factorisation: levels beside an acoustic residual VQ, all of them of the same latents."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor, nn

from hasrd.encoder.layers import length_mask
from hasrd.encoder.transformer import Transformer
from hasrd.quantizer.output import QuantizerOutput, usage_stats
from hasrd.quantizer.residual_vq import ResidualStack, draw_kept, select_streams
from hasrd.quantizer.revival import Revival

ACOUSTIC = "acoustic"


class HACQuantizer(nn.Module):
    """Phonetic, lexical and acoustic tokens of an encoder's last layer Z (HAC, arXiv 2506.15456).

        latent = sum over levels of VQ_l(Transformer_l(Z)) + residual VQ of Z

    What a level says is not laid down here: a distillation (hasrd.loss.distillation) teaches it. Published are the
    three levels, the Transformer encoders and the numbers of codebooks (7 + 1 + 1); that the levels are added up, and
    all sizes of the Transformers, are ours. Without levels this is DAC's residual VQ.

    Args:
        input_size: D.
        num_layers: layers that the encoder returns; the last one is quantized.
        levels: names of the levels, each a stream of one codebook, in the order of the codes.
        num_codebooks: of the acoustic stream, which comes last; 0 for none.
        codebook_size: entries K of each codebook.
        codebook_dim: dimensions of the look-up (DAC's).
        quantizer_dropout: fraction of the items that, in training, keep only some of the acoustic codebooks (DAC's);
            the levels are always kept.
        attention_dim: size of the levels' Transformers.
        attention_heads, linear_units, num_blocks, dropout_rate: see Transformer.
        dead_share: an entry of a level's codebook that is used less often than this share of the average one gets a new
            place (see Revival). A level learns slowly and starts near a constant: on latents of a trained codec, after
            500 steps of distilling words, 30 of 1024 entries were used without it (perplexity 8, loss of the words on
            held-out speech 0.81) and 161 with it (45, 0.76).

    Raises:
        ValueError: A level's name is used twice or is "acoustic", or nothing is left to quantize with.
    """

    def __init__(
        self,
        input_size: int,
        num_layers: int = 1,
        levels: Sequence[str] = ("phonetic", "lexical"),
        num_codebooks: int = 7,
        codebook_size: int = 1024,
        codebook_dim: int = 8,
        quantizer_dropout: float = 0.5,
        attention_dim: int = 512,
        attention_heads: int = 8,
        linear_units: int = 2048,
        num_blocks: int = 4,
        dropout_rate: float = 0.1,
        dead_share: float = 0.1,
    ) -> None:
        super().__init__()
        if len({*levels, ACOUSTIC}) <= len(levels):
            raise ValueError(f"levels {list(levels)}: give each a name of its own, other than '{ACOUSTIC}'")
        if not levels and not num_codebooks:
            raise ValueError("no levels and num_codebooks 0: there is nothing to quantize with")
        self.output_size = input_size
        self.level_names = tuple(levels)
        self.num_codebooks = num_codebooks
        self.quantizer_dropout = quantizer_dropout
        self.codebook_sizes = (codebook_size,) * (len(levels) + num_codebooks)
        self.stream_names = (*levels, *(ACOUSTIC,) * num_codebooks)
        self.levels = nn.ModuleDict(
            {
                name: Level(
                    input_size, codebook_size, codebook_dim, attention_dim, attention_heads, linear_units, num_blocks,
                    dropout_rate, dead_share,
                )
                for name in levels
            }
        )  # fmt: skip
        self.acoustic = ResidualStack(input_size, num_codebooks, codebook_size, codebook_dim)

    def forward(self, layers: Sequence[Tensor], lengths: Tensor, n_codebooks: int | None = None) -> QuantizerOutput:
        """Quantize a batch, straight-through.

        Args:
            layers: tensors (B, U, D).
            lengths: (B,) valid frames.
            n_codebooks: use the first so many codebooks, the levels' included; None: all, with quantizer dropout in
                training mode.

        Returns:
            A QuantizerOutput with M = levels + `num_codebooks` codes, and what each level adds to the latent. Its stats
            have the rms of each stream.
        """
        z = layers[-1]
        mask = length_mask(lengths, z.shape[1])
        used = len(self.codebook_sizes) if n_codebooks is None else n_codebooks
        if n_codebooks is None and self.training:
            lowest = 0 if len(self.levels) else 1
            keep = draw_kept(len(z), lowest, self.num_codebooks, self.quantizer_dropout, z.device)
        else:
            keep = lengths.new_full((len(z),), max(0, used - len(self.levels)))
        hidden = {name: level.encode(z, lengths) for name, level in self.levels.items()}
        with torch.autocast(z.device.type, enabled=False):
            acoustic, acoustic_codes, commitment, codebook = self.acoustic(z.float(), mask, keep)
            latent, levels, codes = acoustic, {}, []
            for m, (name, level) in enumerate(self.levels.items()):
                kept = keep.new_full((len(z),), int(m < used))
                levels[name], code, *losses = level.vq(hidden[name].float(), mask, kept)
                if self.training:
                    level.revive(hidden[name].float(), code, mask)
                codes.append(code)
                latent, commitment, codebook = latent + levels[name], commitment + losses[0], codebook + losses[1]
            codes = torch.cat([*codes, acoustic_codes], dim=-1)
        stats = usage_stats(codes, mask, self.codebook_sizes)
        with torch.no_grad():
            valid = mask.sum().clamp(min=1)
            for name, part in {**levels, ACOUSTIC: acoustic}.items():
                stats[f"rms_{name}"] = ((part.square().mean(dim=-1) * mask).sum() / valid).sqrt()
        return QuantizerOutput(latent, codes, commitment, codebook, stats, levels)

    @torch.no_grad()
    def encode(self, layers: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Return the codes (B, U, M) of layers (each (B, U, D)); zero past lengths (B,)."""
        z = layers[-1]
        mask = length_mask(lengths, z.shape[1])
        with torch.autocast(z.device.type, enabled=False):
            z = z.float()
            levels = [level.vq.encode(level.encode(z, lengths), mask) for level in self.levels.values()]
            return torch.cat([*levels, self.acoustic.encode(z, mask)], dim=-1)

    def decode(self, codes: Tensor, streams: Sequence[str] | None = None, n_codebooks: int | None = None) -> Tensor:
        """Return the latent of codes.

        Args:
            codes: (B, U, M') of the first M' codebooks, the levels' first.
            streams: names of the streams to decode; None: all. One left out contributes zero.
            n_codebooks: use the first so many of the M' codebooks; None: all.

        Returns:
            (B, U, D).

        Raises:
            ValueError: A stream that this quantizer does not have.
        """
        names = select_streams(self.stream_names, streams)
        codes = codes[..., :n_codebooks]
        with torch.autocast(codes.device.type, enabled=False):
            latent = self.acoustic.decode(codes[..., len(self.levels) :] if ACOUSTIC in names else codes[..., :0])
            for m, (name, level) in enumerate(self.levels.items()):
                if name in names and m < codes.shape[-1]:
                    latent = latent + level.vq.decode(codes[..., m : m + 1])
        return latent


class Level(nn.Module):
    """A Transformer encoder of the latents, and one codebook for what it makes of them.

    Args:
        input_size: D.
        codebook_size, codebook_dim: of the codebook.
        attention_dim, attention_heads, linear_units, num_blocks, dropout_rate: see Transformer.
        dead_share: see Revival.
    """

    def __init__(
        self,
        input_size: int,
        codebook_size: int,
        codebook_dim: int,
        attention_dim: int,
        attention_heads: int,
        linear_units: int,
        num_blocks: int,
        dropout_rate: float,
        dead_share: float,
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(input_size, attention_dim)
        self.transformer = Transformer(attention_dim, attention_heads, linear_units, num_blocks, dropout_rate)
        self.norm = nn.LayerNorm(attention_dim)
        self.leave = nn.Linear(attention_dim, input_size)
        self.vq = ResidualStack(input_size, 1, codebook_size, codebook_dim)
        self.revival = Revival(codebook_size, dead_share)

    def revive(self, hidden: Tensor, codes: Tensor, mask: Tensor) -> None:
        """Give entries that are hardly used a new place after a step.

        Args:
            hidden: (B, U, D) what was looked up.
            codes: (B, U, 1).
            mask: (B, U), true on valid frames.
        """
        book = self.vq.books[0]
        self.revival(book.codebook.weight, book.in_proj(hidden.detach()), codes[..., 0], mask)

    def encode(self, z: Tensor, lengths: Tensor) -> Tensor:
        """Return what the codebook looks up, (B, U, D), for z (B, U, D) with lengths (B,)."""
        return self.leave(self.norm(self.transformer(self.enter(unit_rms(z)), lengths)[-1]))


def unit_rms(z: Tensor) -> Tensor:
    """Bring each frame of z (B, U, D) to rms 1; the gradient passes as it is.

    An untrained encoder's latents have an rms of 0.003. Normalised in the ordinary way, here or in the Transformer,
    they would get gradients some 200 times as large through a level as through the acoustic codes.
    """
    scale = z.detach().square().mean(dim=-1, keepdim=True).add(1e-12).rsqrt()
    return z + z.detach() * (scale - 1.0)
