# Copyright 2026 The hasrd authors
# Apache-2.0
"""From a configuration (the keys of the YAML files) to modules."""

from __future__ import annotations

import inspect
from typing import Any, Mapping

from torch import Tensor, nn

from hasrd import decoder, encoder, frontend, quantizer
from hasrd.encoder.output import EncoderOutput
from hasrd.errors import UserError
from hasrd.registry import resolve

# What turns a wave into latents, and latents into a wave: the parts of a configuration, in the
# data's order.
FRONT = ("frontend", "normalize", "encoder")
PARTS = FRONT + ("quantizer", "decoder")


def construct(
    config: Mapping[str, Any], part: str, choices: Mapping[str, str], *args: Any, **given: Any
) -> nn.Module:
    """Build one part: the class that `config[part]` names, with `config["<part>_conf"]`.

    Args:
        config: Configuration.
        part: Its key.
        choices: Short names of the classes.
        args, given: Arguments that are known from the other parts.

    Raises:
        UserError: No such part or class, or an argument that the class does not take.
    """
    if not config.get(part):
        raise UserError(f"config: {part} not given")
    cls = resolve(choices, config[part])
    conf = config.get(f"{part}_conf") or {}
    try:
        inspect.signature(cls).bind(*args, **given, **conf)
    except TypeError as error:
        raise UserError(f"{part}_conf: {error} (class {cls.__name__})") from error
    return cls(*args, **given, **conf)


class Front(nn.ModuleDict):
    """Modules "frontend", "normalize" and "encoder", in the data's order; the first two only where there is one."""

    def forward(self, wave: Tensor, lengths: Tensor) -> EncoderOutput:
        """Wave (B, N), lengths (B,) in samples, to the layers of the encoder.

        Where the features come ready-made there is no frontend, and the input is features (B, T, F), lengths in frames.
        """
        for name in ("frontend", "normalize"):
            if name in self:
                wave, lengths = self[name](wave, lengths)
        return self["encoder"](wave, lengths)


def build_front(config: Mapping[str, Any], input_size: int | None = None) -> Front:
    """Build frontend, normalisation and encoder.

    Args:
        config: Keys frontend, normalize (may be null) and encoder, each with its `_conf`.
        input_size: Size of the features where they come ready-made; there is no frontend then.

    Returns:
        The modules, a frontend only where `input_size` is not given.
    """
    modules = Front()
    if input_size is None:
        modules["frontend"] = construct(config, "frontend", frontend.CHOICES)
        input_size = modules["frontend"].output_size
    if config.get("normalize"):
        modules["normalize"] = construct(config, "normalize", frontend.NORMALIZE_CHOICES)
    modules["encoder"] = construct(config, "encoder", encoder.CHOICES, input_size)
    return modules


def build_modules(
    config: Mapping[str, Any], front: Front | None = None
) -> dict[str, nn.Module | None]:
    """Build the parts of a codec, each of the size that the one before it gives.

    Args:
        config: Keys frontend, normalize (may be null), encoder, quantizer and decoder: short names
            or import paths; "<part>_conf": the arguments of its class. Other keys are ignored.
        front: What `build_front` gives, ready-made (a frozen encoder).

    Returns:
        The arguments of Codec.

    Raises:
        UserError: An unknown or missing part or argument.
    """
    front = build_front(config) if front is None else front
    enc = front["encoder"]
    quant = construct(config, "quantizer", quantizer.CHOICES, enc.output_size, enc.num_layers)
    return {
        "frontend": front["frontend"],
        "normalize": front["normalize"] if "normalize" in front else None,
        "encoder": enc,
        "quantizer": quant,
        "decoder": construct(config, "decoder", decoder.CHOICES, quant.output_size),
    }
