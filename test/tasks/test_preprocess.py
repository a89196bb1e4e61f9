# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the data loader does: segments, padding to them, and the shuffled control."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from espnet2.train.collate_fn import CommonCollateFn
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.tasks.codec import CodecTask
from hasrd.tasks.preprocess import PadTo, Segment, ShuffleTime


@given(samples=st.integers(1, 50), length=st.integers(1, 50), random=st.booleans(), seed=st.integers(0, 99))
@settings(deadline=None)
def test_segment(samples, length, random, seed):
    np.random.seed(seed)
    wave = np.arange(samples, dtype=np.float32)
    cut = Segment(length, "audio", random)("utt", {"audio": wave, "other": 1})
    segment = cut["audio"]
    assert len(segment) == min(samples, length) and cut["other"] == 1
    assert np.array_equal(segment, np.arange(segment[0], segment[0] + len(segment))), "one piece of the wave"
    if not random:
        left, right = segment[0], samples - 1 - segment[-1]
        assert left == right or left + 1 == right, "the middle"


@pytest.mark.parametrize("segment", [6144, 16000, 80000, 160000])
@pytest.mark.parametrize("seconds", [0.3, 4.0, 12.0])
def test_the_valid_set_is_judged_on_5_s_whatever_is_trained_on(segment, seconds):
    argv = ["--output_dir", "unused", "--segment", str(segment), "--encoder", "log_mel_cnn"]
    args = CodecTask.get_parser().parse_args(argv)
    wave = np.arange(int(16000 * seconds), dtype=np.float32)
    for train, length in ((True, segment), (False, 80000)):
        cut = CodecTask.build_preprocess_fn(args, train)("utt", {"audio": wave})["audio"]
        assert len(cut) == min(length, len(wave))
        _, batch = CodecTask.build_collate_fn(args, train)([("utt", {"audio": cut})])
        assert batch["audio"].shape == (1, length) and batch["audio_lengths"].tolist() == [len(cut)]
    assert cut[0] == max(0, len(wave) - 80000) // 2, "the middle, always the same"


def test_random_segments_reach_both_ends():
    np.random.seed(0)
    cut = Segment(8, "audio", True)
    starts = {int(cut("utt", {"audio": np.arange(10)})["audio"][0]) for _ in range(100)}
    assert starts == {0, 1, 2}


def test_targets_of_the_same_segment():
    """What a reader of targets is asked for is where the wave was cut, in seconds."""
    np.random.seed(0)
    wave = np.arange(1000, dtype=np.float32)

    def targets(uid, start, stop):
        return {"samples": np.array([uid == "utt", start * 100, stop * 100])}

    starts = set()
    for _ in range(20):
        cut = Segment(300, "audio", True, 100, {"phonetic": targets})("utt", {"audio": wave})
        named, start, stop = cut["phonetic_samples"]
        assert named and np.allclose((start, stop), (cut["audio"][0], cut["audio"][-1] + 1))
        starts.add(round(start))
    assert len(starts) > 10
    whole = Segment(3000, "audio", True, 100, {"phonetic": targets})("utt", {"audio": wave})
    assert np.allclose(whole["phonetic_samples"], [1, 0, 1000])


def test_pad_to_keeps_the_lengths():
    collate = PadTo(10, "audio", CommonCollateFn(float_pad_value=0.0, int_pad_value=0))
    items = [("a", {"audio": np.ones(7, np.float32)}), ("b", {"audio": np.ones(4, np.float32)})]
    utterances, batch = collate(items)
    assert utterances == ["a", "b"] and batch["audio"].shape == (2, 10)
    assert batch["audio_lengths"].tolist() == [7, 4] and batch["audio"].sum(1).tolist() == [7, 4]
    assert batch["audio"].dtype == torch.float32


def test_shuffle_time():
    frames = np.arange(40, dtype=np.float32).reshape(20, 2)
    data = {"speech": frames, "text": "A"}
    shuffled = ShuffleTime(None)("utt", data)
    assert shuffled["text"] == "A" and np.array_equal(data["speech"], np.arange(40).reshape(20, 2))
    assert not np.array_equal(shuffled["speech"], frames)
    assert sorted(map(tuple, shuffled["speech"])) == sorted(map(tuple, frames)), "whole frames"
    assert np.array_equal(shuffled["speech"], ShuffleTime(None)("utt", data)["speech"]), "the same each epoch"
    assert not np.array_equal(shuffled["speech"], ShuffleTime(None)("other", data)["speech"])
    then = ShuffleTime(lambda uid, data: {**data, "uid": uid})
    assert then("utt", data)["uid"] == "utt"
