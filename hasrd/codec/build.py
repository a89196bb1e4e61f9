# Copyright 2026 The hasrd authors
# Apache-2.0
"""From a configuration (the keys of the YAML files) to modules."""

from __future__ import annotations

import inspect
import re
from functools import partial
from typing import Any, Callable, Mapping

import torch
from torch import nn

from hasrd import decoder, encoder, frontend, quantizer
from hasrd.codec.window_plan import WINDOW_SECONDS
from hasrd.decoder.decoder import Decoder
from hasrd.encoder.encoder import Encoder
from hasrd.encoder.speech_encoder import SpeechEncoder
from hasrd.errors import UserError, first_line
from hasrd.quantizer.quantizer import Quantizer
from hasrd.registry import ForeignClass, resolve

# What turns a wave into latents, and latents into a wave: the parts of a configuration, in the
# data's order.
ENCODER_PARTS = ("frontend", "normalize", "encoder")
PARTS = ENCODER_PARTS + ("quantizer", "decoder")
# The keys of a speech encoder's configuration.
ENCODER_KEYS = tuple(key for part in ENCODER_PARTS for key in (part, f"{part}_conf"))

# What a codec's configuration means where it does not name a part.
CODEC_DEFAULTS = {"frontend": "log_mel", "quantizer": "residual_vq", "decoder": "dac"}

CHOICES = {
    "frontend": frontend.CHOICES,
    "normalize": frontend.NORMALIZE_CHOICES,
    "encoder": encoder.CHOICES,
    "quantizer": quantizer.CHOICES,
    "decoder": decoder.CHOICES,
}

# What a class must be to stand for a part. The other parts have few users, each of which documents what it calls.
CONTRACTS: dict[str, type] = {"encoder": Encoder, "quantizer": Quantizer, "decoder": Decoder}


def part_class(config: Mapping[str, Any], part: str, choices: Mapping[str, str], allow_import: bool) -> type:
    """Return the class that `config[part]` names; args and errors as of `resolve`, which say the part here.

    Raises:
        UserError: Besides, a class that does not inherit from its part's contract, or lacks one of its methods.
    """
    try:
        cls = resolve(choices, config[part], allow_import)
    except UserError as error:
        raise type(error)(f"{part} {error}" if isinstance(error, ForeignClass) else f"{part}: {error}") from error
    contract = CONTRACTS.get(part)
    if contract is None:
        return cls
    if not (isinstance(cls, type) and issubclass(cls, contract)):
        where = f"{contract.__module__}.{contract.__name__}"
        raise UserError(f"{part}: '{config[part]}' does not inherit from {where}: make that its base (docs/encoder.md)")
    if missing := sorted(cls.__abstractmethods__):
        raise UserError(f"{part}: '{config[part]}' has no {', '.join(missing)}: write it (docs/encoder.md)")
    return cls


def _check_attributes(module: nn.Module, part: str) -> None:
    """Raise UserError where a part lacks attributes that its contract declares and has no value for."""
    declared = CONTRACTS[part].__annotations__ if part in CONTRACTS else ()
    if missing := [name for name in declared if not hasattr(module, name)]:
        name = type(module).__name__
        raise UserError(f"{part}: {name} does not set {', '.join(missing)}: do so in its __init__ (docs/encoder.md)")


# Arguments that say of how many parts of one kind a module is made, and how many are let pass: a damaged file could ask
# for so many that nobody would see the end of it.
_COUNTS = re.compile(r"^num_(blocks|codebooks)$|layers$")
MOST_PARTS = 1000


def construct(
    config: Mapping[str, Any],
    part: str,
    choices: Mapping[str, str],
    *args: Any,
    allow_import: bool = False,
) -> nn.Module:
    """Build one part: the class that `config[part]` names, with `config["<part>_conf"]`.

    Args:
        config: Configuration.
        part: Its key.
        choices: Short names of the classes.
        args: Arguments that are known from the other parts.
        allow_import: See `hasrd.registry.resolve`.

    Raises:
        UserError: No such part or class, or an argument that the class does not take.
    """
    if not config.get(part):
        raise UserError(f"config: {part} not given")
    if not isinstance(config[part], str):
        raise UserError(f"config: {part} is {config[part]!r:.80}, not the name of a class")
    cls = part_class(config, part, choices, allow_import)
    conf = config.get(f"{part}_conf") or {}
    try:
        inspect.signature(cls).bind(*args, **conf)
    except TypeError as error:
        raise UserError(f"{part}_conf: {error} (class {cls.__name__})") from error
    for name, value in conf.items():
        if _COUNTS.search(name) and isinstance(value, int) and value > MOST_PARTS:
            raise UserError(f"config: {part}_conf: {name} is {value}: more than {MOST_PARTS} would never be built")
    try:
        module = cls(*args, **conf)
    except UserError:
        raise
    except Exception as error:  # of many types, for numbers that are text, negative or beyond all bounds
        if not cls.__module__.startswith("hasrd."):
            # Whoever writes a class wants to see where it fails.
            raise
        raise UserError(f"config: {part}_conf: {first_line(error)} (class {cls.__name__})") from error
    _check_attributes(module, part)
    return module


