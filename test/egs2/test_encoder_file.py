# Copyright 2026 The hasrd authors
# Apache-2.0
"""hasrd.sh and the encoder that a codec's configuration states: looked at before anything is trained."""

from __future__ import annotations

import pytest
from recipe import Recipe


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
