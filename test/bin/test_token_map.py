# Copyright 2026 The hasrd authors
# Apache-2.0
"""The map of a tiny codec on made-up alignments."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter

import numpy as np
import pytest
import torch

from hasrd.bin import token_map, tokenize
from hasrd.data.archive import read_array
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.models.load import load_codec
from hasrd.report.mapping import (
    Segment,
    read_segments,
    stream_vectors,
)

PHONES = ("AA1", "T", "S", "SIL", "IY0", "sp")


@pytest.fixture(scope="module")
def tokenized(codec_dir, tmp_path_factory):
    """An experiment with codes of a data directory of six utterances, three speakers, with alignments."""
    import shutil

    import soundfile

    root = tmp_path_factory.mktemp("map")
    exp, data = shutil.copytree(codec_dir, root / "exp" / "codec_tiny"), root / "data" / "test"
    data.mkdir(parents=True)
    tables = {"wav.scp": [], "utt2spk": [], "phones.ctm": []}
    for number in range(6):
        utterance = f"utt{number}"
        wave = np.random.default_rng(number).uniform(-0.5, 0.5, 16000)
        soundfile.write(root / f"{utterance}.wav", wave, 16000, subtype="PCM_16")
        tables["wav.scp"].append(f"{utterance} {root / utterance}.wav")
        tables["utt2spk"].append(f"{utterance} spk{number % 3}")
        tables["phones.ctm"] += [f"{utterance} 1 {0.05 * i:.2f} 0.05 {PHONES[i % 6]}" for i in range(20)]
    for name, lines in tables.items():
        (data / name).write_text("".join(f"{line}\n" for line in lines))
    before, sys.argv = sys.argv, ["tokenize", "--exp_dir", str(exp), "--data", str(data), "--speech", "false"]
    sys.argv += ["--out", str(exp / "tokens" / "test")]
    try:
        tokenize.main()
    finally:
        sys.argv = before
    return exp, data


@pytest.fixture
def options(tokenized):
    exp, data = tokenized
    out = exp / "token_map" / "test.json"
    return ["--exp_dir", str(exp), "--data", str(data), "--out", str(out), "--num", "60"], out


def test_map(options, tokenized, capsys):
    (words, out), (_, data) = options, tokenized
    token_map.main(words)
    first = out.read_text()
    content = json.loads(first)
    assert content["test_set"] == "test" and list(content["streams"]) == ["semantic", "acoustic"]
    # Four of six phones a time; stress is gone, silences are left out.
    assert Counter(content["phones"]) == {phone: 15 for phone in ("AA", "T", "S", "IY")}
    assert Counter(content["speakers"]) == {f"spk{i}": 20 for i in range(3)}
    for stream in content["streams"].values():
        assert np.isfinite(np.array(stream["points"])).all() and len(stream["points"]) == 60
        assert stream["phone"]["chance"] == 0.25 and stream["speaker"]["chance"] == pytest.approx(1 / 3)
        for found in (stream["phone"], stream["speaker"]):
            assert found["ci95"][0] <= found["accuracy"] <= found["ci95"][1] and found["count"] == 60
    # Again: nothing to do; removed: the same again.
    assert "up to date" not in capsys.readouterr().out
    token_map.main(words)
    assert "up to date, skipped" in capsys.readouterr().out and out.read_text() == first
    out.unlink()
    token_map.main(words)
    assert out.read_text() == first
    # Other phones of the same size and time: made again, and said why.
    capsys.readouterr()
    ctm, status = data / "phones.ctm", (data / "phones.ctm").stat()
    phones = ctm.read_text()
    try:
        ctm.write_text(phones.replace("IY", "UW"))
        os.utime(ctm, ns=(status.st_atime_ns, status.st_mtime_ns))
        token_map.main(words)
        assert "made again: phones.ctm has changed" in capsys.readouterr().out
        assert "UW" in json.loads(out.read_text())["phones"]
        assert sorted(path.name for path in out.parent.glob("*.json")) == ["test.json"], "what a report reads"
    finally:
        ctm.write_text(phones)


def test_vectors_are_those_that_the_codec_decodes(tokenized):
    exp, data = tokenized
    codec, codes = load_codec(exp), read_table(exp / "tokens/test/codes.scp")
    segment = Segment("utt2", 3.2 / codec.frame_rate, 5.7 / codec.frame_rate, "AA", "spk2")
    found = stream_vectors(codec, [segment], codes)
    array = torch.from_numpy(read_array(codes["utt2"]).astype(np.int64))[None]
    weights = np.array([0.8, 1.0, 0.7]) / 2.5
    centroids = codec.quantizer.centroids[array[0, 3:6, 0]].numpy()
    assert np.allclose(found["semantic"][0], weights @ centroids, atol=1e-5)
    books = codec.quantizer.acoustic.books
    acoustic = sum(book.decode(array[0, 3:6, m]) for m, book in enumerate(books, 1)).numpy()
    assert np.allclose(found["acoustic"][0], weights @ acoustic, atol=1e-5)


def test_without_alignments_it_is_left_out(options, tokenized, tmp_path, capsys):
    words, _ = options
    exp, data = tokenized
    (tmp_path / "wav.scp").write_text((data / "wav.scp").read_text())
    out = tmp_path / "map.json"
    token_map.main(["--exp_dir", str(exp), "--data", str(tmp_path), "--out", str(out)])
    assert "left out" in capsys.readouterr().out and not out.exists()


def test_bad_input(options, tokenized, tmp_path):
    words, out = options
    exp, data = tokenized
    with pytest.raises(UserError, match="no such file"):
        token_map.main([*words, "--codes", str(tmp_path / "codes.scp")])
    for name in ("phones.ctm", "utt2spk"):
        (tmp_path / name).write_text((data / name).read_text())
    (tmp_path / "utt2spk").write_text("utt0 spk0\n")
    with pytest.raises(UserError, match="utt1.*no speaker"):
        read_segments(tmp_path)
    (tmp_path / "phones.ctm").write_text("utt0 1 0.0 x AA\n")
    with pytest.raises(UserError, match="phones.ctm"):
        read_segments(tmp_path)


def test_codes_of_other_weights_and_too_few_phones(options, tokenized, tmp_path):
    words, _ = options
    exp, data = tokenized
    codes = tmp_path / "codes.scp"
    codes.write_text((exp / "tokens/test/codes.scp").read_text())
    with pytest.raises(UserError, match="codes.json"):
        token_map.main([*words, "--codes", str(codes)])
    facts = {"model": "0" * 64, "stream_names": ["semantic"], "codebook_sizes": [8]}
    (tmp_path / "codes.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match="other weights"):
        token_map.main([*words, "--codes", str(codes), "--out", str(tmp_path / "map.json")])
    codes.write_text(codes.read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match="needs 40"):
        token_map.main([*words, "--codes", str(codes), "--out", str(tmp_path / "map.json")])


def test_a_stream_gets_no_codes_of_later_streams(tokenized):
    """A codec of another package takes the first so many codebooks, and sums up all that it is given."""
    from types import SimpleNamespace

    exp, _ = tokenized
    given = {}

    def vectors(codes, streams):
        given[streams[0]] = codes.shape[-1]
        return codes[..., :1].float()

    codec = SimpleNamespace(stream_names=("semantic", "acoustic", "acoustic"), vectors=vectors, frame_rate=31.25)
    codes = read_table(exp / "tokens/test/codes.scp")
    stream_vectors(codec, [Segment("utt0", 0, 1, "AA", "spk0")], codes)
    assert given == {"semantic": 1, "acoustic": 3}
