# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codec trainings that start from a trained codec: what it learned is there, and the loss falls from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from children import codec_options, fails, trains, weights
from test_frozen_encoder import options as frozen_options

import hasrd
from hasrd.codec.inference import fold_weight_norm
from hasrd.jobs.digest import sha256
from hasrd.models.checkpoint import load_encoder
from hasrd.models.package import pack
from hasrd.train.origin import origin_of, read_options

LEARNS = ["--batch_size", "8", "--optim_conf", "lr=0.01"]


def mel(folder: Path, part: str = "valid") -> list[float]:
    epochs = json.loads((folder / "history.json").read_text())["epochs"]
    return [epoch[part]["mel_distance"] for epoch in epochs]


def without(argv: list[str], *names: str) -> list[str]:
    """Options without some of them, each of which has one value."""
    kept = [i for i, word in enumerate(argv) if word not in names and (i == 0 or argv[i - 1] not in names)]
    return [argv[i] for i in kept]


# All that says what the model is: it comes from the model.
MODEL = (
    "--encoder", "--encoder_conf", "--quantizer", "--quantizer_conf", "--decoder", "--decoder_conf", "--discriminator",
    "--discriminator_conf", "--encoder_file", "--kmeans_file", "--loudness=-16",
)  # fmt: skip


def tuning(argv: list[str], model: Path) -> list[str]:
    argv = [word for word in argv if word != "--loudness=-16"]
    return [*without(argv, *MODEL), "--init_model", str(model), *LEARNS]


@pytest.fixture(scope="module")
def trained(tasks, corpus, tmp_path_factory) -> Path:
    """A codec with its own encoder and a discriminator, after four epochs."""
    exp = tmp_path_factory.mktemp("start") / "codec_small"
    trains(tasks["codec"][0], codec_options(corpus, exp, 4) + LEARNS, exp.parent / "log")
    return exp


@pytest.mark.parametrize("kind", ["experiment", "packed"])
def test_the_loss_falls_from_there(kind, trained, tasks, corpus, tmp_path):
    model = trained if kind == "experiment" else pack(trained, tmp_path / "packed", with_discriminator=True)
    new, log = tmp_path / "codec_tuned", tmp_path / "log"
    trains(tasks["codec"][0], tuning(codec_options(corpus, new, 4), model), log)
    before, after = mel(trained), mel(new)
    assert after[-1] < 0.95 * before[-1] < before[0], (before, after)
    assert mel(new, "train")[0] < 0.9 * mel(trained, "train")[0]
    config, old = (yaml.safe_load((folder / "config.yaml").read_text()) for folder in (new, trained))
    for key in ("encoder", "encoder_conf", "quantizer_conf", "decoder_conf", "discriminator_conf", "loudness"):
        assert config[key] == old[key]
    assert "starts anew" not in log.read_text()
    assert hasrd.load(new).num_codebooks == 2


def build(task, argv: list[str]):
    """The model that a training with these options starts with."""
    return task.build_model(task.get_parser().parse_args(argv))


def test_its_tensors_are_the_models(trained, tasks, corpus, tmp_path, capsys):
    task = tasks["codec"][0]
    packed = pack(trained, tmp_path / "packed", with_discriminator=True)
    bare = pack(trained, tmp_path / "bare")
    assert not (bare / "discriminator.safetensors").exists()
    best = next(trained / name for name in ("valid.mel_distance.best.pth", "latest.pth") if (trained / name).is_file())
    expected = torch.load(best, weights_only=True)
    argv = codec_options(corpus, tmp_path / "out")
    for model in (trained, packed):
        found = build(task, tuning(argv, model)).state_dict()
        assert expected.keys() <= found.keys()
        for name, value in expected.items():
            # Weight norm's two are taken apart anew from their product.
            assert torch.allclose(value, found[name], atol=1e-6) or "parametrizations" in name, name
        assert all(torch.equal(found[n], v) for n, v in expected.items() if n.startswith("discriminator"))
    wave = 0.1 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    outputs = [build(task, tuning(argv, m)).codec.eval()(wave).wave_hat for m in (trained, packed, bare)]
    assert all(torch.allclose(outputs[0], other, atol=1e-5) for other in outputs[1:])
    capsys.readouterr()
    model = build(task, [*tuning(argv, bare), "--discriminator", "mpmb", "--discriminator_conf", "{periods: [2]}"])
    assert model.discriminator is not None and "no discriminator, which starts anew" in capsys.readouterr().err
    assert build(task, tuning(argv, bare)).discriminator is None


