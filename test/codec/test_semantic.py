# Copyright 2026 The hasrd authors
# Apache-2.0
"""k-means: against a plain reference, within its memory, and what is drawn for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.codec.semantic import COPIES, draw_frames, portion_of, train, train_on_stream
from hasrd.errors import UserError
from hasrd.jobs.sharing import Sharing


def inertia(frames: np.ndarray, centroids: np.ndarray) -> float:
    return float(((frames[:, None] - centroids[None]) ** 2).sum(-1).min(1).mean())


def lloyd(frames: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Plain k-means with a k-means++ start."""
    generator = np.random.default_rng(seed)
    centroids = frames[generator.integers(len(frames), size=1)]
    for _ in range(1, count):
        distance = ((frames[:, None] - centroids[None]) ** 2).sum(-1).min(1)
        centroids = np.vstack([centroids, frames[generator.choice(len(frames), p=distance / distance.sum())]])
    for _ in range(30):
        nearest = ((frames[:, None] - centroids[None]) ** 2).sum(-1).argmin(1)
        for k in set(nearest.tolist()):
            centroids[k] = frames[nearest == k].mean(0)
    return centroids


def test_as_good_as_plain_kmeans():
    generator = np.random.default_rng(0)
    centres = 5 * generator.standard_normal((12, 6))
    frames = (centres[generator.integers(12, size=1500)] + generator.standard_normal((1500, 6))).astype(np.float32)
    centroids, reported = train(frames, 12, niter=30, seed=0)
    assert centroids.shape == (12, 6) and centroids.dtype == np.float32
    assert reported == pytest.approx(inertia(frames, centroids), rel=0.02)
    # Either finds a local optimum that depends on the start: compared is the best of a few.
    best = min(inertia(frames, lloyd(frames, 12, seed)) for seed in range(6))
    ours = min(inertia(frames, train(frames, 12, niter=30, seed=seed)[0]) for seed in range(6))
    assert ours < 1.02 * best
    again, _ = train(frames, 12, niter=30, seed=0)
    assert np.array_equal(centroids, again)


def test_too_few_frames_is_one_line():
    with pytest.raises(UserError, match="7 frames for 8 clusters: give more data") as error:
        train(np.zeros((7, 3), np.float32), 8, 10, 0)
    assert "\n" not in str(error.value)


@given(length=st.integers(0, 60), share=st.floats(0.01, 1.0), seed=st.integers(0, 99))
@settings(deadline=None)
def test_drawn_frames(length, share, seed):
    latents = np.arange(length, dtype=np.float32)[:, None]
    drawn = draw_frames("utt", latents, share, seed)
    assert np.array_equal(drawn, draw_frames("utt", latents, share, seed))
    assert (np.diff(drawn[:, 0]) > 0).all(), "in their order, none twice"
    assert int(share * length) <= len(drawn) <= int(share * length) + 1


def test_the_share_is_kept_on_average():
    total = sum(len(draw_frames(f"utt{i}", np.zeros((3, 1)), 0.1, 0)) for i in range(2000))
    assert 540 < total < 660


@given(count=st.integers(1, 200), portion=st.floats(0.001, 1.0))
@settings(deadline=None)
def test_portion(count, portion):
    utterances = [f"u{i:03d}" for i in range(count)]
    chosen = portion_of(utterances, portion, 0)
    assert chosen == sorted(set(chosen)) and set(chosen) <= set(utterances)
    assert len(chosen) == max(1, round(portion * count))


@pytest.mark.parametrize("portion", [0.0, -1.0, 1.5])
def test_a_portion_must_be_one(portion):
    with pytest.raises(UserError, match="above 0 and at most 1"):
        portion_of(["a"], portion, 0)


def test_memory_at_the_peak(tmp_path):
    """120 MB of frames in chunks: what becomes resident while they are collected and trained on."""
    count, dim, chunks = 480_000, 64, 16
    folders = [tmp_path / str(i) for i in range(chunks)]
    for i, folder in enumerate(folders):
        folder.mkdir()
        part = np.random.default_rng(i).standard_normal((count // chunks, dim), dtype=np.float32)
        np.save(folder / "frames.npy", part)
    program = f"""
from pathlib import Path
import faiss
from hasrd.codec.semantic import collect, train
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
faiss.omp_set_num_threads(1)
before = peak()
frames = collect([Path({str(tmp_path)!r}) / str(i) for i in range({chunks})], {dim})
train(frames, 64, 2, 0)
print(peak() - before)
"""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process's memory is read from Linux's /proc")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 0.9 < int(done.stdout) / (4 * count * dim) < COPIES, int(done.stdout) / (4 * count * dim)


def test_k_means_on_a_stream_is_lloyds(tmp_path):
    """Against NumPy in float64, with a cluster that no frame is near to: it stays where it is."""
    generator = np.random.default_rng(0)
    frames = generator.standard_normal((300, 4)).astype(np.float32)
    folders = [tmp_path / str(number) for number in range(3)]
    for folder, part in zip(folders, np.split(frames, (50, 260))):
        folder.mkdir()
        np.save(folder / "frames.npy", part)
    centroids = np.concatenate([frames[:4], np.full((1, 4), 100, np.float32)])
    found, inertia = train_on_stream(folders, centroids, 3, Sharing())
    expected = centroids.astype(np.float64)
    for _ in range(3):
        distances = ((frames[:, None] - expected) ** 2).sum(2)
        nearest = distances.argmin(1)
        expected[:4] = [frames[nearest == cluster].mean(0) for cluster in range(4)]
    # float32 holds the centroids.
    assert np.allclose(found, expected, atol=1e-4) and np.isclose(inertia, distances.min(1).mean(), rtol=1e-4)
    assert np.array_equal(found[4], centroids[4])
