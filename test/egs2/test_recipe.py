# Copyright 2026 The hasrd authors
# Apache-2.0
"""The recipe end to end on real speech, with small models: all stages, run again, killed, and on bad input."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from recipe import ROOT, Recipe

pytestmark = pytest.mark.timeout(1500)

# Names that every stage has to keep in one piece.
DATA, DUMP, EXP = "my data 100%", "my dump", "my exp 5%"
DATADIR = ["--datadir", DATA]
CLIPS = {"train": 48, "valid": 12, "test": 24}
OPTIONS = [
    *DATADIR, "--dumpdir", DUMP, "--expdir", EXP,
    "--train_set", "train_few", "--valid_set", "valid_few", "--test_sets", "test_few",
    "--num_clusters", "16", "--kmeans_portion", "1.0", "--nj", "1", "--num_threads", "1", "--num_examples", "1",
    # What takes long: test_paper.py has it.
    "--num_books", "1", "--quality_measures", "stoi", "--recogniser", "none",
]  # fmt: skip
PROBES = ["--probes", "log_mel latent latent_shuffled tokens_semantic tokens_all"]
# The killed run: a probe on features and one on codes stand for the others.
FEW_PROBES = ["--probes", "latent tokens_all"]


def few(recipe: Recipe, sets: dict[str, str]) -> None:
    """Cut small sets out of the data of stage 1: new name to the set that it is cut from."""
    for name, source in sets.items():
        count = str(CLIPS[name.partition("_")[0]])
        words = ["--data", f"{DATA}/{source}", "--out", f"{DATA}/{name}", "--num_utts", count]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "hasrd.bin.subset_data", *words]
        subprocess.run(command, cwd=recipe.folder, env=env, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Recipe:
    """A copy of a recipe after stage 1: the quick start's where its speech can be had, else mini LibriSpeech's."""
    recipe = Recipe(tmp_path_factory.mktemp("quick_start"), "asterisk")
    try:
        recipe.run(*DATADIR, "--stage", "1", "--stop_stage", "1")
        sets = {"train_few": "train", "valid_few": "valid", "test_few": "test"}
    except AssertionError as error:
        if "apt-get" not in str(error):
            raise
        if not Path(os.environ.get("LIBRISPEECH", "none")).is_dir():
            pytest.skip("no real speech: apt-get can't download the prompts, and LIBRISPEECH names no folder")
        recipe = Recipe(tmp_path_factory.mktemp("mini"), "mini_librispeech")
        recipe.run(*DATADIR, "--stage", "1", "--stop_stage", "1")
        sets = {"train_few": "train", "valid_few": "valid", "test_few": "test-clean"}
    few(recipe, sets)
    return recipe


def copy_of(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its data, before stage 2."""
    other = Recipe(folder, str(recipe.folder.parent.name))
    for part in (DATA, "downloads"):
        if (recipe.folder / part).exists():
            # Times of the files stay: what is made from them knows them by these.
            shutil.copytree(recipe.folder / part, other.folder / part, symlinks=True)
    return other


