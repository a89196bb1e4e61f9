# Copyright 2026 The hasrd authors
# Apache-2.0
"""hasrd.sh and the encoder that a codec's configuration states: looked at before anything is trained."""

from __future__ import annotations

import json

import pytest
from recipe import Recipe
from safetensors.torch import load_file, save_file


@pytest.fixture
def recipe(tmp_path):
    """A recipe after stage 2, as far as stage 3 looks."""
    recipe = Recipe(tmp_path, "asterisk")
    for name in ("train", "valid", "test"):
        folder = recipe.folder / "data" / name
        folder.mkdir(parents=True)
        (folder / "wav.scp").touch()
    return recipe


def test_an_encoder_from_elsewhere_takes_the_place_of_stage_3(recipe, encoder_file):
    output = recipe.run("--stage", "3", "--stop_stage", "3", "--encoder_file", str(encoder_file))
    assert f"Stage 3: skipped, --encoder_file {encoder_file}" in output
    assert not (recipe.folder / "exp").exists()
    # The codec's configuration states another one.
    output = recipe.run("--stage", "3", "--encoder_file", str(encoder_file), fails=True)
    assert "encoder_conf: cnn_channels is [8, 8, 16], but the codec's configuration says [16, 16, 32]" in output
    assert not (recipe.folder / "exp").exists()
    output = recipe.run("--stage", "3", "--encoder_file", "nowhere", fails=True)
    assert "--encoder_file nowhere: no such file" in output


def test_pre_training_of_another_encoder_does_not_start(recipe):
    output = recipe.run("--stage", "3", "--ssl_args", "--encoder_conf num_blocks=3", fails=True)
    assert "encoder_conf: num_blocks is 3, but the codec's configuration says 2" in output
    assert not (recipe.folder / "exp").exists()


def test_a_codec_with_an_encoder_of_its_own(recipe, encoder_file):
    codec = recipe.folder / "conf_small" / "codec.yaml"
    codec.write_text(codec.read_text().replace("frozen_encoder: true", "frozen_encoder: false"))
    output = recipe.run("--stage", "3", "--stop_stage", "4")
    assert "Stage" not in output
    output = recipe.run("--encoder_file", str(encoder_file), fails=True)
    assert "conf_small/codec.yaml trains an encoder of its own" in output


def test_a_class_of_the_users_own(recipe, encoder_file, tmp_path):
    """The configurations are the user's, so their classes are imported; not so what a file from elsewhere names."""
    (recipe.folder / "own_model.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('imported').touch()\n"
        "from hasrd.encoder.cnn_conformer import CNNConformer\n\n\nclass Own(CNNConformer):\n    pass\n"
    )
    for config in ("ssl", "codec"):
        path = recipe.folder / "conf_small" / f"{config}.yaml"
        path.write_text(path.read_text().replace("encoder: cnn_conformer", "encoder: own_model:Own"))
    refused = "'own_model:Own' is no class of hasrd"
    assert refused in recipe.run("--stage", "3", "--allow_import", "false", fails=True)
    foreign = tmp_path / "foreign.safetensors"
    config = {"frontend": "log_mel", "normalize": "utterance", "encoder": "own_model:Own"}
    save_file(load_file(encoder_file), foreign, metadata={"config": json.dumps(config)})
    assert refused in recipe.run("--stage", "3", "--encoder_file", str(foreign), fails=True)
    assert "choose true, false or auto" in recipe.run("--allow_import", "maybe", fails=True)
    assert not (recipe.folder / "imported").exists()
    # Looked at before the pre-training, which finds no data here.
    output = recipe.run("--stage", "3", fails=True)
    assert (recipe.folder / "imported").exists() and "run stage 2 first" in output
