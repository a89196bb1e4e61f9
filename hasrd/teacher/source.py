# Copyright 2026 The hasrd authors
# Apache-2.0
"""Where a teacher's model lies, which of the files there are used, and their hash; without importing torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, TypedDict

from hasrd.config import read_json
from hasrd.errors import UserError
from hasrd.jobs.digest import sha256, values_sha256
from hasrd.models.installed import find_installed
from hasrd.teacher import CHOICES

# Marks the folder of a sentence-transformers model.
MODULES = "modules.json"
# Configuration and vocabulary; an ESPnet experiment's folder has others that say how the training went.
_HUGGING_FACE = (".json", ".txt", ".model")
TEXTS = {MODULES: _HUGGING_FACE, "config.json": _HUGGING_FACE, "config.yaml": (".yaml",)}
# Of weights, the first that are there are used.
ESPNET_WEIGHTS = "valid.loss.best.pth"
WEIGHTS = ("model.bin", "*.safetensors", "pytorch_model.bin", ESPNET_WEIGHTS)


def find_source(source: str) -> str:
    """Replace `package:<distribution>` by the folder of the sentence-transformers model in that package.

    The package is not imported. Anything else stays as it is.

    Raises:
        UserError: No such package is installed, or it has no such folder.
    """
    return find_installed(source, MODULES, "sentence-transformers model")


def content_hash(source: str, weights: str | None = None) -> str:
    """Hash of the model at `source`: a file's content, or that of a folder's files that are used.

    Args:
        source: File, folder, `package:<distribution>`, or a name (of a torchaudio pipeline) that stands for itself.
        weights: Name of the weights in the folder of an ESPnet experiment; where it is not there, the usual ones count.

    Raises:
        UserError: No such package, or a damaged folder.
    """
    path = Path(find_source(source))
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        return values_sha256(source=source)
    folders = [path]
    if (path / MODULES).is_file():
        # What is kept for other programs (onnx/, openvino/) lies in folders that no module names.
        folders += sorted({path / part for _, part in read_modules(path) if part})
    files = [file for folder in folders for file in _used(folder, weights)]
    return values_sha256(files={str(file.relative_to(path)): sha256(file) for file in files})


def identity(teacher: str, conf: Mapping[str, Any]) -> str:
    """Hash of all that shapes what a teacher says: its class, its options, and the content of the model at `source`."""
    values = dict(conf)
    if "source" in conf:
        values["source"] = content_hash(str(conf["source"]), conf.get("model_file"))
    return values_sha256(teacher=CHOICES.get(teacher, teacher), conf=values)


def teacher_name(teacher: str, conf: Mapping[str, Any]) -> str:
    """`<teacher>_<8 digits of its identity>`: the folder of its targets. An import path gives the class's name.

    Raises:
        UserError: No such package.
    """
    short = teacher.replace(":", ".").rpartition(".")[2]
    return f"{short}_{identity(teacher, conf)[:8]}"


class _Module(TypedDict):
    type: str
    path: str


def read_modules(folder: Path) -> list[tuple[str, str]]:
    """Class and folder (inside of `folder`) of each part of a sentence-transformers model.

    Raises:
        UserError: No modules.json there, or a damaged one.
    """
    path = folder / MODULES
    parts = read_json(path, list[_Module], "give the folder of a sentence-transformers model")
    modules = [(part["type"], part["path"]) for part in parts]
    for _, part in modules:
        if Path(part).is_absolute() or ".." in Path(part).parts:
            raise UserError(f"{path}: '{part}' lies outside of the model's folder: get the model again")
    if not modules:
        raise UserError(f"{path}: no parts in it: get the model again")
    return modules


def _used(folder: Path, weights: str | None) -> list[Path]:
    if not folder.is_dir():
        return []
    texts = next((TEXTS[name] for name in TEXTS if (folder / name).is_file()), ())
    used = [path for path in sorted(folder.iterdir()) if path.suffix in texts and path.is_file()]
    found = (sorted(folder.glob(name)) for name in (weights, *WEIGHTS) if name)
    return used + next((paths for paths in found if paths), [])
