# Copyright 2026 The hasrd authors
# Apache-2.0
"""Frozen encoders as files, and trained codecs from experiment directories.

A codec trained on a frozen encoder does not copy it into its checkpoints: its config names the encoder's file and
SHA-256, and a file with another hash is refused, so that a retrained encoder can't silently change a codec.
Weights of experiments are read with torch's restricted loader: nothing in them is run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from hasrd.codec.build import FRONT, Front, build_front, build_modules
from hasrd.codec.codec import Codec
from hasrd.encoder.frozen import Frozen
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path
from hasrd.jobs.digest import sha256

FRONT_KEYS = tuple(key for part in FRONT for key in (part, f"{part}_conf"))
# What is used where no weights are named: the recipe's own choice, else those of the last epoch.
DEFAULT_WEIGHTS = ("valid.mel_distance.best.pth", "latest.pth")
# In their place, of a codec that another package made (hasrd.peers).
PEER_FILE = "peer.json"


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
    load_strict(front, tensors, path)
    return config, front.eval()


def frozen_front(path: str | Path, expected_sha256: str | None = None) -> tuple[dict[str, Any], Front]:
    """`load_encoder`, with every module frozen: eval mode always, no gradients, not in any checkpoint."""
    config, front = load_encoder(path, expected_sha256)
    return config, Front({name: Frozen(module) for name, module in front.items()})


def load_strict(module: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Load all of a module's tensors, and no others.

    Raises:
        UserError: A missing, unexpected or mis-shaped tensor; names it, and `path`, where they come from.
    """
    try:
        module.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[1:4])
        shown = reason if len(reason) <= 400 else f"{reason[:400]} ..."
        raise UserError(f"{path}: its tensors don't fit its configuration: {shown}") from error


@dataclass(frozen=True)
class Experiment:
    """The folder of a trained codec.

    Attributes:
        config: Its configuration.
        weights: The file of weights that is used.
        encoder: The frozen encoder's file; None where the codec trained its own.
    """

    config: dict[str, Any]
    weights: Path
    encoder: Path | None


def read_experiment(exp_dir: str | Path, model_file: str | None = None) -> Experiment:
    """Look up what a codec's training left; args as for `load_codec`.

    Raises:
        UserError: A missing file.
    """
    exp_dir = Path(exp_dir)
    config_file = exp_dir / "config.yaml"
    if not config_file.is_file():
        raise UserError(f"{config_file}: no such file: is {exp_dir} the directory of a trained codec (stage 5)?")
    try:
        config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{config_file}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict) or not config.keys() & {"decoder", "peer"}:
        raise UserError(f"{config_file}: not the configuration of a codec: give the folder of one (stage 5)")
    if "peer" in config:
        if model_file not in (None, PEER_FILE) or not (exp_dir / PEER_FILE).is_file():
            raise UserError(f"{exp_dir / (model_file or PEER_FILE)}: no such file: a codec of others has {PEER_FILE}")
        return Experiment(config, exp_dir / PEER_FILE, None)
    names = (model_file,) if model_file else DEFAULT_WEIGHTS
    weights = next((exp_dir / name for name in names if (exp_dir / name).is_file()), None)
    if weights is None:
        raise UserError(f"{exp_dir / names[-1]}: no such file: train the codec first (stage 5)")
    return Experiment(config, weights, _find_encoder(exp_dir, config) if config.get("encoder_file") else None)


def _find_encoder(exp_dir: Path, config: dict[str, Any]) -> Path:
    """Find the frozen encoder that a codec's configuration names.

    A relative name counts from the folder that the training ran in, some folder above the experiment's. An experiments'
    folder that has moved as a whole holds the encoder as the experiment's neighbour. The hash decides between them.
    """
    named = Path(config["encoder_file"])
    places = [*_places(exp_dir, named), exp_dir.resolve().parent / named.parent.name / named.name]
    found = [path for path in dict.fromkeys(places) if path.is_file()]
    if not found:
        raise UserError(
            f"{named}: no such encoder file, which {exp_dir}/config.yaml names; it is not near that folder either: "
            "bring it back (stage 3 writes it), or take the packed model (hasrd pack), which has the encoder in it"
        )
    if len(found) > 1:
        found.sort(key=lambda path: sha256(path) != config["encoder_sha256"])
    return found[0]


def _places(exp_dir: Path, named: Path) -> list[Path]:
    """Where a name in an experiment's configuration may lie: a relative one counts from any folder above."""
    return [named, *(folder / named for folder in exp_dir.resolve().parents)]


def near(exp_dir: Path, named: Path) -> Path | None:
    """Find the file or folder that an experiment's configuration names; None: it is not there."""
    return next((path for path in _places(exp_dir, named) if path.exists()), None)


def load_codec(exp_dir: str | Path, model_file: str | None = None) -> Codec:
    """Load a trained codec from its experiment directory, for use (eval mode, no gradients).

    Args:
        exp_dir: Directory with `config.yaml` and weights, as the codec training writes it; or with `peer.json`, as
            `hasrd import-peer` does, of a codec that another package made.
        model_file: Name of the weights inside it; by default the best by the validation's mel distance, else the
            latest.

    Raises:
        UserError: A missing file, another encoder than the one trained with, or weights that don't fit.
    """
    experiment = read_experiment(exp_dir, model_file)
    if "peer" in experiment.config:
        from hasrd.peers.experiment import load_peer

        return load_peer(exp_dir, experiment.config)
    front = None
    if experiment.encoder is not None:
        _, front = frozen_front(experiment.encoder, experiment.config["encoder_sha256"])
    codec = Codec(**build_modules(experiment.config, front))
    try:
        states = torch.load(experiment.weights, map_location="cpu", weights_only=True)
        prefix = "codec."
        tensors = {key[len(prefix) :]: value for key, value in states.items() if key.startswith(prefix)}
    except Exception as error:  # torch raises many types for damage, and more for what it refuses to unpickle
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{experiment.weights}: not a complete file of weights ({reason})") from error
    load_strict(codec, tensors, experiment.weights)
    return codec.eval().requires_grad_(False)


def embed_encoder(codec: Codec) -> Codec:
    """Make the parts that were kept outside of the state dict (`Frozen`) ordinary parts of the codec, in place."""
    for name in FRONT:
        if isinstance(getattr(codec, name), Frozen):
            setattr(codec, name, getattr(codec, name).module)
    return codec