def build_speech_encoder(
    config: Mapping[str, Any], input_size: int | None = None, *, allow_import: bool = False, weightless: bool = False
) -> SpeechEncoder:
    """Build frontend, normalisation and encoder.

    Args:
        config: Keys frontend, normalize (may be null) and encoder, each with its `_conf`.
        input_size: Size of the features where they come ready-made; there is no frontend then.
        allow_import: See `hasrd.registry.resolve`.
        weightless: Build the encoder as `without_weights` does (the frontend is small, and log-mel needs its values).
    """
    wave = normalize = None
    if input_size is None:
        wave = construct(config, "frontend", frontend.CHOICES, allow_import=allow_import)
        input_size = wave.output_size
    if config.get("normalize"):
        normalize = construct(config, "normalize", frontend.NORMALIZE_CHOICES, allow_import=allow_import)
    build = partial(construct, config, "encoder", encoder.CHOICES, input_size, allow_import=allow_import)
    return SpeechEncoder(wave, normalize, without_weights(build) if weightless else build())


def without_weights(build: Callable[[], nn.Module]) -> nn.Module:
    """Build on the meta device, where tensors have a shape alone; a class that needs their values gets real ones."""
    try:
        with torch.device("meta"):
            return build()
    except (NotImplementedError, RuntimeError):
        return build()


def check_encoder(
    stated: Mapping[str, Any], found: Mapping[str, Any], where: str, *, allow_import: bool = False
) -> None:
    """Compare the frontend, normalisation and encoder that a configuration states with those that were found.

    What is built counts: a short name is its import path, and a value left out is the class's default. An argument
    without a default that is not stated comes from the data (the statistics of `normalize: global`).

    Args:
        stated: Configuration.
        found: Configuration of an encoder.
        where: What `found` is of, for the message.
        allow_import: Of both, see `hasrd.registry.resolve`.

    Raises:
        UserError: They differ; the message names the first such key and both values.
    """

    def differ(key: str, theirs: Any, ours: Any) -> UserError:
        return UserError(
            f"{where}: {key} is {theirs}, but the codec's configuration says {ours}: state there what the encoder is, "
            "or take the encoder that it states"
        )

    for part in ENCODER_PARTS:
        cls, other = (
            part_class(config, part, CHOICES[part], allow_import) if config.get(part) else None
            for config in (stated, found)
        )
        if cls is not other:
            raise differ(part, found.get(part), stated.get(part))
        if cls is None:
            continue
        parameters = inspect.signature(cls).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        ours, theirs = (_plain({**defaults, **(config.get(f"{part}_conf") or {})}) for config in (stated, found))
        for name, value in ours.items():
            if theirs.get(name, "nothing") != value:
                raise differ(f"{part}_conf: {name}", theirs.get(name, "nothing"), value)


def _plain(value: Any) -> Any:
    """A value as YAML and JSON give it: tuples become lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def build_modules(
    config: Mapping[str, Any], speech_encoder: SpeechEncoder | None = None, *, allow_import: bool = False
) -> dict[str, Any]:
    """Build the parts of a codec, each of the size that the one before it gives.

    Args:
        config: Keys frontend, normalize (may be null), encoder, quantizer and decoder: short names
            or import paths; "<part>_conf": the arguments of its class; loudness and window (may be null or missing).
            Other keys are ignored.
        speech_encoder: Ready-made (a frozen one); None: it is built.
        allow_import: See `hasrd.registry.resolve`.

    Returns:
        The arguments of Codec.

    Raises:
        UserError: An unknown or missing part or argument.
    """
    if speech_encoder is None:
        speech_encoder = build_speech_encoder(config, allow_import=allow_import)
    sizes = speech_encoder.output_size, speech_encoder.num_layers
    quant = construct(config, "quantizer", quantizer.CHOICES, *sizes, allow_import=allow_import)
    return {
        "speech_encoder": speech_encoder,
        "quantizer": quant,
        "decoder": construct(config, "decoder", decoder.CHOICES, quant.output_size, allow_import=allow_import),
        "loudness": config.get("loudness"),
        "window": config.get("window", WINDOW_SECONDS),
    }
