# Copyright 2026 The hasrd authors
# Apache-2.0
import json

import pytest

from hasrd.errors import UserError
from hasrd.report.collect import collect


def test_everything_is_found(scored):
    results = collect([scored / "exp"])
    assert len(results.find("mel", "test")) == 4
    (found,) = results.find("wer", "test", "latent")
    assert found.experiment == "probe_latent" and found.score.count == 4
    assert results.experiments(["mel", "stft"]) == ["codec_small"]
    assert list(results.histories) == ["ssl_small"]
    assert set(results.layer_weights["codec_small"]) == {"asr", "reconstruction"}


def test_a_score_in_another_sets_folder_is_refused(exp):
    folder = exp / "exp" / "codec_small" / "scores"
    (folder / "test").rename(folder / "test-other")
    with pytest.raises(UserError, match="holds a score of 'test'"):
        collect([exp / "exp"])


@pytest.mark.parametrize(
    "name, content",
    [
        ("probe_latent/scores/test/wer.json", "{"),
        ("probe_latent/scores/test/wer.json", "[]"),
        ("ssl_small/history.json", '{"epochs": 3}'),
        ("ssl_small/history.json", "nothing"),
        ("codec_small/layer_weights.json", '{"asr": 1}'),
    ],
)
def test_damaged_files_are_named(exp, name, content):
    (exp / "exp" / name).write_text(content)
    with pytest.raises(UserError, match=name.rsplit("/", 1)[1]):
        collect([exp / "exp"])


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        collect([tmp_path / "exp"])


def test_a_score_needs_its_interval(exp):
    path = exp / "exp/probe_latent/scores/test/wer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "ci95": [1.0]}))
    with pytest.raises(UserError, match="interval"):
        collect([exp / "exp"])
