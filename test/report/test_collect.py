# Copyright 2026 The hasrd authors
# Apache-2.0
import json

import pytest
from exp_tree import RECIPE, put, put_probe

from hasrd.report.collect import collect, in_order


def test_everything_is_found(scored):
    results = collect([scored / "exp"])
    assert len(results.find("mel", "test")) == 4
    (found,) = results.find("wer", "test", "latent")
    assert found.experiment == "codec_small" and found.score.count == 4
    assert found.probe == f"probe_latent_{RECIPE}" and found.recipe == RECIPE and found.run == ""
    (found,) = results.find("wer", "test", "log_mel")
    assert found.experiment == found.probe == f"probe_log_mel_{RECIPE}" and found.recipe == RECIPE
    assert results.experiments(["mel", "stft"]) == ["codec_small"]
    assert list(results.histories) == ["ssl_small"]
    assert set(results.layer_weights["codec_small"]) == {"asr", "reconstruction"}


def test_a_score_in_another_sets_folder_is_refused(exp, one_line):
    folder = exp / "exp" / "codec_small" / "scores"
    (folder / "test").rename(folder / "test-other")
    one_line("holds a score of 'test'", collect, [exp / "exp"])


@pytest.mark.parametrize(
    "name, content",
    [
        ("codec_small/probe_latent_train_probe_0123abcd/scores/test/wer.json", "{"),
        ("codec_small/probe_latent_train_probe_0123abcd/scores/test/wer.json", "[]"),
        ("ssl_small/history.json", '{"epochs": 3}'),
        ("ssl_small/history.json", "nothing"),
        ("codec_small/layer_weights.json", '{"asr": 1}'),
    ],
)
def test_damaged_files_are_named(exp, name, content, one_line):
    (exp / "exp" / name).write_text(content)
    one_line(name.rsplit("/", 1)[1], collect, [exp / "exp"])


def test_missing_folder(tmp_path, one_line):
    one_line("no such folder", collect, [tmp_path / "exp"])


def test_a_score_needs_its_interval(exp, one_line):
    path = exp / "exp/codec_small/probe_latent_train_probe_0123abcd/scores/test/wer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "ci95": [1.0]}))
    one_line(r"wer\.json: .*`\$\.ci95`", collect, [exp / "exp"])


def test_an_experiment_is_the_same_from_wherever_it_is_scanned(scored):
    """The folder of experiments, the experiment alone, or both: as stage 8 and a report of many call it."""
    whole = collect([scored / "exp"])
    own = [found for found in whole.scores if found.experiment == "codec_small"]
    alone = collect([scored / "exp" / "codec_small"])
    assert alone.scores == own and len(own) > 20
    assert alone.folders == {"codec_small": scored / "exp" / "codec_small"}
    both = collect([scored / "exp" / "codec_small", scored / "exp"])
    assert both.scores == whole.scores and both.histories == whole.histories
    assert collect([scored / "exp" / "ssl_small"]).histories.keys() == whole.histories.keys()


def test_experiments_of_one_name_are_told_apart(tmp_path):
    for place in ("cpu/exp", "gpu/exp"):
        put(tmp_path / place / "codec_hasrd", "test", "combined", mel=1.0)
    put(tmp_path / "gpu/exp/codec_dac", "test", "combined", mel=2.0)
    results = collect([tmp_path])
    assert sorted(results.folders) == ["codec_dac", "cpu/exp/codec_hasrd", "gpu/exp/codec_hasrd"]
    assert len(results.find("mel", "test", "combined", "gpu/exp/codec_hasrd")) == 1


def test_a_folder_of_any_name_is_an_experiment_if_it_has_a_configuration(tmp_path):
    model = tmp_path / "models" / "mine"
    put(model, "test", "combined", mel=1.0)
    (model / "config.yaml").write_text("codec: dac\npeer:\n  family: dac\n")
    put(tmp_path / "models" / "codec_own", "test", "combined", mel=1.0)
    (tmp_path / "models" / "codec_own" / "config.yaml").write_text("quantizer_conf:\n    peer: no\n")
    results = collect([tmp_path])
    assert results.experiments(["mel"]) == ["codec_own", "mine"] and results.peers == {"mine"}


def test_repeated_runs_are_found_only_when_asked_for(tmp_path):
    codec = tmp_path / "codec_hasrd"
    for run, wer in (("", 20.0), ("seed1", 22.0), ("seed2", 24.0)):
        put_probe(codec, "test", "tokens_semantic", run, wer=wer)
    results = collect([tmp_path])
    (main,) = results.find("wer", "test", "tokens_semantic")
    assert main.score.mean == 20.0
    runs = results.find("wer", "test", "tokens_semantic", run=None)
    assert [item.run for item in runs] == ["", "seed1", "seed2"] and {item.recipe for item in runs} == {RECIPE}
    assert len(results.find("wer", "test", run="seed1")) == 1


def test_tokens_are_not_searched_but_a_set_of_that_name_is(tmp_path):
    codec = tmp_path / "codec_hasrd"
    put(codec, "tokens", "combined", mel=1.0)
    (codec / "tokens" / "test").mkdir(parents=True)
    (codec / "tokens" / "test" / "history.json").write_text("{")
    assert collect([tmp_path]).test_sets(["mel"]) == ["tokens"]


@pytest.mark.parametrize("content", ["[]", '{"kind": "codec"}', '{"parameters"'])
def test_damaged_description_of_a_model(tmp_path, content, one_line):
    put(tmp_path / "codec_hasrd", "test", "combined", mel=1.0)
    (tmp_path / "codec_hasrd" / "info.json").write_text(content)
    one_line("info.json", collect, [tmp_path])


def test_sets_that_trainings_were_chosen_by_come_last():
    assert in_order(["valid", "dev-clean", "test-other", "test-clean", "a"]) == [
        "a", "test-clean", "test-other", "dev-clean", "valid",
    ]  # fmt: skip
