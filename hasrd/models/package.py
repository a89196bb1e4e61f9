# Copyright 2026 The hasrd authors
# Apache-2.0
"""A trained codec as a folder that can be passed on: `config.yaml`, `model.safetensors` and `README.md`.

The frozen encoder and the centroids are inside, weight norm is folded, and nothing in it has to be unpickled. Loading
is strict. A configuration can name classes by import path; importing runs code, so that such a folder is refused unless
the caller allows it (`hasrd.registry.resolve`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor

import hasrd
from hasrd.codec.build import PARTS, build_modules
from hasrd.codec.codec import Codec
from hasrd.codec.describe import teacher_size
from hasrd.codec.inference import fold_weight_norm
from hasrd.codec.window_plan import OF_MODEL, check_window
from hasrd.config import read_yaml
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_folder
from hasrd.jobs.digest import sha256
from hasrd.loss.distillation import CHOICES as LOSSES
from hasrd.models.card import NOT_MEASURED, CardScores, model_card
from hasrd.models.checkpoint import PACKAGE, PEER, embed_encoder, kind_of, load_trained, read_experiment
from hasrd.models.weights import building, load_strict, part_of, read_safetensors, read_weights

CONFIG, WEIGHTS, CARD = "config.yaml", "model.safetensors", "README.md"
# For a training that goes on from the model; it is not needed to use it.
DISCRIMINATOR = "discriminator.safetensors"
# Of the folder's layout; a reader refuses a higher number. Since 2 there may be a `loudness`, which none must ignore.
FORMAT = 2
# In which weights can be stored. They are computed with in the type that `hasrd.load` is asked for.
STORED = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# Of a distillation, what is about the data of the training.
OF_DATA = ("targets", "teacher")


def pack(
    exp_dir: str | Path,
    out: str | Path,
    model_file: str | None = None,
    name: str | None = None,
    licence: str | None = None,
    allow_import: bool = False,
    scores: Callable[[Path, str], CardScores] | None = None,
    language: Sequence[str] = (),
    datasets: Sequence[str] = (),
    repo_id: str | None = None,
    with_discriminator: bool = False,
    window: float | str | None = OF_MODEL,
    dtype: str = "float32",
) -> Path:
    """Write the codec of an experiment to a new folder, which appears when it is complete and can be loaded.

    Args:
        exp_dir: Directory of the trained codec (stage 5).
        out: Folder to write; it must not be there yet, or be empty.
        model_file: Name of the weights, as in `load_codec`.
        name: What the model card calls it; by default the folder's name.
        licence: Of the weights, as text; stands in config.yaml and on the card.
        allow_import: Import classes that the experiment names by import path.
        scores: Tells what was measured, of the experiment and the SHA-256 of its weights
            (`hasrd.report.card.card_scores`); without it the card has no scores.
        language: Codes of the languages that it was trained on, such as "en"; in config.yaml and on the card.
        datasets: Names of the corpora that it was trained on, those of the Hugging Face Hub where they are there.
        repo_id: "org/name" on the Hub, which the card then tells to load it by; by default the folder's name.
        with_discriminator: Write the discriminator as well, for trainings that go on from the model.
        window: Seconds of the windows in which longer speech is encoded; None: it is encoded whole. By default the
            codec's own.
        dtype: Of the weights in the file, "float32" or "bfloat16". The second is half as large; some tokens of it
            differ from the experiment's.

    Returns:
        The folder.

    Raises:
        UserError: A folder that is not empty, no such window, a configuration that names a file, or what
            `load_trained` raises.
    """
    out = Path(out)
    if window != OF_MODEL:
        check_window(window)
    check_new(out)
    experiment = read_experiment(exp_dir, model_file)
    if kind_of(experiment.config) == PEER:
        raise UserError(f"{exp_dir}: a codec of others: pass on what its authors publish")
    codec = fold_weight_norm(embed_encoder(load_trained(experiment, allow_import)))
    tensors = {key: value.contiguous() for key, value in codec.state_dict().items()}
    for key, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise UserError(f"{experiment.weights}: '{key}' is not finite: the training diverged, or is not complete")
    tensors = {key: _stored(value, STORED[dtype]) for key, value in tensors.items()}
    discriminator = part_of(read_weights(experiment.weights), "discriminator") if with_discriminator else {}
    if with_discriminator and not discriminator:
        raise UserError(f"{experiment.weights}: no discriminator in it: leave out --with_discriminator")
    config: dict[str, Any] = {
        "format": FORMAT,
        "hasrd": hasrd.__version__,
        "name": name or out.resolve().name,
        "licence": licence,
        "language": list(language),
        "datasets": list(datasets),
        **_model_keys(experiment.config),
        "dtype": dtype,
        "window": codec.window if window == OF_MODEL else window,
        "source": {
            "weights_sha256": sha256(experiment.weights),
            "encoder_sha256": experiment.config.get("encoder_sha256"),
            "train_sets": _sets(experiment.config, "train"),
            "valid_sets": _sets(experiment.config, "valid"),
        },
    }
    with atomic_folder(out) as temporary:
        save_file(tensors, temporary / WEIGHTS, metadata={"format": "pt"})
        config["model_sha256"] = sha256(temporary / WEIGHTS)
        if discriminator:
            contiguous = {key: value.contiguous() for key, value in discriminator.items()}
            save_file(contiguous, temporary / DISCRIMINATOR)
            config |= {key: experiment.config.get(key) for key in ("discriminator", "discriminator_conf")}
            config["discriminator_sha256"] = sha256(temporary / DISCRIMINATOR)
        (temporary / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
        measured = scores(Path(exp_dir), config["source"]["weights_sha256"]) if scores else NOT_MEASURED
        card = model_card(config, repo_id or out.name, allow_import, measured)
        (temporary / CARD).write_text(card, encoding="utf-8")
        load_packed(temporary, allow_import)
    return out


def check_new(out: Path) -> None:
    """Raise UserError where something is at `out` already that is no empty folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is there already: choose another name, or remove it")


