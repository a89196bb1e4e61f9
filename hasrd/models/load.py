# Copyright 2026 The hasrd authors
# Apache-2.0
"""Loading a trained codec, whatever kind of folder it lies in: nothing below knows of the others.

Which kind it is stands in its config.yaml (`hasrd.models.checkpoint.kind_of`). No code out of a folder is run: a class
that it names by import path is refused unless the caller allows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hasrd.codec.inference import prepare
from hasrd.codec.model import TokenizerModel
from hasrd.codec.tokenizer import Tokenizer
from hasrd.config import read_yaml
from hasrd.errors import UserError, first_line
from hasrd.jobs.digest import sha256
from hasrd.models.checkpoint import PACKAGE, PEER, UNKNOWN, embed_encoder, kind_of, load_trained, read_experiment
from hasrd.models.hub import fetch, is_repo_id
from hasrd.models.package import CONFIG, copy_packed, load_packed, pack
from hasrd.models.weights import building

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Model:
    """A trained codec.

    Attributes:
        kind: "package", "experiment" or "peer".
        config: Its configuration.
        codec: For use: in eval mode, without gradients.
        sha256: Hash of its trained weights.
    """

    kind: str
    config: dict[str, Any]
    codec: TokenizerModel
    sha256: str


def load_model(folder: str | Path, model_file: str | None = None, *, allow_import: bool = False) -> Model:
    """Load a packed model, the experiment of a trained codec, or a codec that `hasrd import-peer` took.

    Args:
        folder: With config.yaml.
        model_file: Of an experiment: name of the weights; by default the best by the validation's mel distance, else
            the latest.
        allow_import: Import classes that the configuration, or the file of the encoder, names by import path.

    Raises:
        UserError: A missing or damaged file, another one than the configuration says, a class that is not allowed, or
            tensors that don't fit.
    """
    folder = Path(folder)
    config = read_yaml(folder / CONFIG, advice="give a packed model (hasrd pack) or a codec's experiment folder")
    kind = kind_of(config)
    if kind == UNKNOWN:
        raise UserError(f"{folder / CONFIG}: neither a packed model (hasrd pack) nor a trained codec (stage 5)")
    if kind == PACKAGE:
        if model_file is not None:
            raise UserError(f"{folder}: a packed model has no weights to choose from: leave out {model_file}")
        config, codec = load_packed(folder, allow_import)
        source = config.get("source") if isinstance(config.get("source"), dict) else {}
        return Model(kind, config, codec, str(source.get("weights_sha256") or config["model_sha256"]))
    experiment = read_experiment(folder, model_file)
    if kind == PEER:
        from hasrd.peers.experiment import load_peer

        with building(folder / CONFIG):
            codec = load_peer(folder, experiment.config)
    else:
        codec = load_trained(experiment, allow_import)
    return Model(kind, experiment.config, codec, sha256(experiment.weights))


def load_codec(exp_dir: str | Path, model_file: str | None = None, *, allow_import: bool = False) -> TokenizerModel:
    """`load_model`, of which the codec alone is wanted."""
    return load_model(exp_dir, model_file, allow_import=allow_import).codec


def load(
    path: str | Path,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype = "float32",
    compile: bool = False,
    model_file: str | None = None,
    allow_import: bool = False,
    revision: str | None = None,
) -> Tokenizer:
    """Load a tokenizer from a packed model, the experiment folder of a trained codec, or the Hugging Face Hub.

    Args:
        path: Folder that `hasrd pack` or stage 5 of a recipe wrote; or "org/name", a packed model on the Hub, where
            there is no such folder.
        device: "cpu", "cuda", "cuda:1", ...
        dtype: "float32" or "bfloat16", of the weights of encoder and decoder; waves stay float32.
        compile: Let torch.compile join what the convolutions do element by element, at their first use; on CPUs alone.
        model_file: Of an experiment: name of the weights; by default the best, else the latest.
        allow_import: Import classes that its configuration names by import path, which runs their code.
        revision: Of a model on the Hub: branch, tag or commit; None: the newest.

    Raises:
        UserError: No such folder, device or type, or what `load_model` or `hasrd.models.hub.fetch` raises.
    """
    if not Path(path).is_dir() and is_repo_id(path):
        path = fetch(str(path), revision)
    elif revision is not None:
        raise UserError(f"{path}: revision {revision} is for models on the Hub: leave it out")
    if not Path(path).is_dir():
        raise UserError(f"{path}: no such folder: give a packed model (hasrd pack) or a codec's experiment folder")
    dtype = DTYPES.get(dtype, dtype)
    if dtype not in DTYPES.values():
        raise UserError(f"dtype {dtype}: choose one of {', '.join(DTYPES)}")
    device = _device(device)
    model = load_model(path, model_file, allow_import=allow_import)
    if model.kind != PEER:
        embed_encoder(model.codec)
    elif dtype != torch.float32:
        raise UserError(f"{path}: a codec of another package computes in float32")
    if model.kind == PACKAGE:
        write = partial(copy_packed, path, model.config)
    else:
        write = partial(_pack, path, model_file=model_file, allow_import=allow_import)
    return Tokenizer(prepare(model.codec.to(device), dtype, compile), model.sha256, write)


def _pack(exp_dir: str | Path, out: Path, **options: Any) -> None:
    from hasrd.report.card import card_scores  # of all measures: not needed to load a model

    pack(exp_dir, out, scores=card_scores, **options)


def _device(name: str | torch.device) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name}: not available ({first_line(error)})") from error
    return device
