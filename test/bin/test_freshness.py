# Copyright 2026 The hasrd authors
# Apache-2.0
"""Every kind of result is made again when its inputs, its model or its options have changed, and only then."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
import soundfile
import torch
import yaml
from data_changes import HARMFUL, HARMLESS

from hasrd.bin import (
    choose_layer,
    convert,
    dump_feats,
    extract,
    kmeans,
    masked_prediction,
    score,
    semantic_tokens,
    tokenize,
)
from hasrd.codec.data_set import model_facts
from hasrd.data.archive import read_array
from hasrd.data.kaldi import read_table
from hasrd.espnet.layer_choice import LOGITS
from hasrd.models.kmeans import load_kmeans, save_kmeans

LENGTHS = (16000, 12000, 14000, 15000)


class Case:
    """A kind of result: how it is made, of which model, and another option than the usual."""

    def __init__(self, module, words: Callable[[Path, Path], list], model: str = "", option: tuple[str, ...] = ()):
        self.module, self.words, self.model, self.option = module, words, model, option


def of_codec(models: Path, data: Path) -> list:
    return ["--exp_dir", models / "codec", "--data", data]


def of_encoder(models: Path, data: Path) -> list:
    return ["--encoder_file", models / "encoder.safetensors", "--data", data]


CASES = {
    "features": Case(dump_feats, lambda m, d: ["--data", d], option=("--compression_method", "3")),
    "kmeans": Case(
        kmeans,
        lambda m, d: [*of_encoder(m, d), "--layer", 1, "--portion", 1, "--num_clusters", 4],
        "encoder.safetensors",
        ("--niter", "7"),
    ),
    "semantic tokens": Case(
        semantic_tokens, lambda m, d: [*of_encoder(m, d), "--kmeans_file", m / "kmeans.npz"], "kmeans.npz"
    ),
    "extract": Case(
        extract, lambda m, d: [*of_encoder(m, d), "--kmeans_file", m / "kmeans.npz"], "kmeans.npz", ("--layers", "2")
    ),
    "extract of a codec": Case(extract, of_codec, "codec/latest.pth"),
    "codes": Case(tokenize, lambda m, d: [*of_codec(m, d), "--speech", "false"], "codec/latest.pth"),
    "speech": Case(
        tokenize, lambda m, d: [*of_codec(m, d), "--versions", "combined"], "codec/latest.pth", ("--num_books", "1")
    ),
    "conversion": Case(convert, of_codec, "codec/latest.pth", ("--method", "cycle")),
    "masked prediction": Case(
        masked_prediction,
        lambda m, d: ["--exp_dir", m / "ssl", "--model_file", "latest.pth", "--data", d],
        "ssl/latest.pth",
        ("--seed", "5"),
    ),
    "score of audio": Case(
        score,
        lambda m, d: ["mean_spectrum", "--test_set", "test", "--system", "s", "--ref", d / "wav.scp"],
        option=("--run", "seed1"),
    ),
}
OUT = {"features": "--dump"}


@pytest.fixture
def models(tmp_path, encoder_file, kmeans_file, codec_dir, ssl_dir) -> Path:
    """Copies of the models that can be changed."""
    folder = tmp_path / "models"
    folder.mkdir()
    for path in (encoder_file, kmeans_file):
        shutil.copy(path, folder)
    shutil.copytree(codec_dir, folder / "codec")
    shutil.copytree(ssl_dir, folder / "ssl")
    return folder


@pytest.fixture
def make(monkeypatch, models, tmp_path):
    """make(case, data, more options): make the result; returns a mark for each file that is made anew when it is."""

    def run(name: str, data: Path, *more: str) -> dict[str, tuple]:
        case, out = CASES[name], tmp_path / "out" / "result"
        target = out / "kmeans.npz" if case.module is kmeans else out
        words = [*case.words(models, data), OUT.get(name, "--out"), target, *more]
        if case.module in (dump_feats, score):
            case.module.main([*map(str, words)])
        else:
            monkeypatch.setattr(sys, "argv", ["x", *map(str, words)])
            case.module.main()
        found = {}
        for path in sorted(out.rglob("*")):
            # Only these are not written on each run.
            if path.suffix in (".ark", ".npz", ".flac", ".npy") or path.parent.name.isdecimal() or case.module is score:
                if path.name[0] != "." and path.name != "cmvn.npz":
                    found[str(path.relative_to(out))] = (path.stat().st_ino, path.stat().st_mtime_ns)
        assert found
        return found

    return run


@pytest.fixture
def data(make_data_dir) -> Path:
    folder = make_data_dir("test", LENGTHS)
    for table, value in (("utt2num_samples", LENGTHS), ("utt2spk", "abab")):
        lines = (f"test-{index:04d} {value[index]}\n" for index in range(len(LENGTHS)))
        (folder / table).write_text("".join(lines))
    return folder


@pytest.mark.parametrize("name", CASES)
def test_what_changes_nothing_makes_nothing_again(name, make, data):
    first = make(name, data)
    for change in HARMLESS:
        change(data)
        assert make(name, data) == first, change.__name__


@pytest.mark.parametrize("name", CASES)
def test_changed_inputs_options_and_models_make_it_again(name, make, data, models):
    known = make(name, data)
    for change in HARMFUL:
        change(data)
        known, before = make(name, data), known
        assert known != before, change.__name__
        assert make(name, data) == known
    if CASES[name].option:
        other = make(name, data, *CASES[name].option)
        assert other != known
        known = make(name, data)
    if CASES[name].model:
        change_model(models / CASES[name].model)
        assert make(name, data) != known, "another model"


def change_model(path: Path) -> None:
    """Change a model a little and give its file the time that it had."""
    status = path.stat()
    if path.suffix == ".npz":
        centroids, facts = load_kmeans(path)
        save_kmeans(path, centroids.numpy() + 0.25, facts)
    elif path.suffix == ".pth":
        states = torch.load(path, weights_only=True)
        torch.save({name: x + 0.01 if x.is_floating_point() else x for name, x in states.items()}, path)
    else:
        from hasrd.models.checkpoint import load_encoder, save_encoder

        config, front = load_encoder(path)
        for parameter in front.parameters():
            parameter.data += 0.01
        save_encoder(path, config, front)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_the_configuration_counts_as_far_as_it_shapes_the_model(codec_dir, models):
    args = models / "codec", "latest.pth"
    known = model_facts(*args)
    config = yaml.safe_load((models / "codec/config.yaml").read_text())
    for changes, same in (({"max_epoch": 99, "encoder_file": "moved"}, True), ({"decoder_conf": {"x": 1}}, False)):
        (models / "codec/config.yaml").write_text(yaml.safe_dump({**config, **changes}))
        assert (model_facts(*args) == known) == same


def test_a_layer_is_chosen_again_after_another_training(monkeypatch, tmp_path, capsys):
    def choose(*logits: float) -> str:
        if logits:
            torch.save({LOGITS: torch.tensor(logits)}, tmp_path / "valid.loss.best.pth")
        monkeypatch.setattr(sys, "argv", ["x", "--probe_dir", str(tmp_path)])
        choose_layer.main()
        return capsys.readouterr().out

    choose(0.0, 1.0, 2.0)
    assert (tmp_path / "layer").read_text() == "2\n" and "2, chosen before" in choose()
    assert "chosen again: the probe has changed" in choose(0.0, 3.0, 2.0)
    assert (tmp_path / "layer").read_text() == "1\n"
    (tmp_path / "layer_weights.json").unlink()
    choose()
    assert json.loads((tmp_path / "layer_weights.json").read_text())


@pytest.mark.parametrize("change", ["hyp", "ref"])
def test_texts_of_equal_size_and_time_are_scored_again(change, tmp_path, capsys):
    def run() -> str:
        words = ["cer", "--test_set", "t", "--system", "s", "--ref", "ref", "--hyp", "hyp", "--out", "out"]
        score.main([str(tmp_path / word) if word in ("ref", "hyp", "out") else word for word in words])
        return capsys.readouterr().out

    (tmp_path / "ref").write_text("a one two\nb three\n")
    (tmp_path / "hyp").write_text("a one tow\nb three\n")
    run()
    assert "up to date" in run()
    status = (tmp_path / change).stat()
    (tmp_path / change).write_text((tmp_path / change).read_text().replace("three", "there"))
    os.utime(tmp_path / change, ns=(status.st_atime_ns, status.st_mtime_ns))
    what = {"hyp": "the hypotheses", "ref": "the references"}[change]
    assert f"scored again: the data of {what} has changed" in run()
    lines = (tmp_path / change).read_text().splitlines(keepends=True)
    (tmp_path / change).write_text("".join(reversed(lines)))
    assert "up to date" in run(), "the order does not matter"


def test_a_shard_does_not_take_stale_parts_of_another(monkeypatch, make_data_dir, codec_dir, tmp_path):
    """Audio in both shards changes, and one shard alone is made again: nothing is merged."""
    data, out = make_data_dir("test", [2000] * 45), tmp_path / "out"

    def run(shard: str, out: Path) -> None:
        words = ["--exp_dir", codec_dir, "--data", data, "--out", out, "--speech", "false", "--shard", shard]
        monkeypatch.setattr(sys, "argv", ["x", *map(str, words)])
        tokenize.main()

    def codes(out: Path) -> list[np.ndarray]:
        return [read_array(entry) for entry in read_table(out / "codes.scp").values()]

    for shard in ("1/2", "2/2"):
        run(shard, out)
    before = codes(out)
    for path in list(read_table(data / "wav.scp").values())[::30]:
        soundfile.write(path, np.random.default_rng(7).uniform(-0.9, 0.9, 2000), 16000, subtype="PCM_16")
    run("1/2", out)
    assert not (out / "codes.scp").exists()
    run("2/2", out)
    run("1/1", tmp_path / "anew")
    wanted = codes(tmp_path / "anew")
    assert all(map(np.array_equal, codes(out), wanted)) and not all(map(np.array_equal, before, wanted))


def test_what_other_options_made_does_not_stay(make, data, tmp_path, monkeypatch, models, capsys):
    """Speech of codebooks that are asked for no more, crops, and a conversion that is impossible now."""
    out = tmp_path / "out/result"
    make("speech", data, "--num_books", "1", "--crop_seconds", "0.5")
    assert (out / "books_1/wav.scp").exists() and (out / "crops.scp").exists()
    make("speech", data)
    assert not (out / "books_1/wav.scp").exists() and not (out / "crops.scp").exists()
    assert capsys.readouterr().out.count("removed: of an earlier run") == 2 and (out / "combined/wav.scp").exists()
    make("conversion", data)
    assert (out / "wav.scp").exists()
    (data / "utt2spk").write_text((data / "utt2spk").read_text().replace(" b\n", " a\n"))
    make("conversion", data)
    assert not (out / "wav.scp").exists() and not (out / "pairs").exists()