def test_a_frozen_encoder_comes_along(tasks, corpus, codec_dir, encoder_file, kmeans_file, tmp_path):
    """Out of a packed model it gets a file of its own, which the new experiment names."""
    task, packed, log = tasks["codec"][0], pack(codec_dir, tmp_path / "packed"), tmp_path / "log"
    given = frozen_options(corpus, tmp_path / "new", encoder_file, kmeans_file, 2)
    judge = ["--discriminator", "mpmb", "--discriminator_conf", "{periods: [2], period_channels: 4, fft_sizes: [512]}"]
    trains(task, [*tuning(given, packed), *judge], log)
    assert "starts anew" in log.read_text()
    config = yaml.safe_load((tmp_path / "new/config.yaml").read_text())
    assert Path(config["encoder_file"]) == tmp_path / "new/encoder.safetensors"
    assert config["encoder_sha256"] == sha256(tmp_path / "new/encoder.safetensors")
    loaded = [load_encoder(path)[1] for path in (encoder_file, tmp_path / "new/encoder.safetensors")]
    fronts = [fold_weight_norm(front).state_dict() for front in loaded]
    assert fronts[0].keys() == fronts[1].keys()
    # Weight norm takes a weight apart and multiplies it again.
    assert all(torch.allclose(value, fronts[1][name], rtol=1e-5, atol=1e-7) for name, value in fronts[0].items())
    old, new = hasrd.load(codec_dir), hasrd.load(tmp_path / "new")
    wave = 0.1 * torch.randn(20000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(old.encode(wave, 16000).codes[..., 0], new.encode(wave, 16000).codes[..., 0])
    assert not torch.equal(old(wave[None]), new(wave[None]))
    assert not [name for name in weights(tmp_path / "new") if name.startswith("codec.encoder")]
    # An experiment's encoder stays where it is, and centroids can be others.
    centroids = build(task, [*tuning(given, codec_dir), "--kmeans_file", str(kmeans_file)]).codec.quantizer.centroids
    assert torch.equal(centroids, old.codebook("semantic"))


def test_what_does_not_fit(trained, tasks, corpus, codec_dir, encoder_file, tmp_path):
    task = tasks["codec"][0]
    argv = codec_options(corpus, tmp_path / "out")

    def line(*options: str, model: Path = trained) -> str:
        return fails(task, [*tuning(argv, model), *options], tmp_path / "log")

    assert "don't fit its configuration" in line("--quantizer_conf", "num_codebooks=3")
    assert "trained an encoder of its own" in line("--encoder_file", str(encoder_file))
    other = shutil.copy(encoder_file, tmp_path / "other.safetensors")
    with open(other, "ab") as file:
        file.write(b" ")
    assert "stands on another encoder" in line("--encoder_file", str(other), model=codec_dir)
    assert "no such file" in line(model=tmp_path / "none")
    packed = pack(trained, tmp_path / "packed", with_discriminator=True)
    content = (packed / "discriminator.safetensors").read_bytes()
    (packed / "discriminator.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "discriminator.safetensors: its SHA-256" in line(model=packed)
    (packed / "discriminator.safetensors").unlink()
    assert "discriminator.safetensors: no such file" in line(model=packed)
    config = yaml.safe_load((packed / "config.yaml").read_text())
    (packed / "discriminator.safetensors").write_bytes(content)
    (packed / "config.yaml").write_text(yaml.safe_dump({**config, "discriminator": "foreign:Judge"}))
    assert "'foreign:Judge'" in line(model=packed)


def test_what_it_starts_from_counts(trained, tmp_path, monkeypatch):
    """Another model under the same name is another training, also where the name is that of a folder right here."""
    shutil.copytree(trained, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    first = origin_of(read_options(["--init_model", "model"])).record(None)
    (tmp_path / "model/latest.pth").write_bytes(b"other")
    assert origin_of(read_options(["--init_model", "model"])).record(None) != first


def test_a_model_without_a_discriminator_has_none_to_pack(codec_dir, tmp_path):
    with pytest.raises(hasrd.UserError, match="leave out --with_discriminator"):
        pack(codec_dir, tmp_path / "out", with_discriminator=True)
