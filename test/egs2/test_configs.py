# Copyright 2026 The hasrd authors
# Apache-2.0
"""The recipes' configurations: each builds its model, optimisers and schedulers; the paper's sizes come out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from espnet2.tasks.abs_task import scheduler_classes

from hasrd.codec.build import ENCODER_KEYS, build_speech_encoder, check_encoder
from hasrd.codec.describe import describe
from hasrd.errors import UserError
from hasrd.models.checkpoint import save_encoder
from hasrd.models.kmeans import save_kmeans
from hasrd.tasks.asr import ASRTask
from hasrd.tasks.codec import CodecTask
from hasrd.tasks.ssl import SSLTask
from hasrd.tasks.training import global_batch

EGS2 = Path(__file__).resolve().parents[2] / "egs2"
# A recipe's conf may be a link to another's.
CONFIGS = sorted({path.resolve() for path in EGS2.glob("*/h*1/conf/**/*.yaml") if path.parent.name != "upstream"})
PAPER = EGS2 / "librispeech" / "hasrd1" / "conf"
HAC = EGS2 / "librispeech" / "hac1" / "conf"
SEMANTIC_LAYER, CLUSTERS = 2, 1024
# What --encoder whisper_tiny imports; configurations for encoders of others name none.
WHISPER = {
    "frontend": "whisper_log_mel",
    "encoder": "whisper",
    "encoder_conf": {"attention_dim": 384, "attention_heads": 6, "num_blocks": 4},
}


def name_of(path: Path) -> str:
    return str(path.relative_to(EGS2)).replace("hasrd1/conf/", "").replace("hac1/conf/", "")


def task_of(path: Path):
    kind = path.stem.removeprefix("train_")
    return SSLTask if kind.startswith("ssl") else CodecTask if kind.startswith("codec") else ASRTask


def parse(path: Path, *options: str):
    """The arguments that ESPnet makes of a configuration; it ends the program at a key that it doesn't know."""
    task = task_of(path)
    args = task.get_parser().parse_args(["--config", str(path), "--output_dir", "unused", *options])
    args.token_list = ["<blank>", "<unk>", "<space>", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'", "<sos/eos>"]
    return task, args


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def front_of(config: dict) -> dict:
    """What a configuration says of frontend, normalisation and encoder."""
    return {key: config.get(key) for key in ENCODER_KEYS}


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """stages(config) -> the files of stages 3 and 4 for the encoder that a configuration states."""
    folder = tmp_path_factory.mktemp("stages")
    made: dict[str, tuple[str, str]] = {}

    def make(config: dict) -> tuple[str, str]:
        key = str(front_of(config))
        if key not in made:
            out = folder / str(len(made))
            front = build_speech_encoder(config)
            digest = save_encoder(out / "encoder.safetensors", config, front)
            centroids = np.random.default_rng(0).normal(size=(CLUSTERS, front.encoder.output_size))
            save_kmeans(out / "kmeans.npz", centroids, {"layer": SEMANTIC_LAYER, "encoder_sha256": digest})
            made[key] = str(out / "encoder.safetensors"), str(out / "kmeans.npz")
        return made[key]

    return make


@pytest.fixture(scope="module")
def cmvn(tmp_path_factory):
    """Statistics as stage 2 writes them."""
    path = tmp_path_factory.mktemp("cmvn") / "cmvn.npz"
    np.savez(path, count=10, sum=np.full(80, 20.0), sum_square=np.full(80, 130.0))
    return str(path)


def taught(config: dict, folder: Path) -> tuple[str, ...]:
    """The option of each level for what its teacher says, here nothing."""
    options: list[str] = []
    for level, conf in (config.get("distillation") or {}).items():
        size = conf.get("teacher_size", 384)
        (folder / level).mkdir()
        np.savez(folder / level / "stats.npz", mean=np.zeros(size), std=np.ones(size))
        facts = {"kind": "speech", "identity": level, "size": size, "teacher": "speech", "conf": {}, "cached": True}
        facts |= {"frame_shift": 0.02, "first_centre": 0.0125}
        (folder / level / "teacher.json").write_text(json.dumps(facts))
        (folder / level / "feats.scp").write_text("")
        options += ["--distillation", f"{level}.targets=[{folder / level}]"]
    return tuple(options)


def build(path: Path, stages, cmvn=None, folder=None):
    """The task, arguments and model of a configuration, given what its recipe gives it."""
    options: tuple[str, ...] = ()
    config = load(path)
    if config.get("frozen_encoder") or path.parent.name == "50hz":
        encoder_file, kmeans_file = stages(config if config.get("frozen_encoder") else WHISPER)
        options = ("--encoder_file", encoder_file, "--kmeans_file", kmeans_file)
    elif "layer_probe" in path.stem:
        encoder_file, _ = stages(load(path.parent / "train_ssl.yaml"))
        options = ("--frontend", "upstream", "--frontend_conf", f"encoder_file={encoder_file}")
    elif task_of(path) is ASRTask:
        options = ("--input_size", "80")
    elif config.get("normalize") == "global":
        options = ("--global_stats", cmvn)
    elif config.get("distillation"):
        options = taught(config, folder)
    task, args = parse(path, *options)
    return task, args, task.build_model(args)


def count(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_builds(config, stages, cmvn, tmp_path):
    task, args, model = build(config, stages, cmvn, tmp_path)
    optimizers = task.build_optimizers(args, model)
    assert len(optimizers) == (2 if task is CodecTask and args.discriminator else 1)
    for number, optimizer in enumerate(optimizers, start=1):
        suffix = "" if number == 1 else str(number)
        scheduler = getattr(args, f"scheduler{suffix}")
        if scheduler is not None:
            scheduler_classes[scheduler](optimizer, **getattr(args, f"scheduler{suffix}_conf"))
    if args.normalize == "global":
        assert model.normalize.mean.tolist() == [2.0] * 80 and model.normalize.std.tolist() == [3.0] * 80
    if task is CodecTask and args.encoder_file:
        assert model.codec.quantizer.semantic_layer == SEMANTIC_LAYER
    if task is not ASRTask:
        # What `hasrd info` says without weights is what is built.
        found = describe({**load(config), **(WHISPER if config.parent.name == "50hz" else {})}).parameters
        if task is SSLTask:
            assert found["total"] == count(model)
        else:
            codec = model.codec
            extra = [codec.encoder.module] if args.encoder_file else []
            centroids = codec.quantizer.centroids.numel() if args.encoder_file else 0
            assert found["total"] == count(codec, *extra) + centroids + (found.get("distillation") or 0)
            assert (found["discriminator"] or 0) == (count(model.discriminator) if model.discriminator else 0)


def test_a_frozen_encoder_must_be_given_and_be_the_one_that_is_stated(stages):
    path = EGS2 / "TEMPLATE/hasrd1/conf/train_codec.yaml"
    task, args = parse(path)
    with pytest.raises(UserError, match="--encoder_file not given"):
        task.build_model(args)
    config = load(path)
    other = {**config, "encoder_conf": {**config["encoder_conf"], "num_blocks": 3}}
    encoder_file, kmeans_file = stages(other)
    task, args = parse(path, "--encoder_file", encoder_file, "--kmeans_file", kmeans_file)
    with pytest.raises(UserError, match="encoder_conf: num_blocks is 3, but .* says 4"):
        task.build_model(args)


def test_a_codec_that_states_no_encoder_takes_any(stages, tmp_path):
    config = load(EGS2 / "TEMPLATE/hasrd1/conf/train_codec.yaml")
    encoder_file, kmeans_file = stages(config)
    path = tmp_path / "train_codec.yaml"
    stated = {*front_of(config), "frozen_encoder"}
    path.write_text(yaml.safe_dump({key: value for key, value in config.items() if key not in stated}))
    task, args = parse(path, "--encoder_file", encoder_file, "--kmeans_file", kmeans_file)
    assert task.build_model(args).codec.encoder.num_layers == 5 and args.encoder == "cnn_conformer"


FOLDERS = sorted({path.parent for path in EGS2.glob("*/hasrd1/conf/**/train_ssl.yaml") if not path.parent.is_symlink()})


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_codecs_state_the_encoder_of_their_recipe(folder):
    """train_codec.yaml stands on train_ssl.yaml, and so do those in tuning/ that have no other encoder."""
    ssl = load(folder / "train_ssl.yaml")
    codec = load(folder / "train_codec.yaml")
    assert codec["frozen_encoder"] is True and codec["quantizer"] == "hasrd"
    check_encoder(codec, ssl, "train_ssl.yaml")
    others = [load(path) for path in folder.glob("tuning/train_codec_hasrd*.yaml")]
    for other in others:
        if other["encoder"] == ssl["encoder"]:
            check_encoder(other, ssl, "train_ssl.yaml")


def test_the_defaults_of_librispeech_are_the_papers():
    for name in ("ssl", "codec"):
        link = PAPER / f"train_{name}.yaml"
        assert link.is_symlink() and link.resolve() == PAPER / "tuning" / f"train_{name}_hasrd.yaml"


@pytest.mark.parametrize(
    "name, where",
    [
        ("train_ssl", ""),
        ("train_ssl", "encoder_conf"),
        ("train_ssl", "loss_conf"),
        ("tuning/train_codec_dac", ""),
        ("tuning/train_codec_dac", "quantizer_conf"),
        ("tuning/train_codec_dac", "model_conf"),
        ("../../../TEMPLATE/hasrd1/conf/train_codec", "encoder_conf"),
        ("train_probe", ""),
        ("train_probe", "encoder_conf"),
        ("train_probe", "specaug_conf"),
    ],
)
def test_a_typo_fails(name, where, tmp_path, stages, capsys):
    source = PAPER / f"{name}.yaml"
    config = load(source)
    correct = load(source)
    (config[where] if where else config)["drop_out"] = 1
    path = tmp_path / source.name
    path.write_text(yaml.safe_dump(config))
    with pytest.raises((SystemExit, TypeError, UserError)) as caught:
        # Stages 3 and 4 went well.
        build(path, lambda _: stages(correct))
    assert "drop_out" in f"{caught.value} {capsys.readouterr().err}"


# HASRD, tables 1 to 3: see docs/models.md.
@pytest.mark.parametrize(
    "name, parameters, tolerance",
    [
        ("codec_dac", 76_651_890, 0),
        ("codec_dac_fbank", 68.0e6, 0.005),
        ("codec_dac_fbank_sepconv", 48.0e6, 0.005),
        ("codec_hasrd", 141.6e6, 0.005),
        ("codec_hasrd_hubert", 131.7e6, 0.005),
        ("codec_speechtokenizer", 103.7e6, 0.005),
        ("ssl_bestrq_plus", 62.0e6, 0.005),
        ("ssl_bestrq_plus_global", 62.0e6, 0.005),
        ("ssl_bestrq_baseline", 106.0e6, 0.005),
    ],
)
def test_sizes_of_the_paper(name, parameters, tolerance):
    found = describe(load(PAPER / "tuning" / f"train_{name}.yaml"))
    assert found.parameters["total"] == pytest.approx(parameters, rel=tolerance, abs=0)


@pytest.mark.parametrize(
    "name, frame_rate, bitrate, streams",
    [
        ("dac", 31.25, 2812.5, {"acoustic": 9}),
        ("dac_fbank", 31.25, 2812.5, {"acoustic": 9}),
        ("dac_fbank_sepconv", 31.25, 2812.5, {"acoustic": 9}),
        ("hasrd", 31.25, 2812.5, {"semantic": 1, "acoustic": 8}),
        ("hasrd_10cb", 31.25, 3125.0, {"semantic": 1, "acoustic": 9}),
        ("hasrd_hubert", 50.0, 4500.0, {"semantic": 1, "acoustic": 8}),
        ("speechtokenizer", 50.0, 4000.0, {"semantic": 1, "acoustic": 7}),
        ("hac", 31.25, 2812.5, {"phonetic": 1, "lexical": 1, "acoustic": 7}),
        ("hac_no_phonetic", 31.25, 2812.5, {"lexical": 1, "acoustic": 8}),
        ("hac_no_lexical", 31.25, 2812.5, {"phonetic": 1, "acoustic": 8}),
        ("hac_no_loss", 31.25, 2812.5, {"phonetic": 1, "lexical": 1, "acoustic": 7}),
    ],
)
def test_rates_of_the_paper(name, frame_rate, bitrate, streams):
    file = f"train_codec_{name}.yaml"
    folder = HAC if name == "hac" else (HAC if name.startswith("hac_") else PAPER) / "tuning"
    found = describe(load(folder / file))
    assert (found.frame_rate, found.bitrate_bps, found.streams) == (frame_rate, bitrate, streams)


@pytest.mark.parametrize("corpus", ["librispeech", "mini_librispeech"])
def test_ablations_of_hac_differ_in_levels_and_losses_alone(corpus):
    folder = EGS2 / corpus / "hac1" / "conf"
    whole = load(folder / "train_codec_hac.yaml")
    assert list(whole["distillation"]) == whole["quantizer_conf"]["levels"] == ["phonetic", "lexical"]
    for name, levels, losses in (
        ("no_phonetic", ["lexical"], ["lexical"]),
        ("no_lexical", ["phonetic"], ["phonetic"]),
        ("no_loss", ["phonetic", "lexical"], []),
    ):
        other = load(folder / "tuning" / f"train_codec_hac_{name}.yaml")
        conf = {**whole["quantizer_conf"], "levels": levels, "num_codebooks": 9 - len(levels)}
        expected = {**whole, "quantizer_conf": conf}
        expected["distillation"] = {level: whole["distillation"][level] for level in losses}
        assert {"distillation": {}, **other} == expected
    dac = load(folder / "tuning" / "train_codec_dac.yaml")
    # DAC's row in HASRD's tables has 30k steps.
    own = {"quantizer", "quantizer_conf", "distillation"}
    if corpus == "librispeech":
        own.add("max_epoch")  # DAC's row in HASRD's tables has 30k steps
    shared = whole.keys() - own
    assert {key: whole[key] for key in shared} == {key: dac[key] for key in shared}


def test_schedules_of_the_paper():
    def iterations(config):
        return config["max_epoch"] * config["num_iters_per_epoch"] / config.get("accum_grad", 1)

    for path in PAPER.glob("tuning/train_ssl_*.yaml"):
        ssl = load(path)
        assert iterations(ssl) == 100_000
        assert ssl["batch_bins"] == 600 * 16000 // 128 * 80  # 600 s of each GPU, 8 ms a frame, 80 bins
        _, args = parse(path, "--train_data_path_and_name_and_type", "feats.scp,speech,kaldi_ark")
        said = global_batch(args, args.batch_type, processes=8)
        assert f"an update learns from {9600 * 125 * 80:,} feature values" in said
    for name, wanted in {
        "tuning/train_codec_hasrd": 100_000,
        "tuning/train_codec_hasrd_10cb": 100_000,
        "tuning/train_codec_hasrd_hubert": 100_000,
        "tuning/train_codec_hasrd_istft": 100_000,
        "tuning/train_codec_dac": 30_000,
        "tuning/train_codec_dac_fbank": 30_000,
        "tuning/train_codec_dac_fbank_sepconv": 30_000,
        "train_probe": 30_000,
    }.items():
        config = load(PAPER / f"{name}.yaml")
        assert iterations(config) == wanted
        if "codec" in name:
            assert (config["grad_clip"], config["grad_clip2"]) == (1000, 10)
            assert config["cudnn_benchmark"] and not config["cudnn_deterministic"]


@pytest.mark.parametrize("more", [(), ("--num_iters_per_epoch", "50")])
@pytest.mark.parametrize("name", ["codec_hasrd", "codec_dac", "codec_speechtokenizer"])
def test_the_decay_of_a_codec_is_dacs_whatever_an_epoch_is(name, more):
    _, args = parse(PAPER / f"tuning/train_{name}.yaml", *more)
    for suffix in ("", "2"):
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-4)
        scheduler = scheduler_classes[getattr(args, f"scheduler{suffix}")](
            optimizer, **getattr(args, f"scheduler{suffix}_conf")
        )
        for _ in range(1000):
            optimizer.step()
            scheduler.step()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4 * 0.999996**1000, rel=1e-9)


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