def copy_packed(folder: str | Path, config: Mapping[str, Any], out: str | Path) -> None:
    """Copy a packed model to a new folder, which appears when it is complete.

    Args:
        folder: The packed model.
        config: Its configuration when it was loaded.
        out: Folder to write; it must not be there yet, or be empty.

    Raises:
        UserError: A folder that is not empty, or another model in `folder` than the one that was loaded.
    """
    folder, out = Path(folder), Path(out)
    check_new(out)
    with atomic_folder(out) as temporary:
        for name in (CONFIG, WEIGHTS, CARD, DISCRIMINATOR):
            if name in (CONFIG, WEIGHTS) or (folder / name).is_file():
                with building(folder / name):
                    shutil.copyfile(folder / name, temporary / name)
        if read_packed_config(temporary) != config or sha256(temporary / WEIGHTS) != config["model_sha256"]:
            raise UserError(f"{folder}: not the model any more that was loaded from there: load it again")


def load_packed(folder: str | Path, allow_import: bool = False) -> tuple[dict[str, Any], Codec]:
    """Load what `pack` wrote: (configuration, codec in eval mode, weight norm folded).

    Args:
        folder: The packed model.
        allow_import: Import classes that the configuration names by import path.

    Raises:
        UserError: A missing or damaged file, a newer format, a class outside of hasrd that is not allowed, or a
            missing, extra or mis-shaped tensor.
    """
    folder = Path(folder)
    config = read_packed_config(folder)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise UserError(f"{weights}: no such file: the packed model is not complete: get it again")
    if not isinstance(config.get("model_sha256"), str):
        raise UserError(f"{folder / CONFIG}: no model_sha256 in it: damaged or not complete: get it again")
    if sha256(weights) != config["model_sha256"]:
        raise UserError(f"{weights}: its SHA-256 is not the one in {CONFIG}: damaged or not complete: get it again")
    with building(folder / CONFIG):
        codec = fold_weight_norm(Codec(**build_modules(config, allow_import=allow_import)))
    tensors = read_weights(weights)
    for key, value in codec.state_dict().items():
        needed = _stored(value, STORED[config["dtype"]]).dtype
        if key in tensors and tensors[key].dtype != needed:
            raise UserError(f"{weights}: '{key}' is {tensors[key].dtype}, but {needed} is needed")
    # Copying into the codec's own tensors gives them back their type.
    load_strict(codec, tensors, weights)
    return config, codec.eval().requires_grad_(False)


def read_discriminator(folder: str | Path, config: Mapping[str, Any]) -> dict[str, Tensor] | None:
    """Read the discriminator's tensors of a packed model with this configuration; None where it has none.

    Raises:
        UserError: The file is damaged, or missing although the configuration names it.
    """
    if not config.get("discriminator_sha256"):
        return None
    path = Path(folder) / DISCRIMINATOR
    tensors = read_safetensors(path)[0]
    if sha256(path) != config["discriminator_sha256"]:
        raise UserError(f"{path}: its SHA-256 is not the one in {CONFIG}: damaged or not complete: get it again")
    return tensors


def read_packed_config(folder: str | Path) -> dict[str, Any]:
    """Read the configuration of a packed model.

    Raises:
        UserError: No such file, not YAML, or of a newer format.
    """
    path = Path(folder) / CONFIG
    config = read_yaml(path, advice="the packed model is not complete: get it again")
    if kind_of(config) != PACKAGE or not isinstance(config["format"], int):
        raise UserError(f"{path}: not the configuration of a packed model (hasrd pack)")
    if config["format"] > FORMAT:
        raise UserError(f"{path}: made by hasrd {config.get('hasrd')}, this is {hasrd.__version__}: install that one")
    # Those of earlier versions do not say it.
    if config.setdefault("dtype", "float32") not in STORED:
        raise UserError(f"{path}: dtype {config['dtype']}: choose one of {', '.join(STORED)}")
    return config


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.to(dtype) if value.is_floating_point() else value


def _model_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what builds the model, and what its levels were taught by, for its size in the training form.

    Raises:
        UserError: A value in it is a path: the model would be built on this machine alone.
    """
    keys = {key: config.get(key) for part in PARTS for key in (part, f"{part}_conf")}
    keys["loudness"] = config.get("loudness")
    taught = {
        level: {**{key: value for key, value in conf.items() if key not in OF_DATA}, "teacher_size": teacher_size(conf)}
        for level, conf in (config.get("distillation") or {}).items()
        # A class from elsewhere is not needed to use the model.
        if conf["loss"] in LOSSES or conf["loss"] in LOSSES.values()
    }
    if taught:
        keys["distillation"] = taught
    for key, value in keys.items():
        for text in _texts(value):
            if os.sep in text:
                raise UserError(f"{key}: '{text}' names a file, which a packed model cannot bring along")
    return keys


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _sets(config: Mapping[str, Any], kind: str) -> list[str]:
    """Names of the data directories of a training, without their places."""
    tables = config.get(f"{kind}_data_path_and_name_and_type") or []
    return list(dict.fromkeys(Path(table[0]).parent.name for table in tables))
