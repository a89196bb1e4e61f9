# Copyright 2026 The hasrd authors
# Apache-2.0
"""The two layouts of ESPnet's speech language models, read by ESPnet's own classes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.units.export import read_export


def test_the_recipes_layout(run_export, filled, assert_restored, tmp_path):
    from espnet2.train.dataset import ESPnetMultiTaskDataset

    folders, _, codes = filled
    out = tmp_path / "out"
    run_export(*folders, "--format", "speechlm1", "--out", out)
    assert_restored(out, codes)
    words = (out / "train/token_lists/codec_token_list").read_text().splitlines()
    assert len(words) == 3 * 40 and words[41] == "<codec_layer1_code1>"
    dataset = ESPnetMultiTaskDataset(
        [(str(out / "train/data.json"), "_", "dataset_json")], preprocess=lambda uid, data: data
    )
    assert len(dataset.example_list) == len(codes["train"])
    for name in dataset.example_list:
        utterance, data = dataset[name]
        array = codes["train"][utterance.removeprefix("audiolm_")]
        spoken = [words[number] for number in data["wav.scp"]]
        assert spoken == [f"<codec_layer{m}_code{code}>" for row in array for m, code in enumerate(row)]
    moved = out.rename(tmp_path / "moved")
    assert_restored(moved, codes)


def test_damaged_codes_are_one_line(run_export, filled, tmp_path):
    run_export(*filled[0], "--format", "speechlm1", "--out", tmp_path / "out")
    path = tmp_path / "out/train/codes.ark"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="codes.ark"):
        list(read_export(tmp_path / "out"))


@pytest.mark.parametrize("words", [(), ("--streams", "semantic", "--dedup", "--bpe", "60")])
def test_the_packages_layout(run_export, filled, assert_restored, tmp_path, words):
    from espnet2.speechlm.dataloader.multimodal_loader.text_loader import TextReader
    from espnet2.speechlm.dataloader.task_conf import TASK_CONFIGS

    folders, _, codes = filled
    out = tmp_path / "out"
    run_export(*folders, "--format", "speechlm", "--out", out, *words)
    assert_restored(out, codes, [0] if words else slice(None))
    description = json.loads((out / "train/dataset.json").read_text())
    (entry,) = description["data_entry"]
    assert [entry["name"]] == TASK_CONFIGS["text_only"]["required_entries"] and entry["reader"] == "text"
    reader = TextReader(entry["path"], valid_ids=description["samples"])
    assert dict(reader.items()) == read_table(out / "train/text") and len(reader) == len(codes["train"])


def test_espnet_makes_batches_of_it(run_export, filled, tmp_path, monkeypatch):
    pytest.importorskip("lhotse", reason="ESPnet's loader imports it")
    from espnet2.speechlm.dataloader.iterator import DataIteratorFactory

    folders, _, codes = filled
    out = tmp_path / "out"
    run_export(*folders, "--format", "speechlm", "--out", out, "--streams", "semantic")
    monkeypatch.setenv("ESPNET_DATASET_REGISTRY", str(out / "registry.yaml"))
    direct = f"text_only:train:{out / 'train/dataset.json'}"
    for specifiers in ((direct, ""), ("", "text_only:train")):
        factory = DataIteratorFactory(
            *specifiers, stats_dir=out / "stats", batch_size=70, num_workers=0, collate_fn=lambda batch: batch
        )
        seen = {key[2]: item["text1"] for batch in factory.build_iter() for key, item in batch}
        assert seen == read_table(out / "train/text") and len(factory.batched_examples) > 1


@pytest.mark.parametrize("target", ["speechlm", "speechlm1"])
def test_what_they_do_not_take(run_export, token_sets, tmp_path, target):
    words = [*token_sets[0], "--format", target, "--out", tmp_path / "out"]
    with pytest.raises(UserError, match="no units, which ESPnet"):
        run_export(*words)
    with pytest.raises(UserError, match="takes --kind"):
        run_export(*words, "--kind", "delay")
    if target == "speechlm1":
        with pytest.raises(UserError, match="leave out --dedup and --bpe"):
            run_export(*words, "--bpe", "100")


def test_delays_are_espnets(token_sets):
    # DiscreteAudioIO._apply_delay_interleave: stream n stands n rows later.
    from hasrd.units.arrangements import delay

    codes = token_sets[2]["train"]["train-0.a"]
    rows = delay(codes, (1, 1, 1), (0, 1, 2), -1)
    expected = np.full((len(codes) + 2, 3), -1)
    for stream in range(3):
        expected[stream : stream + len(codes), stream] = codes[:, stream]
    assert np.array_equal(rows, expected)
