# Copyright 2026 The hasrd authors
# Apache-2.0
"""How far an encoder looks and a decoder reaches, derived from the kernels, strides and dilations of their layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterator

from torch import nn
from torch.nn.modules import activation, batchnorm, dropout, instancenorm, rnn

from hasrd.decoder.istft import ISTFT, ISTFTDecoder
from hasrd.encoder.frozen import Frozen
from hasrd.encoder.layers import Snake1d

# Layers that look at one frame at a time.
LOCAL = (
    nn.Linear, nn.LayerNorm, nn.Embedding, Snake1d, dropout._DropoutNd, batchnorm._BatchNorm,
    *(getattr(activation, name) for name in activation.__all__ if name != "MultiheadAttention"),
)  # fmt: skip
# Layers that look at all of them.
GLOBAL = (rnn.RNNBase, nn.GroupNorm, instancenorm._InstanceNorm, nn.MultiheadAttention)


@dataclass(frozen=True)
class Step:
    """One layer: it joins `extent` neighbours, and divides the rate by `down` or multiplies it by `up`.

    Where a layer looks at the whole utterance, or how far it looks is not known, `unbounded` says so.
    """

    extent: int = 1
    down: int = 1
    up: int = 1
    unbounded: str = ""


@dataclass(frozen=True)
class Field:
    """What a stack of layers joins.

    Attributes:
        size: frames of the input that one token depends on (encoder), or samples that one token has an effect on
            (decoder); None where there is no bound.
        note: why there is none.
        strides: factors above 1 by which the layers divide or multiply the rate, in order.
    """

    size: int | None
    note: str
    strides: tuple[int, ...]


def steps(module: nn.Module) -> Iterator[Step]:
    """Yield what each layer of a module does, in the order in which the layers are registered.

    Branches side by side count one after the other, so that the sum is an upper bound then. What a forward method does
    besides its layers is not seen.
    """
    name = type(module).__name__
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):  # time is the first axis of two
        kernel, dilation, stride = (value[0] for value in (module.kernel_size, module.dilation, module.stride))
        yield Step(1 + (kernel - 1) * dilation, down=stride)
    elif isinstance(module, nn.ConvTranspose1d):
        yield Step(1 + (module.kernel_size[0] - 1) * module.dilation[0], up=module.stride[0])
    elif isinstance(module, Frozen):
        yield from steps(module.module)
    elif isinstance(module, ISTFT):
        yield Step(module.n_fft - 1, up=module.hop_length)  # a Hann window starts with 0
    elif isinstance(module, LOCAL):
        pass
    elif isinstance(module, GLOBAL) or "Attention" in name:
        yield Step(unbounded=f"whole utterance ({name})")
    elif next(module.children(), None) is None:
        if next(module.parameters(), None) is not None:
            yield Step(unbounded=f"not known ({name})")
    else:
        if hasattr(module, "heads"):  # attention that is a part of a larger block
            yield Step(unbounded=f"whole utterance (attention in {name})")
        for part, child in module.named_children():
            if isinstance(module, ISTFTDecoder) and part == "upsample":
                factor = child.out_features // child.in_features
                yield Step(factor, up=factor)
            else:
                yield from steps(child)


def looks_back(encoder: nn.Module) -> Field:
    """Return the input frames that one token of an encoder depends on."""
    layers = list(steps(encoder))
    size = jump = 1
    for step in layers:
        size += (step.extent - 1) * jump
        jump *= step.down
    return _field(size, layers, tuple(step.down for step in layers if step.down > 1), encoder.stride)


def joins(quantizer: nn.Module) -> str:
    """Return what a quantizer's codes depend on besides the encoder's frame of their token; "" for nothing."""
    return next((step.unbounded for step in steps(quantizer) if step.unbounded), "")


def reaches(decoder: nn.Module) -> Field:
    """Return the samples of a decoder's output that one token has an effect on."""
    layers = list(steps(decoder))
    size = 1
    for step in layers:
        size = (size - 1) * step.up + step.extent
    return _field(size, layers, tuple(step.up for step in layers if step.up > 1), decoder.hop)


def _field(size: int, layers: list[Step], strides: tuple[int, ...], product: int) -> Field:
    notes = [step.unbounded for step in layers if step.unbounded]
    if math.prod(strides) != product:
        # It changes the rate in a way that is not seen here.
        notes, strides = [*notes, f"not known (a stride of {product}, but the layers' are {list(strides)})"], (product,)
    return Field(None if notes else size, notes[0] if notes else "", strides)
