# Copyright 2026 The hasrd authors
# Apache-2.0
"""A trained codec made ready for use: weight norm folded, fast layouts, optionally bfloat16 and compiled."""

from __future__ import annotations

from typing import Iterator, TypeVar

import torch
from torch import Tensor, nn

from hasrd.codec.codec import Codec
from hasrd.codec.model import TokenizerModel
from hasrd.encoder.frozen import Frozen
from hasrd.encoder.relative import RelativeStack
from hasrd.inference_forms import form_of
from hasrd.inference_forms.layers import FramesForm

_Model = TypeVar("_Model", bound=TokenizerModel)


def prepare(codec: _Model, dtype: torch.dtype = torch.float32, compile: bool = False) -> _Model:
    """Make a codec ready for use, in place, on the device where it is.

    A codec of another package stays as its package made it, but for weight norm.

    Frontend, normalisation, quantizer and look-ups stay in float32; `encode` and `decode` take and give float32. On a
    CPU, convolutional parts are replaced by forms of other layouts: weights cannot be loaded or saved any more.

    Args:
        codec: Trained; a frozen encoder in it is prepared too. One that is prepared in float32 can be prepared again.
        dtype: Of the weights and activations of encoder and decoder.
        compile: Let torch.compile join what is done element by element, at the first use (for all lengths at once);
            in the CPU forms alone.

    Returns:
        The same codec, in eval mode and without gradients.
    """
    codec.eval().requires_grad_(False)
    fold_weight_norm(codec)
    if not isinstance(codec, Codec):
        return codec
    codec.encoder = inference_form(codec.encoder, dtype)
    codec.decoder = inference_form(codec.decoder, dtype)
    codec.encoder_dtype = codec.encoder.input_dtype or dtype
    codec.decoder_dtype = codec.decoder.input_dtype or dtype
    for part in (*_parts(codec.encoder), *_parts(codec.quantizer), *_parts(codec.decoder)):
        if isinstance(part, RelativeStack):
            with torch.no_grad():
                part.keep_positions()
        if compile and isinstance(part, FramesForm):
            part.fuse()
    return codec


def inference_form(module: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return what gives the same as an encoder or decoder, in a type and on the device where it is.

    On a CPU that is its form in `hasrd.inference_forms`, where there is one. A class may name in `float32_parts` the
    modules, parameters and buffers that keep their type, and in `input_dtype` the type that it takes.

    Args:
        module: In eval mode; changed in place as far as it has no other form.
        dtype: Of weights and activations.
    """
    if isinstance(module, Frozen):
        return Frozen(inference_form(module.module, dtype))
    fold_weight_norm(module)
    make = form_of(module)
    if make is not None and next(module.parameters()).device.type == "cpu":
        return make(module, dtype).eval()
    keep = getattr(module, "float32_parts", ())
    for name, child in module.named_children():
        setattr(module, name, inference_form(child, torch.float32 if name in keep else dtype))
    kept = {id(getattr(module, name)) for name in keep}

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() and id(tensor) not in kept else tensor

    module._apply(cast, recurse=False)
    return module


def fold_weight_norm(module: nn.Module) -> nn.Module:
    """Replace g v / |v| by a plain `weight`, in place, in every part of a module; frozen ones too.

    A layer that has another parametrization as well stays as it is.

    The state dict then has `weight` where it had `parametrizations.weight.original0` and `original1`.

    Returns:
        The same module.
    """
    for part in _parts(module):
        steps = getattr(part, "parametrizations", {})
        if steps and all([type(step).__name__ for step in chain] == ["_WeightNorm"] for chain in steps.values()):
            _fold(part)
    return module


def _fold(part: nn.Module) -> None:
    # Not by remove_parametrizations: it takes `weight` from the class, which copies of this module share.
    with torch.no_grad():
        trains = {name: chain.original0.requires_grad for name, chain in part.parametrizations.items()}
        weights = {name: getattr(part, name).clone() for name in trains}
    del part.parametrizations
    part.__class__ = type(part).__bases__[0]
    for name, weight in weights.items():
        part.register_parameter(name, nn.Parameter(weight, requires_grad=trains[name]))


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    for part in list(module.modules()):
        yield part
        if isinstance(part, Frozen):
            yield from _parts(part.module)
