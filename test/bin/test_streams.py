# Copyright 2026 The hasrd authors
# Apache-2.0
"""A codec of three streams (HAC) in every entry point that takes streams apart."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
import torch
import yaml
from small_models import HAC

import hasrd
from hasrd.bin import decode, encode, extract, info, pack, score, token_map, tokenize
from hasrd.codec.inference import prepare
from hasrd.data.kaldi import read_table
from hasrd.metrics.scores import read_score
from hasrd.models.load import load_codec

LENGTHS = (4000, 16000, 700, 9000)
STREAMS = ("phonetic", "lexical", "acoustic")
TAUGHT = {
    "phonetic": {"loss": "frames", "weight": 20.0, "targets": ["dump/x/train"], "teacher_size": 12},
    "lexical": {"loss": "text", "weight": 10.0, "teacher_size": 10},
}
# (D + 1) x D' of the two heads, and the query of the pooling.
HEADS = 17 * 12 + 17 * 10 + 16


def call(monkeypatch, module, *words) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
    module.main()


@pytest.fixture
def data(make_data_dir) -> Path:
    return make_data_dir("test", LENGTHS)


@pytest.fixture
def taught(hac_dir, tmp_path) -> Path:
    """The same codec, as a distillation leaves it."""
    folder = shutil.copytree(hac_dir, tmp_path / "codec_hac")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "distillation": TAUGHT}))
    return folder


def test_tokenize(monkeypatch, hac_dir, data, tmp_path):
    call(monkeypatch, tokenize, "--exp_dir", hac_dir, "--data", data, "--out", tmp_path / "out", "--num_books", "1 2")
    codec = prepare(load_codec(hac_dir))
    versions = {version: read_table(tmp_path / f"out/{version}/wav.scp") for version in (*STREAMS, "combined")}
    for utterance, path in read_table(data / "wav.scp").items():
        tokens = codec.encode(torch.from_numpy(soundfile.read(path, dtype="float32")[0])[None])
        assert tokens.stream_names == ("phonetic", "lexical", "acoustic", "acoustic")
        for version, table in versions.items():
            wanted = codec.decode(tokens, streams=None if version == "combined" else [version])[0]
            found = torch.from_numpy(soundfile.read(table[utterance], dtype="float32")[0])
            assert (found - wanted.clamp(-1, 1)).abs().max() < 1e-4
    others = {path.parent.name for path in (tmp_path / "out").glob("*/wav.scp")} - set(versions)
    assert others == {"shuffled", "books_1", "books_2"}
    assert json.loads((tmp_path / "out/codes.json").read_text())["codebook_sizes"] == [16] * 4


def test_extract(monkeypatch, hac_dir, data, tmp_path):
    call(monkeypatch, extract, "--exp_dir", hac_dir, "--data", data, "--out", tmp_path)
    arrays = {name: kaldiio.load_scp(str(tmp_path / f"{name}.scp")) for name in ("tokens", *STREAMS)}
    for utterance, tokens in arrays["tokens"].items():
        for name, books in zip(STREAMS, ([0], [1], [2, 3])):
            assert np.array_equal(arrays[name][utterance], tokens[:, books])
    sizes = {name: yaml.safe_load((tmp_path / f"{name}_codebook_sizes").read_text()) for name in arrays}
    assert sizes == {"tokens": [16] * 4, "phonetic": [16], "lexical": [16], "acoustic": [16, 16]}


def test_encode_pack_and_decode(monkeypatch, taught, data, tmp_path, capsys):
    call(monkeypatch, pack, taught, tmp_path / "packed")
    model = hasrd.load(str(tmp_path / "packed"))
    source = next(iter(read_table(data / "wav.scp").values()))
    call(monkeypatch, encode, tmp_path / "packed", source, tmp_path / "a.npz", "--streams", "lexical,phonetic")
    assert model.load_tokens(tmp_path / "a.npz").stream_names == ("phonetic", "lexical")
    whole = model.encode(*soundfile.read(source, dtype="float32"))
    call(monkeypatch, encode, tmp_path / "packed", source, tmp_path / "b.npz")
    for streams in (["lexical"], ["phonetic", "acoustic"]):
        out = tmp_path / f"{streams[0]}.wav"
        call(monkeypatch, decode, tmp_path / "packed", tmp_path / "b.npz", out, "--streams", ",".join(streams))
        found = torch.from_numpy(soundfile.read(out, dtype="float32")[0])
        assert (found - model.decode(whole, streams)[0].clamp(-1, 1)).abs().max() < 1e-3
    capsys.readouterr()
    sizes = []
    for path in (taught, tmp_path / "packed"):
        info.main([str(path), "--json"])
        sizes.append(json.loads(capsys.readouterr().out)["parameters"])
    assert sizes[0] == sizes[1] and sizes[0]["distillation"] == HEADS, "a packed model reports the training form"
    assert "targets" not in (tmp_path / "packed/config.yaml").read_text()
    card = (tmp_path / "packed/README.md").read_text()
    assert "stream `lexical` | 1 x 16 entries" in card and "stream `acoustic` | 2 x 16 entries" in card
    info.main([str(taught)])
    shown = capsys.readouterr().out
    assert "4 (1 phonetic, 1 lexical, 2 acoustic) of 16 entries" in shown
    assert ["distillation", "parameters", str(HEADS)] in [line.split()[:3] for line in shown.splitlines()]


def test_token_map_and_scores(monkeypatch, hac_dir, make_data_dir, tmp_path):
    """Of every stream: a panel's points, PNMI, word F1."""
    exp = shutil.copytree(hac_dir, tmp_path / "exp/codec_hac")
    sets = {name: make_data_dir(name, [16000] * 4) for name in ("train", "test")}
    for name, folder in sets.items():
        utterances = list(read_table(folder / "wav.scp"))
        (folder / "utt2spk").write_text("".join(f"{utt} s{i % 2}\n" for i, utt in enumerate(utterances)))
        for kind, labels in (("phones", ("AA", "T", "S", "SIL")), ("words", ("no", "yes", "<sil>", "go"))):
            lines = [f"{utt} 1 {i / 16:.4f} 0.0625 {labels[i % 4]}\n" for utt in utterances for i in range(16)]
            (folder / f"{kind}.ctm").write_text("".join(lines))
        out = exp / "tokens" / name
        call(monkeypatch, tokenize, "--exp_dir", exp, "--data", folder, "--speech", "false", "--out", out)
    made = tmp_path / "map.json"
    token_map.main(["--exp_dir", str(exp), "--data", str(sets["test"]), "--out", str(made), "--num", "60"])
    assert [*json.loads(made.read_text())["streams"]] == [*STREAMS]
    codes = ["--codes", str(exp / "tokens/test/codes.scp"), "--tokens_info", str(exp / "tokens/test/codes.json")]
    common = ["--test_set", "test", "--system", "combined", "--out", str(tmp_path / "scores"), *codes]
    score.main(["pnmi", *common, "--phones", str(sets["test"] / "phones.ctm")])
    score.main(["word_f1", *common, "--words", str(sets["test"] / "words.ctm"), "--train_codes",
                str(exp / "tokens/train/codes.scp"), "--train_words", str(sets["train"] / "words.ctm")])  # fmt: skip
    for measure in ("pnmi", "word_f1"):
        books = read_score(tmp_path / f"scores/{measure}.json").details["codebooks"]
        assert [book["stream"] for book in books] == ["phonetic", "lexical", "acoustic", "acoustic"]
        assert all(book["ci95"][0] <= book["value"] <= book["ci95"][1] for book in books)
    assert HAC["quantizer_conf"]["levels"] == [book["stream"] for book in books[:2]]
