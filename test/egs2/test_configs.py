# Copyright 2026 The hasrd authors
# Apache-2.0
"""The recipes' configurations: each builds its model, optimisers and schedulers; the paper's sizes come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from espnet2.tasks.abs_task import scheduler_classes

from hasrd.codec.build import build_front
from hasrd.codec.checkpoint import save_encoder
from hasrd.codec.kmeans import save_kmeans
from hasrd.errors import UserError
from hasrd.tasks.asr import ASRTask
from hasrd.tasks.codec import CodecTask
from hasrd.tasks.ssl import SSLTask

EGS2 = Path(__file__).resolve().parents[2] / "egs2"
# A recipe's conf may be a link to another's.
CONFIGS = sorted({path.resolve() for path in EGS2.glob("*/hasrd1/conf/**/*.yaml")})
PAPER = EGS2 / "librispeech" / "hasrd1" / "conf"
SEMANTIC_LAYER, CLUSTERS = 2, 1024


def name_of(path: Path) -> str:
    return str(path.relative_to(EGS2)).replace("hasrd1/conf/", "")


def task_of(path: Path):
    kind = path.stem.removeprefix("train_")
    return SSLTask if kind.startswith("ssl") else CodecTask if kind.startswith("codec") else ASRTask


def parse(path: Path, *options: str):
    """The arguments that ESPnet makes of a configuration; it ends the program at a key that it doesn't know."""
    task = task_of(path)
    args = task.get_parser().parse_args(["--config", str(path), "--output_dir", "unused", *options])
    args.token_list = ["<blank>", "<unk>", "<space>", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'", "<sos/eos>"]
    return task, args


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """stages(config) -> options that name what stages 3 and 4 made with the train_ssl.yaml beside it."""
    folder = tmp_path_factory.mktemp("stages")
    made: dict[str, tuple[str, str]] = {}

    def make(config: Path) -> tuple[str, str]:
        ssl = yaml.safe_load((config.parent / "train_ssl.yaml").read_text())
        key = str(ssl["encoder_conf"])
        if key not in made:
            out = folder / str(len(made))
            digest = save_encoder(out / "encoder.safetensors", ssl, build_front(ssl))
            size = ssl["encoder_conf"]["attention_dim"]
            centroids = np.random.default_rng(0).normal(size=(CLUSTERS, size))
            save_kmeans(out / "kmeans.npz", centroids, {"layer": SEMANTIC_LAYER, "encoder_sha256": digest})
            made[key] = str(out / "encoder.safetensors"), str(out / "kmeans.npz")
        return made[key]

    return make


def build(config: Path, stages):
    """The task, arguments and model of a configuration, given what its recipe gives it."""
    options: tuple[str, ...] = ()
    if task_of(config) is CodecTask and "encoder" not in yaml.safe_load(config.read_text()):
        encoder_file, kmeans_file = stages(config)
        options = ("--encoder_file", encoder_file, "--kmeans_file", kmeans_file)
    elif "layer_probe" in config.stem:
        options = ("--frontend", "upstream", "--frontend_conf", f"encoder_file={stages(config)[0]}")
    elif task_of(config) is ASRTask:
        options = ("--input_size", "80")
    task, args = parse(config, *options)
    return task, args, task.build_model(args)


def count(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_builds(config, stages):
    task, args, model = build(config, stages)
    optimizers = task.build_optimizers(args, model)
    assert len(optimizers) == (2 if task is CodecTask else 1)
    for number, optimizer in enumerate(optimizers, start=1):
        suffix = "" if number == 1 else str(number)
        scheduler = getattr(args, f"scheduler{suffix}")
        if scheduler is not None:
            scheduler_classes[scheduler](optimizer, **getattr(args, f"scheduler{suffix}_conf"))
    if task is CodecTask and args.encoder_file:
        assert model.codec.quantizer.semantic_layer == SEMANTIC_LAYER


@pytest.mark.parametrize(
    "name, where",
    [
        ("train_ssl", ""),
        ("train_ssl", "encoder_conf"),
        ("train_ssl", "loss_conf"),
        ("tuning/train_codec_dac", ""),
        ("tuning/train_codec_dac", "quantizer_conf"),
        ("tuning/train_codec_dac", "model_conf"),
        ("train_probe", ""),
        ("train_probe", "encoder_conf"),
        ("train_probe", "specaug_conf"),
    ],
)
def test_a_typo_fails(name, where, tmp_path, stages, capsys):
    source = PAPER / f"{name}.yaml"
    config = yaml.safe_load(source.read_text())
    (config[where] if where else config)["drop_out"] = 1
    path = tmp_path / source.name
    path.write_text(yaml.safe_dump(config))
    with pytest.raises((SystemExit, TypeError, UserError)) as caught:
        build(path, stages)
    assert "drop_out" in f"{caught.value} {capsys.readouterr().err}"


# HASRD, table 1.
@pytest.mark.parametrize(
    "name, parameters, tolerance",
    [
        ("train_codec_dac", 76_651_890, 0),
        ("train_codec_dac_fbank", 68.0e6, 0.005),
        ("train_codec_dac_fbank_sepconv", 48.0e6, 0.005),
    ],
)
def test_sizes_of_the_ablations(name, parameters, tolerance, stages):
    _, _, model = build(PAPER / "tuning" / f"{name}.yaml", stages)
    assert count(model.codec) == pytest.approx(parameters, rel=tolerance, abs=0)


def test_size_of_hasrd(stages):
    # HASRD, table 3: 141.6 M, of which the frozen encoder is no parameter and the centroids are a buffer.
    _, args, model = build(PAPER / "train_codec.yaml", stages)
    codec = model.codec
    total = count(codec, codec.encoder.module) + codec.quantizer.centroids.numel()
    assert total == pytest.approx(141.6e6, rel=0.005)
    assert codec.quantizer.codebook_sizes == (1024,) * 9
    assert all(p.requires_grad for p in codec.parameters())


def test_size_of_bestrq_plus():
    # HASRD, table 3: 62.0 M with the head, d = 516.
    task, args = parse(PAPER / "train_ssl.yaml", "--encoder_conf", "attention_dim=516")
    assert count(task.build_model(args)) == pytest.approx(62.0e6, rel=0.005)


def test_schedules_of_the_paper():
    def load(name):
        return yaml.safe_load((PAPER / f"{name}.yaml").read_text())

    def iterations(config):
        return config["max_epoch"] * config["num_iters_per_epoch"] / config.get("accum_grad", 1)

    ssl = load("train_ssl")
    assert iterations(ssl) == 100_000
    assert ssl["batch_bins"] == 600 * 16000 // 128 * 80  # 600 s, 8 ms a frame, 80 bins
    for name, wanted in {
        "train_codec": 100_000,
        "tuning/train_codec_dac": 30_000,
        "tuning/train_codec_dac_fbank": 30_000,
        "tuning/train_codec_dac_fbank_sepconv": 30_000,
        "train_probe": 30_000,
    }.items():
        config = load(name)
        assert iterations(config) == wanted
        for key in ("scheduler_conf", "scheduler2_conf"):
            if "codec" in name:
                decay = 0.999996 ** config["num_iters_per_epoch"]
                assert config[key]["gamma"] == pytest.approx(decay, abs=1e-6)


def test_the_learning_rate_of_pretraining_peaks_after_the_warm_up():
    _, args = parse(PAPER / "train_ssl.yaml")
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], **args.optim_conf)
    scheduler = scheduler_classes[args.scheduler](optimizer, **args.scheduler_conf)
    rates = {}
    for step in (1, 12_500, 25_000, 100_000):
        scheduler.last_epoch = step - 1
        rates[step] = scheduler.get_lr()[0]
    assert rates[25_000] == pytest.approx(8e-4)
    assert rates[12_500] == pytest.approx(4e-4)
    assert rates[100_000] == pytest.approx(4e-4)