@pytest.fixture(scope="module")
def before(recipe, tmp_path_factory) -> Recipe:
    """A copy for the killed run, made before anything else is."""
    return copy_of(recipe, tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def whole(recipe, before) -> Recipe:
    """The recipe after all stages, uninterrupted."""
    recipe.printed = recipe.run("--stage", "2", *OPTIONS, *PROBES)
    return recipe


def files(recipe: Recipe) -> dict[str, bytes]:
    """All that a run leaves behind but its logs and the report."""
    found = {}
    for part in (DUMP, EXP):
        for path in sorted((recipe.folder / part).rglob("*")):
            if path.parent == recipe.folder / EXP:
                continue
            if path.is_file() and path.suffix != ".log" and "tensorboard" not in path.parts and path.name[0] != ".":
                found[str(path.relative_to(recipe.folder))] = path.read_bytes()
    return found


def test_all_stages(whole):
    for stage in range(2, 9):
        assert f"Stage {stage}: " in whole.printed
    assert "left" in whole.printed, "says how long it will take"
    results = (whole.folder / EXP / "RESULTS.md").read_text()
    page = (whole.folder / EXP / "report.html").read_text()
    assert "\n- Command: ./run.sh --ssl_config conf_small/ssl.yaml " in results
    assert f" --stage 2 --datadir '{DATA}' " in results and " --recogniser none " in results
    scores = sorted((whole.folder / EXP).rglob("scores/**/*.json"))
    found = []
    for path in scores:
        score = json.loads(path.read_text())
        found.append((score["system"], score["measure"]))
        assert score["test_set"] in ("valid_few", "test_few") and score["count"] > 0
        assert score["ci95"][0] <= score["mean"] <= score["ci95"][1]
        # Shown as it is, in percent or in thousands.
        shown = {f"{factor * score['mean']:.{digits}f}" for factor in (1, 100, 0.001) for digits in (1, 2, 3)}
        for text in (results, page):
            assert any(number in text for number in shown), path
            assert score["test_set"] in text
    wanted = [("ssl", "masked_accuracy"), ("mean_spectrum", "mean_spectrum")]
    for version in ("combined", "semantic", "acoustic", "shuffled", "books_1"):
        wanted += [(version, measure) for measure in ("mel", "stft", "visqol", "speaker_similarity")]
    wanted += [("combined", measure) for measure in ("stoi", "codebook", "bitrate", "crop_agreement")]
    wanted += [(probe, measure) for probe in PROBES[1].split() for measure in ("cer", "wer", "ctc_loss")]
    # What needs the alignments of mini LibriSpeech, where the quick start's speech can't be had.
    aligned = {"pnmi", "phone_purity", "cluster_purity", "word_f1", "unit_bits"}
    assert sorted(pair for pair in found if pair[1] not in aligned) == sorted(wanted)
    assert page.count("<audio") >= 4, "speech to listen to, in each version"


def test_the_second_run_does_nothing(whole):
    made = files(whole)
    printed = whole.run("--stage", "2", "--stop_stage", "7", *OPTIONS, *PROBES)
    assert files(whole) == made
    assert printed.count("already trained for 2 epochs") == 3 + 5, "pre-training, layer, codec and each probe"
    assert "masked.scp: up to date, skipped" in printed and "chosen before" in printed
    logs = "".join(path.read_text() for path in (whole.folder / EXP).rglob("*.log"))
    logs += "".join(path.read_text() for path in (whole.folder / DUMP).rglob("*.log"))
    for words in ("24 utterances are done already, nothing to compute", "kmeans.npz: trained already"):
        assert words in logs
    assert logs.count("decode/test_few/text: up to date, skipped") == 5


def test_killed_in_each_stage(whole, before):
    """Whatever a kill leaves behind, the same command goes on from there to the same bytes."""
    killed = before
    wanted = files(whole)

    def stage(number: int, pattern: str, *words: str) -> None:
        command = (*OPTIONS, *FEW_PROBES, "--stage", str(number), "--stop_stage", str(number))
        killed.run_killed(killed.found(pattern), *command)
        killed.run(*command)

    stage(2, f"{DUMP}/fbank/train_few/data/.tmp-*")
    # In the second epoch.
    stage(3, f"{EXP}/ssl_*/history.json")
    assert "going on after epoch 1" in next(killed.folder.glob(f"{EXP}/ssl_*/train.log")).read_text()
    stage(4, f"{EXP}/kmeans_*/frames/.tmp-*")
    # The second epoch's weights are saved, its checkpoint is not or just so.
    stage(5, f"{EXP}/codec_*/2epoch.pth")
    # A chunk is in work, with some of its speech.
    stage(6, f"{EXP}/codec_*/tokens/test_few/chunks/.tmp-*/semantic/*.flac")
    stage(7, f"{EXP}/codec_*/probe_latent_*/1epoch.pth")
    killed.run(*OPTIONS, *FEW_PROBES, "--stage", "8")

    found = files(killed)
    left_out = sorted(name for name in wanted.keys() - found.keys() if "probe_" not in name)
    assert not left_out
    surplus = sorted(found.keys() - wanted.keys())
    assert not surplus
    # Weights are compared as tensors; these say also how long something took.
    timed = ("history.json", "checkpoint.pth", "config.yaml")
    for name, content in found.items():
        if name.endswith("epoch.pth") or name.endswith(".best.pth") or name.endswith("latest.pth"):
            first, second = (torch.load(r.folder / name, weights_only=True) for r in (whole, killed))
            assert first.keys() == second.keys(), name
            assert all(torch.equal(first[key], second[key]) for key in first), name
        elif not name.endswith(timed):
            assert content == wanted[name], name
    assert not list((killed.folder / EXP).rglob(".tmp-*")), "half files are left"
    assert filecmp.cmp(whole.folder / DATA / "train_few/wav.scp", killed.folder / DATA / "train_few/wav.scp")


@pytest.mark.parametrize(
    "words, message",
    [
        (["--no_such_option", "1"], "no_such_option"),
        (["--ssl_config", "conf/none.yaml"], "conf/none.yaml: no such configuration"),
        (["--feats_type", "mfcc"], "--feats_type mfcc: choose fbank or raw"),
        (["--stage", "5", "--expdir", "exp_new"], "encoder.safetensors is missing: run stage 3 first"),
        (["--stage", "5", "--semantic_layer", "2", "--num_clusters", "5"], "kmeans.npz is missing: run stage 4 first"),
        (["--stage", "6", "--codec_tag", "other"], "run stage 5 first"),
        (["--stage", "2", "--train_set", "none"], f"{DATA}/none/wav.scp is missing: run stage 1 first"),
        (["--stage", "7", "--probes", "mel"], "unknown probe 'mel'"),
        (["--codec_args", "--optim_conf 'lr=1"], "--codec_args '--optim_conf 'lr=1': no closing quotation"),
        (["--dumpdir", "a,b"], "--dumpdir a,b: choose a name without a comma"),
        (["--stage", "5", "--codec_args", "--frozen_encoder false"], "--kmeans_file not given"),
        (["--stage", "8", "--recogniser", "tiny.en", "--lang", "en es"], "state the one language that is spoken"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_options_are_one_line(whole, words, message):
    made = files(whole)
    printed = whole.run(*OPTIONS, *PROBES, *words, fails=True)
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0], printed
    assert "Traceback" not in printed
    assert files(whole) == made


def test_a_broken_clip_is_named(whole, before):
    """Stage 1 refuses audio that can't be read: file and line are named, and what was trained stays."""
    made = files(before)
    line = (before.folder / DATA / "valid/wav.scp").read_text().splitlines()[3]
    utterance, path = line.split(maxsplit=1)
    clip = before.folder / path
    if not clip.is_relative_to(before.folder):
        pytest.skip("the audio lies outside of the copy")
    clip.write_bytes(clip.read_bytes()[:200])
    # The recipe's own preparation would decode the prompt again.
    data_sh = before.folder / "local/data.sh"
    data_sh.unlink()
    data_sh.write_text("#!/usr/bin/env bash\n")
    data_sh.chmod(0o755)
    printed = before.run(*DATADIR, "--stage", "1", "--stop_stage", "1", fails=True)
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and clip.name in errors[0] and f"{DATA}/valid/wav.scp:4" in errors[0], printed
    assert "Traceback" not in printed and files(before) == made
