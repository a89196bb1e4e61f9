# Copyright 2026 The hasrd authors
# Apache-2.0
"""Frozen encoders as files, and the folders of trained codecs.

A codec trained on a frozen encoder does not copy it into its checkpoints: its config names the encoder's file and
SHA-256, and a file with another hash is refused, so that a retrained encoder can't silently change a codec.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from safetensors.torch import save_file

from hasrd.codec.build import ENCODER_KEYS, ENCODER_PARTS, build_modules, build_speech_encoder
from hasrd.codec.codec import Codec
from hasrd.config import read_yaml
from hasrd.encoder.frozen import Frozen
from hasrd.encoder.speech_encoder import SpeechEncoder
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path
from hasrd.jobs.digest import sha256
from hasrd.models.weights import building, load_strict, part_of, read_config_of, read_safetensors, read_weights

# What is used where no weights are named: the recipe's own choice, else those of the last epoch.
DEFAULT_WEIGHTS = ("valid.mel_distance.best.pth", "latest.pth")
# In their place, of a codec that another package made (hasrd.peers).
PEER_FILE = "peer.json"
# What a folder with config.yaml can be.
PACKAGE, PEER, EXPERIMENT, UNKNOWN = "package", "peer", "experiment", "unknown"


def kind_of(config: Mapping[str, Any]) -> str:
    """Say what a folder holds by its config.yaml alone: what else lies there may have been put there by anybody."""
    if "format" in config:
        return PACKAGE
    if "peer" in config:
        return PEER
    return EXPERIMENT if "decoder" in config else UNKNOWN


def save_encoder(path: str | Path, config: dict[str, Any], speech_encoder: SpeechEncoder) -> str:
    """Write a speech encoder with its configuration to a safetensors file; return its SHA-256.

    Args:
        path: File to write (appears when complete).
        config: The `ENCODER_KEYS` of a configuration.
        speech_encoder: What it describes.
    """
    config = {key: config.get(key) for key in ENCODER_KEYS}
    tensors = {name: tensor.contiguous() for name, tensor in speech_encoder.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"config": json.dumps(config, sort_keys=True)})
    return sha256(path)


def load_encoder(
    path: str | Path, expected_sha256: str | None = None, *, allow_import: bool = False
) -> tuple[dict[str, Any], SpeechEncoder]:
    """Read what `save_encoder` wrote: (configuration, speech encoder in eval mode).

    Args:
        path: The file.
        expected_sha256: Hash that it must have; None takes any.
        allow_import: Import classes that the file names by import path (see `hasrd.registry.resolve`).

    Raises:
        UserError: No such file, another hash than expected, a class that is not allowed, or tensors that don't fit the
            configuration.
    """
    advice = "run stage 3, which writes it"
    config = read_config_of(path, advice)
    if expected_sha256 is not None and sha256(path) != expected_sha256:
        raise UserError(
            f"{path}: not the encoder that this codec was trained with (its SHA-256 differs): restore that "
            "encoder, or train the codec again (stages 4 and 5)"
        )
    with building(path):
        speech_encoder = build_speech_encoder(config, allow_import=allow_import)
    load_strict(speech_encoder, read_safetensors(path, advice)[0], path)
    return config, speech_encoder.eval()


@dataclass(frozen=True)
class Experiment:
    """The folder of a trained codec.

    Attributes:
        config_file: Where its configuration stands.
        config: What stands there.
        weights: The file of weights that is used.
        encoder: The frozen encoder's file; None where the codec trained its own.
    """

    config_file: Path
    config: dict[str, Any]
    weights: Path
    encoder: Path | None


def read_experiment(exp_dir: str | Path, model_file: str | None = None) -> Experiment:
    """Look up what a codec's training left, or `hasrd import-peer`; args as for `hasrd.models.load.load_codec`.

    Raises:
        UserError: A missing file, or another configuration.
    """
    exp_dir = Path(exp_dir)
    config_file = exp_dir / "config.yaml"
    config = read_yaml(config_file, advice="give the folder of a trained codec (stage 5)")
    if kind_of(config) not in (EXPERIMENT, PEER):
        raise UserError(f"{config_file}: not the configuration of a codec: give the folder of one (stage 5)")
    if kind_of(config) == PEER:
        if model_file not in (None, PEER_FILE) or not (exp_dir / PEER_FILE).is_file():
            raise UserError(f"{exp_dir / (model_file or PEER_FILE)}: no such file: a codec of others has {PEER_FILE}")
        return Experiment(config_file, config, exp_dir / PEER_FILE, None)
    names = (model_file,) if model_file else DEFAULT_WEIGHTS
    weights = next((exp_dir / name for name in names if (exp_dir / name).is_file()), None)
    if weights is None:
        raise UserError(f"{exp_dir / names[-1]}: no such file: train the codec first (stage 5)")
    encoder = _find_encoder(exp_dir, config) if config.get("encoder_file") else None
    return Experiment(config_file, config, weights, encoder)


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
        found.sort(key=lambda path: sha256(path) != config.get("encoder_sha256"))
    return found[0]


def _places(exp_dir: Path, named: Path) -> list[Path]:
    """Where a name in an experiment's configuration may lie: a relative one counts from any folder above."""
    return [named, *(folder / named for folder in exp_dir.resolve().parents)]


def near(exp_dir: Path, named: Path) -> Path | None:
    """Find the file or folder that an experiment's configuration names; None: it is not there."""
    return next((path for path in _places(exp_dir, named) if path.exists()), None)


def load_trained(experiment: Experiment, allow_import: bool) -> Codec:
    """Load what stage 5 trained, for use (eval mode, no gradients).

    Raises:
        UserError: Another encoder than the one trained with, a class that is not allowed, or weights that don't fit.
    """
    speech_encoder = None
    if experiment.encoder is not None:
        wanted = experiment.config.get("encoder_sha256")
        if not wanted:
            raise UserError(f"{experiment.config_file}: an encoder_file without encoder_sha256: train it again")
        speech_encoder = load_encoder(experiment.encoder, wanted, allow_import=allow_import)[1].frozen()
    with building(experiment.config_file):
        codec = Codec(**build_modules(experiment.config, speech_encoder, allow_import=allow_import))
    states = read_weights(experiment.weights, "train the codec again (stage 5), or name others")
    load_strict(codec, part_of(states, "codec"), experiment.weights)
    return codec.eval().requires_grad_(False)


def embed_encoder(codec: Codec) -> Codec:
    """Make the parts that were kept outside of the state dict (`Frozen`) ordinary parts of the codec, in place."""
    for name in ENCODER_PARTS:
        if isinstance(getattr(codec, name), Frozen):
            setattr(codec, name, getattr(codec, name).module)
    return codec
