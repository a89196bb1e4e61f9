# Copyright 2026 The hasrd authors
# Apache-2.0
"""mini LibriSpeech end to end, with all that the quick start's corpus can't have: several speakers and alignments; an
encoder without a codec, and a codec of others, through the same stages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recipe import ROOT, Recipe

pytestmark = pytest.mark.timeout(1500)

CLIPS = {"train": 40, "valid": 6, "test-other": 10}
OPTIONS = [
    "--train_set", "train_few", "--valid_set", "valid_few", "--test_sets", "test-other_few",
    "--num_clusters", "16", "--kmeans_portion", "1.0", "--nj", "1", "--num_threads", "1", "--num_examples", "1",
    "--all_tables", "true",
    "--semantic_layer", "1", "--num_books", "1",
]  # fmt: skip


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Recipe:
    """The recipe after all stages, on a few clips of several speakers."""
    if not Path(os.environ.get("LIBRISPEECH", "none")).is_dir():
        pytest.skip("LIBRISPEECH does not name a folder with real speech")
    if not (Path(os.environ["LIBRISPEECH"]) / "alignments").is_dir():
        pytest.skip("LIBRISPEECH has no folder with alignments")
    recipe = Recipe(tmp_path_factory.mktemp("paper"), "mini_librispeech")
    recipe.run("--stage", "1", "--stop_stage", "1")
    for name, count in CLIPS.items():
        words = ["--data", f"data/{name}", "--out", f"data/{name}_few", "--num_utts", str(count)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "hasrd.bin.subset_data", *words]
        subprocess.run(command, cwd=recipe.folder, env=env, check=True, stdout=subprocess.DEVNULL)
    probes = ["--probes", "mix layer_0 tokens_semantic", "--probe_runs", "2"]
    recipe.printed = recipe.run("--stage", "2", *OPTIONS, *probes)
    return recipe


def scores(folder: Path) -> dict[tuple[str, str], dict]:
    """(system, measure) to score, of all score files of main runs below a folder."""
    found = [json.loads(path.read_text()) for path in sorted(folder.rglob("scores/**/*.json"))]
    return {(score["system"], score["measure"]): score for score in found if "run" not in score["details"]}


def test_alignments_reach_the_subsets(recipe):
    for kind in ("phones", "words"):
        lines = (recipe.folder / f"data/test-other_few/{kind}.ctm").read_text().splitlines()
        utterances = {line.split()[0] for line in (recipe.folder / "data/test-other_few/text").read_text().splitlines()}
        assert lines and {line.split()[0] for line in lines} <= utterances


def test_everything_is_measured(recipe):
    codec = next(recipe.folder.glob("exp/codec_*"))
    found = scores(codec)
    whole = {"mel", "stft", "visqol", "stoi", "dnsmos", "speaker_similarity", "codebook", "bitrate", "crop_agreement"}
    whole |= {"pnmi", "phone_purity", "cluster_purity", "target_similarity", "recogniser_wer", "recogniser_cer"}
    assert whole <= {measure for system, measure in found if system == "combined"}
    for system in ("semantic", "acoustic", "shuffled", "books_1"):
        assert {"mel", "stft", "visqol", "speaker_similarity"} <= {m for s, m in found if s == system}, system
    assert {"source_similarity", "target_similarity", "recogniser_wer"} <= {m for s, m in found if s == "conversion"}
    assert found["original", "recogniser_wer"]["mean"] < 60 < found["semantic", "recogniser_wer"]["mean"]
    # The first codebook alone is the semantic stream.
    assert found["books_1", "mel"]["mean"] == found["semantic", "mel"]["mean"]
    runs = list(codec.glob("probe_tokens_semantic_*_seed1/scores/*/wer.json"))
    assert len(runs) == 1 and json.loads(runs[0].read_text())["details"]["run"] == "seed1"
    assert list(codec.glob("token_map/test-other_few.json"))


def test_the_tables_are_filled(recipe):
    results = (recipe.folder / "exp/RESULTS.md").read_text()
    for title in ("Table 1", "Table 2", "Table 3", "Table 4"):
        assert f"\n## {title}" in results
    record = json.loads((recipe.folder / "exp/RESULTS.json").read_text())
    cells = [cell for table in record["tables"] for row in table["rows"] for cell in row["cells"]]
    files = {cell["score"] for cell in cells if cell.get("score")}
    assert files and all((recipe.folder / "exp" / name).is_file() for name in files)
    page = (recipe.folder / "exp/report.html").read_text()
    assert page.count("<audio") >= 6


def test_an_encoder_without_a_codec(recipe):
    words = ["--codec_config", "none", "--probes", "latent tokens_semantic", "--recogniser", "none"]
    printed = recipe.run("--stage", "5", *OPTIONS, *words, "--out_md", "ssl.md", "--out_html", "ssl.html")
    assert "Stage 5: skipped, --codec_config none" in printed and "Stage 6: skipped" in printed
    found = scores(next(recipe.folder.glob("exp/ssl_*")))
    assert {("latent", "wer"), ("tokens_semantic", "wer")} <= found.keys()


def test_a_codec_of_others(recipe, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.EncodecConfig(num_filters=2, hidden_size=16, codebook_dim=16)
    transformers.EncodecModel(config).save_pretrained(tmp_path / "encodec")
    words = ["--peer", f"encodec:{tmp_path / 'encodec'}", "--probes", "tokens_all", "--recogniser", "none"]
    printed = recipe.run("--stage", "3", *OPTIONS, *words, "--out_md", "peer.md", "--out_html", "peer.html")
    assert "Stage 5: skipped, --peer names a trained codec" in printed and "Stage 3" not in printed
    found = scores(recipe.folder / "exp/codec_encodec")
    assert {("combined", "mel"), ("combined", "bitrate"), ("tokens_all", "wer")} <= found.keys()
    assert found["combined", "bitrate"]["mean"] == pytest.approx(6.0)
    assert "encodec" in (recipe.folder / "peer.md").read_text()
    printed = recipe.run("--stage", "6", *OPTIONS, "--peer", "encodec", fails=True)
    assert "--peer encodec: give <kind>:<file or folder>" in printed
