# Copyright 2026 The hasrd authors
# Apache-2.0
"""wav2vec 2.0 ("wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations", Baevski et al. 2020).

HuBERT is the same network, WavLM and data2vec are variants of it. They are used frozen, in torch alone and without what
only their training needs (dropout, masking, heads). The base model normalises the first convolution's output over the
utterance's time (a group norm with one channel a group); here that counts valid frames alone, so that an utterance's
output depends neither on padding nor on its batch.
"""

from __future__ import annotations

import math
from typing import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from hasrd.encoder.layers import count_windows, length_mask
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.standardize import StandardizedEncoder
from hasrd.encoder.transformer_block import Block

# (channels, kernel, stride) of all published models: a token is 320 samples and sees 400.
CONV_LAYERS = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)

# Tokens of the convolutions that are worked on at a time, so that ten minutes fit into memory: 64 frames of their first
# layer each; on a CPU these should stay in the cache.
CPU_BLOCK = 128
DEVICE_BLOCK = 4096
# Channels of a group from which on oneDNN computes long convolutions rightly in bfloat16: on CPUs with AMX, torch 2.11
# gives noise with fewer (kernels of 16 and of 128 measured; kernels up to 7 and depthwise ones are right).
ONEDNN_CHANNELS = 16


class Wav2Vec2(StandardizedEncoder):
    """Convolutions on the waveform, then a Transformer; returns the Transformer's input and each block's output.

    The defaults are the base model's. The large one has conv_norm "layer", conv_bias and norm_first true, attention_dim
    1024, attention_heads 16, linear_units 4096 and num_blocks 24.

    Args:
        input_size: 1, the samples of the raw frontend.
        conv_layers: channels, kernel and stride of each convolution.
        conv_norm: "group": the first convolution's output over time; "layer": each one's over channels.
        conv_bias: whether the convolutions have a bias.
        attention_dim: D.
        attention_heads: H; D must be a multiple of it.
        linear_units: hidden size of the feed-forward layers.
        num_blocks: L; num_layers is L + 1.
        position_kernel: of the convolution that gives the positions.
        position_groups: its groups.
        norm_first: normalise before attention and feed-forward, not behind; the last layer is then normalised as well.
        standardize: See `StandardizedEncoder`.

    Raises:
        ValueError: a size does not fit.
    """

    block_class = Block
    # Samples, whatever the type of the weights: the group norm's statistics should not see rounded ones.
    input_dtype = torch.float32

    def __init__(
        self,
        input_size: int = 1,
        conv_layers: Sequence[Sequence[int]] = CONV_LAYERS,
        conv_norm: str = "group",
        conv_bias: bool = False,
        attention_dim: int = 768,
        attention_heads: int = 12,
        linear_units: int = 3072,
        num_blocks: int = 12,
        position_kernel: int = 128,
        position_groups: int = 16,
        norm_first: bool = False,
        standardize: bool = False,
    ) -> None:
        super().__init__(attention_dim, num_blocks + 1, standardize)
        if input_size != 1:
            raise ValueError(f"{type(self).__name__} takes samples (frontend raw), not features of size {input_size}")
        if conv_norm not in ("group", "layer"):
            raise ValueError(f"conv_norm must be group or layer, not {conv_norm}")
        if attention_dim % attention_heads:
            raise ValueError(f"attention_dim {attention_dim} is no multiple of {attention_heads} heads")
        self.norm_first = norm_first
        self.input_window, self.stride = window_and_stride([layer[1:] for layer in conv_layers])
        self.convs = nn.ModuleList()
        channels = 1
        for index, (size, kernel, stride) in enumerate(conv_layers):
            if conv_norm == "group" and index == 0:
                layer: nn.Module = TimeNormConv(size, kernel, stride, conv_bias)
            else:
                layer = NormConv(channels, size, kernel, stride, conv_bias, conv_norm == "layer")
            self.convs.append(layer)
            channels = size
        self.project_norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, attention_dim)
        self.position = self.make_position(attention_dim, position_kernel, position_groups)
        self.distances = self.make_distances(attention_heads)
        self.norm = nn.LayerNorm(attention_dim)
        self.blocks = nn.ModuleList(
            self.block_class(attention_dim, attention_heads, linear_units, norm_first) for _ in range(num_blocks)
        )

    def make_position(self, size: int, kernel: int, groups: int) -> nn.Module:
        """Return the module that makes positions (B, U, D) of tokens (B, U, D) and their mask (B, U, 1)."""
        return weight_norm(PositionConv(size, size, kernel, padding=kernel // 2, groups=groups), dim=2)

    def make_distances(self, heads: int) -> nn.Module | None:
        """Return the module that makes `distances` for the blocks out of the number of tokens; None for none."""
        return None

    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode samples feats (B, N, 1) into L + 1 layers (B, num_tokens(N), D) of the module's type."""
        wave = feats[..., 0].masked_fill(~length_mask(lengths, feats.shape[1]), 0.0)
        num_tokens = self.num_tokens(wave.shape[1])
        # A batch without a single token is padded so that the kernels fit, and cut again.
        wave = functional.pad(wave, (0, max(0, self.input_window - wave.shape[1])))
        tokens = self.num_tokens(lengths)
        x = self.project(self.project_norm(self._convolve(wave, lengths)))
        mask = length_mask(tokens, x.shape[1])[..., None]
        x = x.masked_fill(~mask, 0.0)
        x = x + self.position(x, mask)
        # Something has to be attended to, also in an utterance without tokens.
        keys = length_mask(tokens.clamp(min=1), x.shape[1])[:, None, None]
        distances = None if self.distances is None else self.distances(x.shape[1])
        x = x * mask if self.norm_first else self.norm(x) * mask
        layers = [x]
        for block in self.blocks:
            layers.append(x := block(x, keys, distances) * mask)
        if self.norm_first:
            layers[-1] = self.norm(x) * mask
        return self.output(layers, tokens, num_tokens)

    def _convolve(self, wave: Tensor, lengths: Tensor) -> Tensor:
        """Return the convolutions' output (B, U, C) of wave (B, N), block after block of tokens."""
        dtype = self.project.weight.dtype
        first = self.convs[0]
        scale_shift = first.statistics(wave, lengths) if isinstance(first, TimeNormConv) else ()
        num_tokens = self.num_tokens(wave.shape[1])
        step = max(1, (CPU_BLOCK if wave.device.type == "cpu" else DEVICE_BLOCK) // len(wave))
        blocks = []
        for start in range(0, num_tokens, step):
            stop = (min(start + step, num_tokens) - 1) * self.stride + self.input_window
            x = first(wave[:, None, start * self.stride : stop].to(dtype), *scale_shift)
            for conv in self.convs[1:]:
                x = conv(x)
            blocks.append(x.mT)
        return torch.cat(blocks, 1)


def window_and_stride(layers: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Return how many samples one output of convolutions (kernel, stride) sees, and how far apart two outputs are."""
    window = 1
    for kernel, stride in reversed(layers):
        window = stride * (window - 1) + kernel
    return window, math.prod(stride for _, stride in layers)


class TimeNormConv(nn.Module):
    """Convolution of one channel, norm of each output channel over the utterance's time, GELU.

    The output's mean and variance follow from those of the input's windows (a vector and a K x K matrix), so that the
    norm becomes a scale and a shift of the kernels: it is exact for an utterance of any length and never looks at the
    output, which is the largest of all activations.

    Args:
        output_size: channels C.
        kernel_size: K.
        stride: of the convolution.
        bias: give the convolution a bias. The norm takes it out again: it is here for checkpoints that have one.
    """

    def __init__(self, output_size: int, kernel_size: int, stride: int, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, output_size, kernel_size, stride, bias=bias)
        self.norm = nn.GroupNorm(output_size, output_size)

    def windows(self, wave: Tensor) -> Tensor:
        """Return the windows (B, T, K) of wave (B, N)."""
        return wave.unfold(1, self.conv.kernel_size[0], self.conv.stride[0])

    def statistics(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and shift (B, C) that normalise the outputs of wave (B, N) with lengths (B,) samples.

        In float64: a kernel that passes high frequencies leaves little of the variance of speech.
        """
        windows = self.windows(wave.double())
        count = count_windows(lengths, self.conv.kernel_size[0], self.conv.stride[0])
        mask = length_mask(count, windows.shape[1])[..., None]
        count = count.clamp(min=1)[:, None, None]
        mean = (windows * mask).sum(1, keepdim=True) / count
        centred = (windows - mean) * mask
        covariance = centred.mT @ centred / count
        kernels = self.conv.weight[:, 0].double()
        variance = ((kernels @ covariance) * kernels).sum(2)
        scale = self.norm.weight.double() / (variance.clamp(min=0.0) + self.norm.eps).sqrt()
        return scale, self.norm.bias.double() - scale * (mean @ kernels.T)[:, 0]

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Map x (B, 1, N) with an utterance's scale and shift (B, C) to (B, C, T)."""
        # With kernels of an utterance's own the convolution is a product of matrices.
        kernels = self.conv.weight[:, 0] * scale[..., None]
        x = torch.baddbmm(shift[..., None].to(x.dtype), kernels.to(x.dtype), self.windows(x[:, 0]).mT)
        return functional.gelu(x)


class NormConv(nn.Module):
    """Convolution, layer norm over channels if wanted, GELU."""

    def __init__(
        self, input_size: int, output_size: int, kernel_size: int, stride: int, bias: bool, norm: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(input_size, output_size, kernel_size, stride, bias=bias)
        self.norm = nn.LayerNorm(output_size) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T) to (B, C', T')."""
        x = self.conv(x)
        return functional.gelu(x if self.norm is None else self.norm(x.mT).mT)


class PositionConv(nn.Conv1d):
    """Convolution over time that gives positions, then GELU."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map x (B, U, D), zero on padding, to the same shape; the mask (B, U, 1) is not needed."""
        return functional.gelu(self.convolve(x))

    def convolve(self, x: Tensor) -> Tensor:
        """Return the convolution of x (B, U, D) in its shape: an even kernel makes one token too many."""
        weight, bias = self.weight, self.bias
        if x.device.type != "cpu" or weight.shape[1] >= ONEDNN_CHANNELS:
            y = functional.conv1d(x.mT, weight, bias, padding=self.padding, groups=self.groups)
        else:
            with torch.autocast("cpu", enabled=False):
                y = functional.conv1d(
                    x.mT.float(), weight.float(), bias.float(), padding=self.padding, groups=self.groups
                )
        return y.to(x.dtype).mT[:, : x.shape[1]]
