# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from hasrd.codec.token_file import write_token_file
from hasrd.data.kaldi import read_table, write_table
from hasrd.errors import UserError
from hasrd.jobs.lock import exclusive
from hasrd.units import SPECIAL, export
from hasrd.units.export import read_export

SEMANTIC = ("--streams", "semantic")


@pytest.mark.parametrize("kind", ["flat", "delay", "frames"])
def test_text_gives_the_codes_back(run_export, token_sets, assert_restored, tmp_path, kind):
    folders, data, codes = token_sets
    run_export(*folders, "--data", *data, "--format", "text", "--out", tmp_path / "out", "--kind", kind)
    assert_restored(tmp_path / "out", codes)
    words = (tmp_path / "out/tokens.txt").read_text().splitlines()
    assert len(words) == len(SPECIAL) + 40 + 16 + 30 and words[-1] == "<acoustic1_29>"
    samples = read_table(tmp_path / "out/train/utt2num_samples")
    assert samples == read_table(data[0] / "utt2num_samples")


def test_deduplicated_text(run_export, token_sets, assert_restored, tmp_path):
    folders, _, codes = token_sets
    run_export(*folders, "--format", "text", "--out", tmp_path / "out", *SEMANTIC, "--dedup")
    assert_restored(tmp_path / "out", codes, [0])
    text = read_table(tmp_path / "out/train/text")
    assert all(a != b for line in text.values() for a, b in zip(line.split(), line.split()[1:]))
    durations = read_table(tmp_path / "out/train/utt2durations", may_be_empty=True)
    assert sum(map(int, durations["train-0.a"].split())) == 50


def test_a_slow_stream_alone(run_export, token_sets, assert_restored, tmp_path):
    folders, _, codes = token_sets
    run_export(*folders, "--format", "text", "--out", tmp_path / "out", "--streams", "acoustic")
    assert_restored(tmp_path / "out", codes, [1, 2])
    assert len(read_table(tmp_path / "out/train/text")["train-1.a"].split()) == 2 * 4


def test_up_to_date_and_stale(run_export, token_sets, tmp_path, capsys):
    folders, _, codes = token_sets
    words = [*folders, "--format", "text", "--out", tmp_path / "out"]
    run_export(*words)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    capsys.readouterr()
    run_export(*words)
    assert "up to date" in capsys.readouterr().out
    run_export(*words, "--kind", "delay")
    assert 'made again: kind was "flat" and is "delay"' in capsys.readouterr().err
    run_export(*words)
    after = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {p: c for p, c in before.items() if p.name[0] != "."} == {p: c for p, c in after.items() if p.name[0] != "."}
    write_table(folders[0] / "codes.scp", dict(list(read_table(folders[0] / "codes.scp").items())[:2]))
    run_export(*words)
    assert sum(1 for name, *_ in read_export(tmp_path / "out") if name == "train") == 2


