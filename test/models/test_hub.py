# Copyright 2026 The hasrd authors
# Apache-2.0
"""The Hugging Face Hub, without a network: its cache as it lays one out, and what is sent there."""

from __future__ import annotations

import filecmp
import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
import yaml
from huggingface_hub import ModelCard, ModelHubMixin, constants, hub_mixin

import hasrd
from hasrd.errors import UserError
from hasrd.models.hub import is_repo_id
from hasrd.models.package import pack

FILES = ("config.yaml", "model.safetensors", "README.md")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def message(call, *args, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        call(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module")
def packed(codec_dir, tmp_path_factory) -> Path:
    return pack(
        codec_dir, tmp_path_factory.mktemp("packed") / "small", licence="cc-by-4.0", language=["en", "no"],
        datasets=["librispeech_asr"], repo_id="org/small",
    )  # fmt: skip


@pytest.fixture
def cached(packed, tmp_path, monkeypatch) -> Path:
    """The files of org/small in an offline cache; their folder."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repo = tmp_path / "models--org--small"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text(COMMIT)
    return shutil.copytree(packed, repo / "snapshots" / COMMIT)


@pytest.fixture
def wave():
    return 0.1 * torch.randn(1, 9000, generator=torch.Generator().manual_seed(0))


def test_loading_from_the_cache(packed, cached, wave, tmp_path):
    expected = hasrd.load(packed)(wave)
    models = [
        hasrd.load("org/small"),
        hasrd.load("org/small", revision=COMMIT),
        hasrd.Tokenizer.from_pretrained("org/small", local_files_only=True, cache_dir=tmp_path),
        hasrd.Tokenizer.from_pretrained(str(packed)),
        hasrd.Tokenizer.from_pretrained(packed, device="cpu"),
    ]
    assert all(isinstance(model, (ModelHubMixin, torch.nn.Module)) for model in models)
    assert all(torch.equal(model(wave), expected) for model in models)


def test_what_is_not_there(cached, tmp_path):
    for load in (hasrd.load, hasrd.Tokenizer.from_pretrained):
        for name, options in (("org/other", {}), ("org/small", {"revision": "v2"})):
            assert f"{name}: no such folder, and not to be had from the Hub" in message(load, name, **options)
        assert "no such folder" in message(load, tmp_path / "none")
    assert not any(map(is_repo_id, ("/a/b", "./b", "../b", "a/../b", "a/b/c", "a", "~/b", "", "a/b\n", Path("/a"))))
    # A folder of that name comes first.
    (tmp_path / "org/small").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert "config.yaml" in message(hasrd.load, "org/small")


def test_nothing_of_a_repository_is_run_or_decides_how_to_load(cached, tmp_path, monkeypatch, capsys):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/foreign_hub.py").write_text(
        "print('foreign code runs')\nfrom hasrd.decoder.istft import ISTFTDecoder as Decoder\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "code")
    options = {"allow_import": True, "codec": "foreign_hub:Decoder", "write": "x", "model_sha256": "0"}
    (cached / "config.json").write_text(json.dumps(options))
    assert hasrd.Tokenizer.from_pretrained("org/small").model_sha256 != "0"
    config = yaml.safe_load((cached / "config.yaml").read_text())
    (cached / "config.yaml").write_text(yaml.safe_dump({**config, "decoder": "foreign_hub:Decoder"}))
    for load in (hasrd.load, hasrd.Tokenizer.from_pretrained):
        assert "decoder 'foreign_hub:Decoder'" in message(load, "org/small")
    assert "foreign" not in capsys.readouterr().out
    assert hasrd.Tokenizer.from_pretrained("org/small", allow_import=True).num_codebooks == 3
    # An experiment or a codec of others, whose configurations name files of this machine, is not taken from there.
    for config in ({"encoder": "dac", "decoder": "dac", "encoder_file": "/etc/hosts"}, {"peer": {"model": "/etc"}}):
        (cached / "config.yaml").write_text(yaml.safe_dump(config))
        assert "not the configuration of a packed model" in message(hasrd.load, "org/small")


def test_saving_gives_the_packed_model(packed, codec_dir, tmp_path, wave):
    model = hasrd.load(packed, dtype="bfloat16")
    assert model.save_pretrained(tmp_path / "copy") is None
    assert {path.name for path in (tmp_path / "copy").iterdir()} == set(FILES)
    assert filecmp.cmpfiles(packed, tmp_path / "copy", FILES, shallow=False)[0] == list(FILES)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.json").write_text("{}")
    for place in (packed, tmp_path / "mine"):
        assert "is there already" in message(model.save_pretrained, place)
    assert (tmp_path / "mine/config.json").is_file()
    hasrd.load(codec_dir).save_pretrained(tmp_path / "of_exp")
    assert torch.equal(hasrd.load(tmp_path / "of_exp")(wave), hasrd.load(codec_dir)(wave))
    assert "None were measured" in (tmp_path / "of_exp/README.md").read_text()
    bare = hasrd.Tokenizer(model.codec)
    assert "not loaded from a folder" in message(bare.save_pretrained, tmp_path / "bare")


def test_another_model_in_the_place_of_the_loaded_one_is_not_saved(packed, tmp_path):
    copy = shutil.copytree(packed, tmp_path / "copy")
    model = hasrd.load(copy)
    config = yaml.safe_load((copy / "config.yaml").read_text())
    (copy / "config.yaml").write_text(yaml.safe_dump({**config, "name": "another"}))
    assert "not the model any more" in message(model.save_pretrained, tmp_path / "out")
    (copy / "model.safetensors").unlink()
    assert str(copy) in message(model.save_pretrained, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_pushing_sends_the_packed_model(packed, monkeypatch):
    sent = {}

    class Api(huggingface_hub.HfApi):
        def create_repo(self, repo_id, **options):
            return huggingface_hub.RepoUrl(f"{constants.ENDPOINT}/{repo_id}")

        def upload_folder(self, *, repo_id, folder_path, **options):
            sent[repo_id] = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}

    monkeypatch.setattr(hub_mixin, "HfApi", Api)
    hasrd.load(packed).push_to_hub("org/small", private=True)
    assert sent == {"org/small": {name: (packed / name).read_bytes() for name in FILES}}


def test_the_card_is_one_that_the_hub_reads(packed):
    card = ModelCard.load(packed / "README.md")
    assert card.data.to_dict() == {
        "library_name": "hasrd", "pipeline_tag": "audio-to-audio", "tags": ["audio", "speech-tokenizer"],
        "license": "cc-by-4.0", "language": ["en", "no"], "datasets": ["librispeech_asr"],
    }  # fmt: skip
    assert "pip install 'hasrd[hub] >= " in card.text and 'hasrd.load("org/small")' in card.text
    assert "| trained on | librispeech_asr" in card.text
