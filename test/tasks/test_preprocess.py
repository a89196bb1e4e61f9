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

from hasrd.frontend.loudness import loudness
from hasrd.tasks.codec import CodecTask
from hasrd.tasks.preprocess import AtLoudness, PadTo, Segment, ShuffleTime, shift_phase


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


def speech_like(samples: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (0.05 * generator.standard_normal(samples) * np.sin(np.arange(samples) / 900)).astype(np.float32)


def level_of(wave: np.ndarray) -> float:
    return float(loudness(torch.from_numpy(wave)[None], 16000))


@given(
    samples=st.integers(1, 20000), gain=st.floats(0.3, 5.0), shift=st.booleans(), random=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=30)
def test_segments_at_one_level(samples, gain, shift, random, seed):
    """Of what is in the segment, peaks at most 1, targets still of the same place.

    Not near the absolute gate of -70 LUFS, above which other blocks count once they are amplified.
    """
    np.random.seed(seed)
    targets = {"semantic": lambda uid, start, stop: {"place": np.array([start, stop])}}
    cut = Segment(8000, "audio", random, 16000, targets)
    wave = (gain * speech_like(samples, seed)).astype(np.float64)
    data = AtLoudness(-16.0, "audio", 16000, shift, cut)("utt", {"audio": wave, "other": 1})
    assert data["audio"].dtype == np.float32 and data["audio"].shape == (min(samples, 8000),) and data["other"] == 1
    start, stop = np.round(data["semantic_place"] * 16000).astype(int)
    assert stop - start == len(data["audio"]) and np.abs(data["audio"]).max() <= 1
    if samples >= 1600 and np.abs(data["audio"]).max() < 1:
        assert abs(level_of(data["audio"]) + 16) < 0.01
    if not shift:
        piece = wave[start:stop]
        assert np.allclose(data["audio"] * np.abs(piece).max(), piece * np.abs(data["audio"]).max(), atol=1e-5)


def test_segments_of_silence_and_without_a_level():
    at_level = AtLoudness(-16.0, "audio", 16000, True)
    assert not at_level("utt", {"audio": np.zeros(500, np.float32)})["audio"].any()
    wave = speech_like(9000)
    assert np.array_equal(AtLoudness(None, "audio", 16000, False)("utt", {"audio": wave})["audio"], wave)
    # Where nothing is drawn at random, it is the same each time.
    first, second = (AtLoudness(-16.0, "audio", 16000, False)("utt", {"audio": wave})["audio"] for _ in range(2))
    assert np.array_equal(first, second)


def test_phase_shift_is_dacs(monkeypatch):
    audiotools = pytest.importorskip("audiotools", reason="the official DAC is not installed (extra: dev)")
    wave = torch.from_numpy(speech_like(20000))[None]
    for angle in (-3.0, 0.5, np.pi / 2):
        signal = audiotools.AudioSignal(wave[None].clone(), 16000)
        signal.stft()
        signal.shift_phase(angle).istft()
        ours = shift_phase(wave, angle, 16000)
        # The ends are padded otherwise.
        torch.testing.assert_close(ours[:, 512:-512], signal.audio_data[0, :, 512:-512], atol=1e-6, rtol=1e-4)
        assert abs(level_of(ours[0].numpy()) - level_of(wave[0].numpy())) < 0.2
    torch.testing.assert_close(shift_phase(wave, np.pi, 16000), -wave, atol=1e-6, rtol=1e-4)
    assert shift_phase(wave[:, :7], 1.0, 16000).shape == (1, 7)


def test_pad_to_keeps_the_lengths():
    collate = PadTo({"audio": 10}, CommonCollateFn(float_pad_value=0.0, int_pad_value=0))
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
