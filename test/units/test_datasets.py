# Copyright 2026 The hasrd authors
# Apache-2.0
"""Parquet and WebDataset: read back by us and by the libraries that they are made for, where these are installed."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pytest

from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.units.export import read_export
from hasrd.units.formats import parquet, webdataset

SHAPES = [["--kind", "flat"], ["--kind", "delay"], ["--streams", "semantic", "--dedup"], ["--bpe", "120"]]


def columns(words):
    return [0] if "semantic" in words else slice(None)


@pytest.mark.parametrize("words", SHAPES, ids=" ".join)
def test_webdataset(run_export, token_sets, assert_restored, tmp_path, monkeypatch, words):
    monkeypatch.setattr(webdataset, "SHARD", 4)
    folders, data, codes = token_sets
    out = tmp_path / "out"
    run_export(*folders, "--data", *data, "--format", "webdataset", "--out", out, *words)
    assert_restored(out, codes, columns(words))
    assert sorted(path.name for path in out.glob("*.tar")) == [
        "test-clean-000000.tar", "train-000000.tar", "train-000001.tar"
    ]  # fmt: skip
    with tarfile.open(out / "train-000001.tar") as shard:
        names = shard.getnames()
        facts = json.load(shard.extractfile("train-4%2Ea.json"))
        ids = np.load(io.BytesIO(shard.extractfile("train-4%2Ea.npy").read()))
    assert names == [f"train-{n}%2Ea.{kind}" for n in (4, 5) for kind in ("json", "npy")]
    assert facts["id"] == "train-4.a" and facts["num_samples"] == 640 * 33 + 5 and facts["text"] == "IT IS NUMBER 4"
    assert ids.dtype == np.int32 and facts["num_frames"] == 33


def test_webdataset_reads_the_shards(run_export, token_sets, tmp_path):
    package = pytest.importorskip("webdataset")
    folders, _, codes = token_sets
    run_export(*folders, "--format", "webdataset", "--out", tmp_path / "out", "--kind", "frames")
    samples = list(package.WebDataset(str(tmp_path / "out/train-000000.tar"), shardshuffle=False).decode())
    assert [sample["json"]["id"] for sample in samples] == sorted(codes["train"])
    for sample in samples:
        starts = json.loads((tmp_path / "out/units.json").read_text())["starts"]
        assert np.array_equal(sample["npy"] - np.array(starts), codes["train"][sample["json"]["id"]])


def test_long_names_fit(run_export, token_sets, assert_restored, tmp_path):
    folders, _, codes = token_sets
    table = read_table(folders[1] / "codes.scp")
    name = "ä.%" + "x" * 150
    (folders[1] / "codes.scp").write_text(f"{name} {table['test-clean-0.a']}\n")
    run_export(folders[1], "--format", "webdataset", "--out", tmp_path / "out")
    assert_restored(tmp_path / "out", {"test-clean": {name: codes["test-clean"]["test-clean-0.a"]}})


@pytest.mark.parametrize("damage", ["cut", "member", "json", "npy", "type"])
def test_damaged_shards_are_one_line(run_export, token_sets, tmp_path, damage):
    run_export(token_sets[0][1], "--format", "webdataset", "--out", tmp_path / "out", "--kind", "frames")
    path = tmp_path / "out/test-clean-000000.tar"
    with tarfile.open(path) as shard:
        members = {member.name: shard.extractfile(member).read() for member in shard}
    first, second = list(members)[:2]
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1600])
    else:
        members.update({"json": {first: b"[1]"}, "npy": {second: members[second][:-3]}}.get(damage, {}))
        if damage == "member":
            del members[second]
        if damage == "type":
            array = io.BytesIO()
            np.save(array, np.zeros((12, 3)))
            members[second] = array.getvalue()
        with tarfile.open(path, "w") as shard:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    with pytest.raises(UserError, match="test-clean-000000.tar"):
        list(read_export(tmp_path / "out"))


@pytest.mark.parametrize("words", SHAPES, ids=" ".join)
def test_parquet(run_export, token_sets, assert_restored, tmp_path, monkeypatch, words):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(parquet, "SHARD", 4)
    monkeypatch.setattr(parquet, "GROUP", 3)
    folders, data, codes = token_sets
    run_export(*folders, "--data", *data, "--format", "parquet", "--out", tmp_path / "out", *words)
    assert_restored(tmp_path / "out", codes, columns(words))
    names = sorted(path.name for path in (tmp_path / "out/data").iterdir())
    assert names == ["test_clean-00000.parquet", "train-00000.parquet", "train-00001.parquet"]


def test_datasets_loads_the_parquet(run_export, token_sets, tmp_path):
    pytest.importorskip("pyarrow")
    package = pytest.importorskip("datasets")
    folders, data, codes = token_sets
    run_export(*folders, "--data", *data, "--format", "parquet", "--out", tmp_path / "out", "--kind", "frames")
    loaded = package.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "test_clean"} and loaded["train"]["id"][:] == sorted(codes["train"])
    starts = json.loads((tmp_path / "out/units.json").read_text())["starts"]
    for row in loaded["train"]:
        ids = np.array(row["input_ids"], dtype=np.int64).reshape(-1, 3)
        assert np.array_equal(ids - np.array(starts), codes["train"][row["id"]])
    assert loaded["test_clean"][0]["text"] == "IT IS NUMBER 0" and loaded["test_clean"][0]["speaker"] == "speaker0"


def test_damaged_parquet_is_one_line(run_export, token_sets, tmp_path):
    arrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    run_export(token_sets[0][1], "--format", "parquet", "--out", tmp_path / "out")
    path = tmp_path / "out/data/test_clean-00000.parquet"
    whole = arrow.parquet.read_table(path)
    for change in (
        lambda: path.write_bytes(path.read_bytes()[:-100]),
        lambda: arrow.parquet.write_table(whole.drop_columns(["input_ids"]), path),
        lambda: arrow.parquet.write_table(whole.set_column(2, "num_frames", arrow.array(["a", "b"])), path),
        lambda: arrow.parquet.write_table(whole.set_column(0, "id", arrow.array([None, "b"])), path),
    ):
        change()
        with pytest.raises(UserError, match="test_clean-00000.parquet"):
            list(read_export(tmp_path / "out"))


def test_without_pyarrow_the_message_names_it(run_export, token_sets, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match="pip install pyarrow"):
        run_export(token_sets[0][1], "--format", "parquet", "--out", tmp_path / "out")