def test_an_export_stays_until_the_next_is_complete(run_export, token_sets, assert_restored, tmp_path, monkeypatch):
    folders, _, codes = token_sets
    words = [*folders, "--format", "text", "--out", tmp_path / "out"]
    run_export(*words)
    with exclusive(tmp_path, ".out"), pytest.raises(UserError, match="is writing there"):
        run_export(*words)
    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(export, "write_lines", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        run_export(*words, "--kind", "delay")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out", "tokens"]
    assert_restored(tmp_path / "out", codes)
    # Killed between the two renames.
    (tmp_path / ".out.new").mkdir()
    run_export(*words, "--kind", "delay")
    assert_restored(tmp_path / "out", codes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out", "tokens"]


def test_semantic_text_and_token_files(run_export, token_sets, assert_restored, tmp_path):
    import torch

    from hasrd.codec.tokens import Tokens

    folders, _, codes = token_sets
    for folder in folders:
        (folder / "codes.scp").unlink()
    run_export(*folders, "--format", "text", "--out", tmp_path / "a", "--codebook_size", "40")
    assert_restored(tmp_path / "a", codes, [0])
    table = {}
    for utterance, array in codes["train"].items():
        size = torch.tensor([len(array)])
        tokens = Tokens(
            torch.from_numpy(array)[None], size, size * 640, 25.0, ("s", "a", "b"), (40, 16, 30), None, (1, 2, 2)
        )
        table[utterance] = str(tmp_path / f"{utterance}.npz")
        write_token_file(table[utterance], tokens, 16000, "0a")
    (tmp_path / "npz/train").mkdir(parents=True)
    write_table(tmp_path / "npz/train/tokens.scp", table)
    run_export(tmp_path / "npz/train", "--format", "text", "--out", tmp_path / "b")
    assert_restored(tmp_path / "b", {"train": codes["train"]})


def test_recipe_sets_are_tokenised_first(run_export, codec_dir, make_data_dir, tmp_path):
    import kaldiio

    codec_dir = shutil.copytree(codec_dir, tmp_path / "codec")
    data = [make_data_dir("train", (4000, 9000)), make_data_dir("test", (5000,))]
    run_export("--exp_dir", codec_dir, "--data", *data, "--format", "text", "--out", tmp_path / "out")
    for name, utterance, codes in read_export(tmp_path / "out"):
        made = kaldiio.load_scp(str(codec_dir / "tokens" / name / "codes.scp"))[utterance]
        assert np.array_equal(codes, made)
    # Tokens of other weights may have been scored: they are not replaced.
    weights = codec_dir / "latest.pth"
    shutil.copy(weights, codec_dir / "valid.mel_distance.best.pth")
    run_export("--exp_dir", codec_dir, "--data", *data, "--format", "text", "--out", tmp_path / "out")
    facts = json.loads((codec_dir / "tokens/test/codes.json").read_text())
    (codec_dir / "tokens/test/codes.json").write_text(json.dumps({**facts, "model": "0b"}))
    with pytest.raises(UserError, match="tokens of other weights than valid.mel_distance.best.pth"):
        run_export("--exp_dir", codec_dir, "--data", *data, "--format", "text", "--out", tmp_path / "out")


def test_a_changed_transcript_counts(run_export, token_sets, tmp_path, capsys):
    folders, data, _ = token_sets
    words = [folders[1], "--data", data[1], "--format", "webdataset", "--out", tmp_path / "out"]
    run_export(*words)
    write_table(data[1] / "text", {utt: "OTHER" for utt in read_table(data[1] / "text")})
    run_export(*words)
    assert "made again: text.test-clean was" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (["--dedup"], "choose a stream"),
        (["--streams", "lexical"], "no stream named lexical"),
        (["--data", "a"], "1 data directories for 2"),
        (["--exp_dir", "a"], "one of the two"),
    ],
)
def test_what_cannot_be_is_one_line(run_export, token_sets, tmp_path, words, message):
    with pytest.raises(UserError, match=message):
        run_export(*token_sets[0], "--format", "text", "--out", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_bad_tokens_are_named(run_export, token_sets, tmp_path):
    folders, _, _ = token_sets
    words = ["--format", "text", "--out", tmp_path / "out"]
    facts = json.loads((folders[0] / "codes.json").read_text())
    for change, message in (
        ({"codebook_sizes": [3, 16, 30]}, "train.*codebook 0 has 3 entries"),
        ({"codebook_strides": [7, 2, 2]}, "within their stride of 7"),
        ({"model": "other"}, "another model"),
        ({"codebook_sizes": [3, 16]}, "codes.json"),
    ):
        (folders[0] / "codes.json").write_text(json.dumps({**facts, **change}))
        with pytest.raises(UserError, match=message):
            run_export(*(folders if "model" in change else folders[:1]), *words)
    with pytest.raises(UserError, match="no tokens in it"):
        run_export(tmp_path, *words)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()
    with pytest.raises(UserError, match="no export"):
        run_export(folders[1], *words)
    assert (tmp_path / "out/mine").exists()


def test_damage_of_an_export_is_one_line(run_export, token_sets, tmp_path):
    run_export(*token_sets[0], "--format", "text", "--out", tmp_path / "out")
    text = tmp_path / "out/train/text"
    before = text.read_text()
    for change, message in (
        (before.replace("<semantic_1>", "<semantic_99>"), "no word of the vocabulary"),
        (before.replace("<semantic_1> ", ""), "codes for"),
        (before.replace("train-0", "train-9"), "nothing says how many frames"),
    ):
        text.write_text(change)
        with pytest.raises(UserError, match=message):
            list(read_export(tmp_path / "out"))
    facts = json.loads((tmp_path / "out/units.json").read_text())
    (tmp_path / "out/units.json").write_text(json.dumps({**facts, "sets": {"../x": 1}}))
    with pytest.raises(UserError, match="cannot be the name"):
        list(read_export(tmp_path / "out"))


def test_the_options_are_light():
    code = "import sys, hasrd.bin.export_units as e; e.get_parser(); print('espnet2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
