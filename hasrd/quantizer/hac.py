# Copyright 2026 The hasrd authors
# Apache-2.0
"""HAC's factorisation: levels beside an acoustic residual VQ, all of them of the same latents."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor, nn

from hasrd.encoder.transformer import Transformer
from hasrd.quantizer.output import QuantizerOutput, rms
from hasrd.quantizer.quantizer import Quantizer
from hasrd.quantizer.residual_vq import ResidualStack
from hasrd.quantizer.revival import Revival
from hasrd.quantizer.streams import ACOUSTIC


class HACQuantizer(Quantizer):
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
        super().__init__(
            input_size,
            (*levels, *(ACOUSTIC,) * num_codebooks),
            (codebook_size,) * (len(levels) + num_codebooks),
            quantizer_dropout,
        )
        if len({*levels, ACOUSTIC}) <= len(levels):
            raise ValueError(f"levels {list(levels)}: give each a name of its own, other than '{ACOUSTIC}'")
        if not levels and not num_codebooks:
            raise ValueError("no levels and num_codebooks 0: there is nothing to quantize with")
        self.level_names = tuple(levels)
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

    def inputs(self, layers: Sequence[Tensor], lengths: Tensor) -> Sequence[Tensor]:
        """Return what each level's codebook looks up, and Z; (B, U, D) each."""
        z = layers[-1]
        return *(level.encode(z, lengths) for level in self.levels.values()), z

    def quantize(self, layers: Sequence[Tensor], mask: Tensor, keep: Tensor) -> QuantizerOutput:
        """Quantize each level's and Z's vectors, straight-through (see Quantizer).

        The output has what each level adds to the latent, and in its stats the rms of each stream.
        """
        *hidden, z = layers
        acoustic, acoustic_codes, commitment, codebook = self.acoustic(z, mask, keep)
        latent, parts, codes = acoustic, {}, []
        for (name, level), x in zip(self.levels.items(), hidden):
            parts[name], code, *losses = level.quantize(x, mask)
            codes.append(code)
            latent, commitment, codebook = latent + parts[name], commitment + losses[0], codebook + losses[1]
        with torch.no_grad():
            stats = {f"rms_{name}": rms(part, mask) for name, part in {**parts, ACOUSTIC: acoustic}.items()}
        codes = torch.cat([*codes, acoustic_codes], dim=-1)
        return QuantizerOutput(latent, codes, commitment, codebook, stats, parts)

    def look_up(self, layers: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Return the codes (B, U, M) of each level's vectors and of Z."""
        stacks = [*(level.vq for level in self.levels.values()), self.acoustic]
        return torch.cat([stack.look_up(x) for stack, x in zip(stacks, layers)], dim=-1)

    def vectors(self, codebook: int, codes: Tensor) -> Tensor:
        """Return the vectors (B, U, D) that the codes (B, U) of one codebook stand for."""
        books = [*(level.vq.books[0] for level in self.levels.values()), *self.acoustic.books]
        return books[codebook].decode(codes)


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

    def encode(self, z: Tensor, lengths: Tensor) -> Tensor:
        """Return what the codebook looks up, (B, U, D), for z (B, U, D) with lengths (B,)."""
        return self.leave(self.norm(self.transformer(self.enter(unit_rms(z)), lengths)[-1]))

    def quantize(self, hidden: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """Quantize what `encode` returns; after it, in training mode, give hardly used entries a new place.

        Args:
            hidden: (B, U, D).
            mask: (B, U), true on valid frames.

        Returns:
            quantized (B, U, D), codes (B, U, 1), commitment loss, codebook loss (scalars).
        """
        quantized, codes, *losses = self.vq(hidden, mask, mask.new_ones(len(mask), dtype=torch.long))
        if self.training:
            book = self.vq.books[0]
            self.revival(book.codebook.weight, book.in_proj(hidden.detach()), codes[..., 0], mask)
        return quantized, codes, *losses


def unit_rms(z: Tensor) -> Tensor:
    """Bring each frame of z (B, U, D) to rms 1; the gradient passes as it is.

    An untrained encoder's latents have an rms of 0.003. Normalised in the ordinary way, here or in the Transformer,
    they would get gradients some 200 times as large through a level as through the acoustic codes.
    """
    scale = z.detach().square().mean(dim=-1, keepdim=True).add(1e-12).rsqrt()
    return z + z.detach() * (scale - 1.0)
