# Copyright 2026 The hasrd authors
# Apache-2.0
"""Targets of teachers for segments: against a plain search, over several sets, in other processes, and damaged."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasrd.data.archive import write_archive
from hasrd.data.kaldi import write_table
from hasrd.data.targets import IGNORED, UNIT, UTTERANCE, WORD, open_targets

pytest.importorskip("kaldiio")
SHIFT, CENTRE = 0.02, 0.0125


def write_speech(folder: Path, feats: dict[str, np.ndarray], **facts) -> Path:
    """A folder as the dump leaves it."""
    folder.mkdir(parents=True)
    size = next(iter(feats.values())).shape[1]
    write_table(folder / "feats.scp", write_archive(folder / "feats.ark", folder / "feats.ark", feats.items()))
    every = np.concatenate(list(feats.values()))
    np.savez(folder / "stats.npz", mean=every.mean(0), std=every.std(0))
    facts = {
        "kind": "speech", "identity": "a", "size": size, "frame_shift": SHIFT, "first_centre": CENTRE, "cached": True,
        "teacher": "speech", "conf": {"source": "x"}, **facts,
    }  # fmt: skip
    (folder / "teacher.json").write_text(json.dumps(facts))
    return folder


def write_text(folder: Path, embeddings: np.ndarray, units: dict[str, list[tuple]], **facts) -> Path:
    folder.mkdir(parents=True)
    np.save(folder / "embeddings.npy", embeddings)
    table, every = {}, []
    for uid, rows in units.items():
        table[uid] = f"{len(every)} {len(rows)}"
        every += rows
    np.save(folder / "units.npy", np.array(every, UNIT))
    write_table(folder / "utt2units", table)
    np.savez(folder / "stats.npz", mean=embeddings.mean(0), std=embeddings.std(0))
    facts = {"kind": "text", "identity": "t", "size": embeddings.shape[1], **facts}
    (folder / "teacher.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    generator = np.random.default_rng(0)
    feats = {f"u{t}": (generator.standard_normal((t, 3)) * [1, 9, 0] + 5).astype(np.float32) for t in (1, 7, 50)}
    return write_speech(tmp_path_factory.mktemp("speech") / "train", feats)


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    embeddings = np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32)
    words = [(1, 0.5, 0.8, WORD), (2, 0.8, 1.0, WORD), (1, 1.2, 1.9, WORD)]
    units = {"a": [(0, 0, 0, UTTERANCE), *words], "b": [(-1, 0, 0, IGNORED)], "c": [(3, 0, 0, UTTERANCE)]}
    return write_text(tmp_path_factory.mktemp("text") / "train", embeddings, units)


@given(frames=st.sampled_from([1, 7, 50]), start=st.integers(0, 20000), length=st.integers(1, 30000))
def test_frames_are_those_whose_centres_lie_in_the_segment(speech, frames, start, length):
    targets = open_targets([speech])
    start, stop = start / 16000, (start + length) / 16000
    whole = targets(f"u{frames}", 0.0, 1e9)["feats"]
    assert whole.shape == (frames, 3)
    got = targets(f"u{frames}", start, stop)
    centres = CENTRE + SHIFT * np.arange(frames)
    # Times are compared in whole samples, which a centre of 12.5 ms and shifts of 20 ms are.
    inside = [i for i, c in enumerate(centres) if round(16000 * start) <= round(16000 * c) < round(16000 * stop)]
    if not inside:
        distance = np.abs(centres - (start + stop) / 2)
        assert len(got["feats"]) == 1
        inside = [int(np.argmin(np.abs(got["times"][0] + start - centres)))]
        assert distance[inside[0]] <= distance.min() + 1e-6
    assert np.array_equal(got["feats"], whole[inside])
    assert np.allclose(got["times"], centres[inside] - start, atol=1e-5)
    assert got["feats"].dtype == got["times"].dtype == np.float32


def test_standardized_by_the_first_set(speech, tmp_path):
    other = write_speech(tmp_path / "valid", {"v": np.full((4, 3), 7.0, np.float32)})
    targets = open_targets([speech, other], standardize=True)
    every = np.concatenate([targets(f"u{t}", 0.0, 9.0)["feats"] for t in (1, 7, 50)])
    assert np.allclose(every.mean(0), 0, atol=1e-5)
    assert np.allclose(every.std(0), [1, 1, 0], atol=1e-5), "what never changes is not amplified"
    raw = open_targets([speech, other])("v", 0.0, 9.0)["feats"]
    assert np.allclose(targets("v", 0.0, 9.0)["feats"], (raw - targets.mean) / targets.std)
    assert np.array_equal(raw, np.full((4, 3), 7.0)) and targets.size == 3


def test_a_set_without_frames_names_the_teacher_to_run(speech, tmp_path):
    assert open_targets([speech]).teacher_source is None
    big = write_speech(tmp_path / "big", {"v": np.ones((4, 3), np.float32)}, cached=False)
    (big / "feats.scp").unlink()
    targets = open_targets([big, speech], standardize=True)
    assert targets.teacher_source == {"teacher": "speech", "conf": {"source": "x"}}
    assert targets.mean.tolist() == [1, 1, 1] and targets.frame_shift == SHIFT


@given(start=st.integers(0, 250), length=st.integers(1, 250))
def test_words_lie_wholly_in_the_segment(text, start, length):
    targets = open_targets([text])
    embeddings = np.load(text / "embeddings.npy")
    got = targets("a", start / 100, (start + length) / 100)
    words = [(1, 50, 80), (2, 80, 100), (1, 120, 190)]
    kept = [word for word in words if start <= word[1] and word[2] <= start + length]
    assert np.array_equal(got["embeddings"], embeddings[[0, *(row for row, _, _ in kept)]])
    spans = [(0, length), *((begin - start, end - start) for _, begin, end in kept)]
    assert np.allclose(got["spans"], np.array(spans) / 100, atol=1e-5) and got["spans"].dtype == np.float32
    assert got["kinds"].tolist() == [UTTERANCE, *[WORD] * len(kept)] and got["kinds"].dtype == np.int64


def test_an_unknown_utterance_is_a_row_to_ignore(text):
    for standardize in (False, True):
        got = open_targets([text], standardize)("b", 1.0, 3.0)
        assert got["kinds"].tolist() == [IGNORED] and not got["embeddings"].any()
        assert got["embeddings"].shape == (1, 5) and got["spans"].tolist() == [[0, 2]]
    got = open_targets([text])("c", 1.0, 3.0)
    assert got["kinds"].tolist() == [UTTERANCE]
    rows = np.concatenate([open_targets([text], True)(uid, 0, 3)["embeddings"] for uid in ("a", "c")])
    assert np.allclose(np.unique(rows, axis=0).mean(0), 0, atol=1e-6)


def test_no_text_at_all(tmp_path):
    folder = write_text(tmp_path / "set", np.zeros((0, 5), np.float32), {"a": [(-1, 0, 0, IGNORED)]})
    assert open_targets([folder])("a", 0, 1)["kinds"].tolist() == [IGNORED]


def test_several_sets_and_other_processes(text, speech, tmp_path):
    second = write_text(tmp_path / "v", np.full((1, 5), 3.0, np.float32), {"v": [(0, 0, 0, UTTERANCE)]})
    targets = open_targets([text, second])
    packed = pickle.dumps(targets)
    assert len(packed) < 2000, "what processes share is not copied to each"
    for copy in (targets, pickle.loads(packed)):
        assert copy("v", 0, 1)["embeddings"].tolist() == [[3.0] * 5]
        assert np.array_equal(copy("a", 0, 9)["embeddings"][0], np.load(text / "embeddings.npy")[0])
    frames = pickle.loads(pickle.dumps(open_targets([speech])))
    assert frames("u7", 0, 9)["feats"].shape == (7, 3)


def test_wrong_folders_are_one_line(speech, text, tmp_path, one_line):
    one_line("no folder", open_targets, [])
    one_line("nowhere/teacher.json: no such file", open_targets, ["nowhere"])
    one_line("another teacher", open_targets, [speech, text])
    other = write_speech(tmp_path / "other", {"v": np.ones((4, 3), np.float32)}, identity="b")
    one_line("other/teacher.json: of another teacher", open_targets, [speech, other])
    for content in ("", "[]", "{}", '{"kind": "speech", "identity": "a", "size": 3}', '{"kind": "smell"}'):
        (other / "teacher.json").write_text(content)
        one_line("teacher.json: .* run the teacher", open_targets, [other])


def test_missing_utterances_and_damage_are_one_line(speech, text, tmp_path, one_line):
    for folder in (speech, text):
        one_line("nothing of utterance 'nobody'", open_targets([folder]), "nobody", 0, 1)
    broken = write_speech(tmp_path / "speech", {"v": np.ones((4, 3), np.float32)})
    (broken / "stats.npz").write_bytes(b"x")
    one_line("stats.npz: not a file of a teacher's statistics", open_targets, [broken], True)
    np.savez(broken / "stats.npz", mean=np.ones(2), std=np.ones(2))
    one_line(r"of shape \(2,\), not \(3\)", open_targets, [broken], True)
    (broken / "feats.ark").write_bytes(b"")
    one_line("feats.ark", open_targets([broken]), "v", 0, 1)
    broken = write_text(tmp_path / "text", np.ones((1, 2), np.float32), {"v": [(0, 0, 0, UTTERANCE)]})
    (broken / "embeddings.npy").write_bytes(b"x")
    one_line("embeddings.npy: not a file of a teacher's targets", open_targets, [broken])


@pytest.mark.parametrize(
    ("row", "units", "match"),
    [
        (5, "0 1", "units.npy: names rows that"),
        (0, "0 2", "utt2units:1: units that"),
        (0, "0 0", "utt2units:1: units that"),
        (0, "-1 1", "utt2units:1: .* are not two numbers"),
        (0, "0", "are not two numbers"),
    ],
)
def test_what_points_to_nothing_is_one_line(tmp_path, row, units, match, one_line):
    broken = write_text(tmp_path / "text", np.ones((1, 2), np.float32), {"v": [(row, 0, 0, UTTERANCE)]})
    (broken / "utt2units").write_text(f"v {units}\n")
    one_line(match, open_targets, [broken])
