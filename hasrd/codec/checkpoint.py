# Copyright 2026 The hasrd authors
# Apache-2.0
"""Frozen encoders as files, and trained codecs from experiment directories.

A codec trained on a frozen encoder does not copy it into its checkpoints: its config names the encoder's file and
SHA-256, and a file with another hash is refused, so that a retrained encoder can't silently change a codec.
Nothing here is unpickled.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from hasrd.codec.build import FRONT, Front, build_front, build_modules
from hasrd.codec.codec import Codec
from hasrd.data.atomic import atomic_path
from hasrd.encoder.frozen import Frozen
from hasrd.errors import UserError

FRONT_KEYS = tuple(key for part in FRONT for key in (part, f"{part}_conf"))


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def save_encoder(path: str | Path, config: dict[str, Any], front: Front) -> str:
    """Write frontend, normalisation and encoder with their configuration to a safetensors file; return its SHA-256.

    Args:
        path: File to write (appears when complete).
        config: The `FRONT_KEYS` of a configuration.
        front: Modules "frontend", "encoder" and, where there is one, "normalize".
    """
    config = {key: config.get(key) for key in FRONT_KEYS}
    tensors = {name: tensor.contiguous() for name, tensor in front.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"config": json.dumps(config, sort_keys=True)})
    return sha256(path)


def load_encoder(path: str | Path, expected_sha256: str | None = None) -> tuple[dict[str, Any], Front]:
    """Read what `save_encoder` wrote: (configuration, modules in eval mode).

    Raises:
        UserError: No such file, another hash than expected, or tensors that don't fit the configuration.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such encoder file: run stage 3, which writes it")
    if expected_sha256 is not None and sha256(path) != expected_sha256:
        raise UserError(
            f"{path}: not the encoder that this codec was trained with (its SHA-256 differs): restore that "
            "encoder, or train the codec again (stages 4 and 5)"
        )
    try:
        with safe_open(path, framework="pt") as file:
            config = json.loads(file.metadata()["config"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except Exception as error:  # safetensors raises its own type for any damage
        raise UserError(f"{path}: not a complete encoder file ({error}): run stage 3 again") from error
    front = build_front(config)
    _load_strict(front, tensors, path)
    return config, front.eval()


def frozen_front(path: str | Path, expected_sha256: str | None = None) -> tuple[dict[str, Any], Front]:
    """`load_encoder`, with every module frozen: eval mode always, no gradients, not in any checkpoint."""
    config, front = load_encoder(path, expected_sha256)
    return config, Front({name: Frozen(module) for name, module in front.items()})


def _load_strict(module: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    try:
        module.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[1:3])
        raise UserError(f"{path}: its tensors don't fit its configuration: {reason}") from error


def load_codec(exp_dir: str | Path, model_file: str | None = None) -> Codec:
    """Load a trained codec from its experiment directory, for use (eval mode, no gradients).

    Args:
        exp_dir: Directory with `config.yaml` and weights, as the codec training writes it.
        model_file: Name of the weights inside it; by default the averaged best, else the latest.

    Raises:
        UserError: A missing file, another encoder than the one trained with, or weights that don't fit.
    """
    exp_dir = Path(exp_dir)
    config_file = exp_dir / "config.yaml"
    if not config_file.is_file():
        raise UserError(f"{config_file}: no such file: is {exp_dir} the directory of a trained codec (stage 5)?")
    config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    front = None
    if config.get("encoder_file"):
        _, front = frozen_front(config["encoder_file"], config["encoder_sha256"])
    codec = Codec(**build_modules(config, front))
    weights = exp_dir / (model_file or "latest.pth")
    if not weights.exists():
        raise UserError(f"{weights}: no such file: train the codec first (stage 5)")
    states = torch.load(weights, map_location="cpu", weights_only=True)
    prefix = "codec."
    tensors = {key[len(prefix) :]: value for key, value in states.items() if key.startswith(prefix)}
    _load_strict(codec, tensors, weights)
    return codec.eval().requires_grad_(False)
