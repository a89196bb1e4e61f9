# Copyright 2026 The hasrd authors
# Apache-2.0
"""Other forms of trained networks, for inference on CPUs: they give the same, faster, and cannot be trained.

The trained classes know nothing of them. FORMS, by the trained class or one that it inherits from, has what makes a
form: a function of the module, in eval mode and without weight norm, and of the type of weights and activations.
`hasrd.codec.inference` asks for it; a class of one's own may add itself.
"""

from __future__ import annotations

from typing import Any, Callable

import torch
from torch import nn

from hasrd.decoder.dac import DACDecoder
from hasrd.encoder.cnn import ConvEncoder
from hasrd.encoder.relative import RelativeStack
from hasrd.inference_forms.cnn import FramesEncoder
from hasrd.inference_forms.dac import FramesDecoder


def with_positions(stack: RelativeStack, dtype: torch.dtype) -> RelativeStack:
    """Cast a stack, in place, and keep its positions projected."""
    stack.to(dtype).keep_positions()
    return stack


FORMS: dict[type[nn.Module], Callable[[Any, torch.dtype], nn.Module]] = {
    ConvEncoder: FramesEncoder,
    DACDecoder: FramesDecoder,
    RelativeStack: with_positions,
}


def form_of(module: nn.Module) -> Callable[[Any, torch.dtype], nn.Module] | None:
    """Return what makes the other form of a module; None: it has none."""
    return next((FORMS[cls] for cls in type(module).__mro__ if cls in FORMS), None)
