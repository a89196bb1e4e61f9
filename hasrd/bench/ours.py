# Copyright 2026 The hasrd authors
# Apache-2.0
"""Our codecs, from the recipes' configurations (random weights) or from experiments (trained ones)."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Mapping, Sequence

import torch
from torch import nn

import hasrd
from hasrd.bench.subject import MODES, Subject, Unavailable
from hasrd.codec.build import build_modules, build_speech_encoder
from hasrd.codec.codec import Codec
from hasrd.codec.describe import describe
from hasrd.codec.inference import prepare
from hasrd.config import read_yaml
from hasrd.errors import UserError
from hasrd.models.weights import building

RECIPES = Path(hasrd.__file__).resolve().parents[1] / "egs2"
SIZES = {"full": "librispeech", "small": "mini_librispeech"}
# The paper's, where the configuration leaves the choice of the layer to stage 4.
SEMANTIC_LAYER = 8


def find_config(name: str, size: str) -> Path:
    """The configuration of a model.

    Args:
        name: A path, or the name of one of the recipes' models: "hasrd" for `train_codec_hasrd.yaml`, "ssl_hasrd"
            for `train_ssl_hasrd.yaml`; of the first of the corpus's recipes (hasrd1, hac1) that has it.
        size: "full" or "small": whose of the recipes.

    Raises:
        Unavailable: There is none of that name.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UserError(f"{path}: no such configuration")
        return path
    corpus = RECIPES / SIZES[size]
    stem = f"train_{name}" if name.startswith("ssl") else f"train_codec_{name}"
    folders = [conf for conf in (corpus / recipe / "conf" for recipe in ("hasrd1", "hac1")) if conf.is_dir()]
    for conf in folders:
        for path in (conf / "tuning" / f"{stem}.yaml", conf / f"{stem}.yaml"):
            if path.is_file():
                return path
    if not folders:
        raise Unavailable(f"{corpus} is not there: the recipes are not part of the package, only of its repository")
    raise Unavailable(f"no {stem}.yaml in {', '.join(map(str, folders))} or their tuning/")


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration.

    Raises:
        UserError: It cannot be read.
    """
    config = read_yaml(path)
    if not config:
        raise UserError(f"{path}: not a configuration: no keys in it")
    return config


def model_name(path: Path) -> str:
    """What a configuration's model is called in the table."""
    return path.stem.removeprefix("train_").removeprefix("codec_")


def build_codec(config: Mapping[str, Any], allow_import: bool = False) -> Codec:
    """A codec with random weights; what only training or a k-means sets (NaN until then) is random too."""
    speech_encoder = build_speech_encoder(config, allow_import=allow_import)
    if config["quantizer"] == "hasrd":
        layer = min(SEMANTIC_LAYER, speech_encoder.num_layers - 1)
        config = {**config, "quantizer_conf": {"semantic_layer": layer, **(config.get("quantizer_conf") or {})}}
    codec = Codec(**build_modules(config, speech_encoder, allow_import=allow_import))
    for buffer in codec.quantizer.buffers():
        if buffer.is_floating_point() and buffer.isnan().all():
            buffer.normal_()
    return codec.eval().requires_grad_(False)


def is_trained(name: str) -> bool:
    """Whether this is the folder of a packed model or of an experiment."""
    return Path(name, "config.yaml").is_file()


def trained_codec(folder: Path, allow_import: bool = False) -> tuple[dict[str, Any], Codec]:
    """Configuration and codec of a packed model or an experiment.

    Raises:
        UserError: It is neither, or not complete.
    """
    from hasrd.models.checkpoint import PEER, embed_encoder
    from hasrd.models.load import load_model

    model = load_model(folder, allow_import=allow_import)
    if model.kind == PEER:
        raise UserError(f"{folder}: a codec of others: bench has rows of its own for these")
    return model.config, embed_encoder(model.codec)


def subjects(name: str, size: str, modes: Sequence[str], device: str, allow_import: bool = False) -> list[Subject]:
    """One codec in several modes; all have the same weights.

    Args:
        name: As for `find_config`, or the folder of a trained codec.
        size: "full" or "small".
        modes: Of MODES.
        device: Where it computes.
        allow_import: See `hasrd.registry.resolve`.

    Raises:
        UserError: There is no such codec, or it can't be built.
    """
    if is_trained(name):
        config, codec = trained_codec(Path(name), allow_import)
        name = Path(name).resolve().name
        parameters = _parameters(config, allow_import)
    else:
        path = find_config(name, size)
        config, name = read_config(path), model_name(path)
        with building(path):
            parameters = _parameters(config, allow_import)
            codec = build_codec(config, allow_import)
    plain = prepare(codec.to(device))
    return [_subject(name, mode, parameters, plain) for mode in modes]


def _parameters(config: Mapping[str, Any], allow_import: bool) -> int:
    # Without the discriminator, whose parts take ESPnet's long import.
    return describe({**config, "discriminator": None}, allow_import).parameters["total"]


def _subject(name: str, mode: str, parameters: int, plain: Codec) -> Subject:
    dtype, compiled = MODES[mode]
    codec = plain
    if dtype != torch.float32:
        codec = copy.deepcopy(plain)
    elif compiled:
        codec = _share(plain)
    if codec is not plain:
        codec = prepare(codec, dtype, compiled)
    return Subject(
        name, mode, codec.sample_rate, parameters, codec, codec.encode, codec.decode,
        lambda tokens: tokens.codes.unbind(-1),
    )  # fmt: skip


def _share(module: nn.Module) -> nn.Module:
    """A copy with the same tensors: a mode takes no memory for weights that another has."""
    tensors = [*module.parameters(), *module.buffers()]
    return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})
