# Copyright 2026 The hasrd authors
# Apache-2.0
"""The semantic codebook of a frozen encoder (stage 4): k-means of one of its layers, and the tokens of a data set.

The memory for the frames is bounded, whatever the size of the corpus: their number is known beforehand, and each
utterance contributes its share of what fits. Or all frames stay on the disk, in the parts that many jobs have written,
and each iteration passes over them (`stream`).
"""

from __future__ import annotations

import functools
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Iterator, Sequence

import numpy as np
import torch

from hasrd.arrays import Array, read_npy
from hasrd.codec.latents import FrozenEncoder
from hasrd.data.kaldi import DataDir, write_table
from hasrd.data.set_work import DataSetRun, write_merged
from hasrd.errors import UserError
from hasrd.jobs.chunks import run_in_chunks
from hasrd.jobs.digest import sha256
from hasrd.jobs.lock import exclusive_shard
from hasrd.jobs.origin import Origin, is_current, renew, write_record
from hasrd.jobs.sharing import Sharing
from hasrd.models.kmeans import load_kmeans, save_kmeans
from hasrd.quantizer.kmeans import assign

# What the frames take at the peak, in their own size: faiss reads ours, a chunk is read beside them (a test measures).
COPIES = 1.15
# Chunks whose sums are taken together in a pass over a stream: 10,000 utterances.
STREAM_GROUP = 100
# The options that decide which frames are drawn, and those that decide what becomes of them.
DRAWING = ("layer", "portion", "seed", "share_of_frames")
TRAINING = ("num_clusters", "niter")


def portion_of(utterances: list[str], portion: float, seed: int) -> list[str]:
    """The share `portion` of the utterances, sorted, drawn without replacement; the same for the same seed.

    Raises:
        UserError: A portion outside (0, 1].
    """
    if not 0 < portion <= 1:
        raise UserError(f"--portion {portion}: must be above 0 and at most 1")
    count = max(1, round(portion * len(utterances)))
    order = np.random.default_rng(seed).permutation(len(utterances))
    return sorted(utterances[i] for i in order[:count])


def draw_frames(utterance: str, latents: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draw `share` of the frames of latents (T, D), in their order; rounded up or down to whole ones by chance."""
    if share >= 1:
        return latents
    generator = np.random.default_rng([zlib.crc32(utterance.encode()), seed])
    count = int(share * len(latents) + generator.random())
    return latents[np.sort(generator.permutation(len(latents))[:count])]


def train(frames: np.ndarray, num_clusters: int, niter: int, seed: int) -> tuple[np.ndarray, float]:
    """k-means of frames (N, D): centroids (K, D) and inertia a frame. faiss, k-means++ start.

    Raises:
        UserError: Fewer frames than clusters.
    """
    import faiss

    if len(frames) < num_clusters:
        raise UserError(
            f"{len(frames)} frames for {num_clusters} clusters: give more data (--portion) or ask for fewer clusters"
        )
    kmeans = faiss.Kmeans(
        frames.shape[1],
        num_clusters,
        niter=niter,
        seed=seed,
        init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
        # faiss would silently draw 256 frames a cluster.
        max_points_per_centroid=len(frames),
        min_points_per_centroid=1,
    )
    kmeans.train(frames)
    if not np.isfinite(kmeans.centroids).all():
        raise UserError("k-means gave centroids that are not finite: check the audio (stage 1) and the encoder")
    return kmeans.centroids, float(kmeans.obj[-1] / len(frames))


def collect(folders: Sequence[Path], dim: int, share: float = 1.0, seed: int = 0) -> np.ndarray:
    """The frames of all chunks, or a share of those of each, as one array (N, D) float32."""
    lengths = [len(part) for part in _open_frames(folders, dim)]
    counts = [int(share * length) if share < 1 else length for length in lengths]
    frames = np.empty((sum(counts), dim), np.float32)
    start = 0
    # One at a time: what was read of a map stays in memory as long as the map is there.
    for number, (part, count) in enumerate(zip(_open_frames(folders, dim), counts)):
        chosen = part
        if count < len(part):
            chosen = part[np.sort(np.random.default_rng([number, seed]).permutation(len(part))[:count])]
        frames[start : start + count] = chosen
        start += count
    return frames


def _open_frames(folders: Sequence[Path], dim: int) -> Iterator[np.ndarray]:
    form, advice = Array("f", ("N", dim)), "remove its folder and run the stage again"
    for folder in folders:
        yield read_npy(folder / "frames.npy", form, "file of frames", advice, mapped=True)


def train_on_stream(
    folders: Sequence[Path], centroids: np.ndarray, niter: int, sharing: Sharing
) -> tuple[np.ndarray, float]:
    """Lloyd's iterations over frames that stay on the disk: centroids (K, D) float32 and inertia a frame.

    An iteration gives each frame to its nearest centroid, and moves each centroid to the mean of its frames; one that
    has none stays. Source: Lloyd, 1982, and what faiss does in memory.

    Args:
        folders: Of chunks, with frames.npy (N, D) in each.
        centroids: Where they start.
        niter: Passes over all frames.
        sharing: By whom each pass is done.

    Raises:
        UserError: A file of frames that cannot be read.
    """
    # Groups do not depend on who works: sums of floats are taken in one order.
    groups = [tuple(map(str, folders[start : start + STREAM_GROUP])) for start in range(0, len(folders), STREAM_GROUP)]
    inertia = 0.0
    for _ in range(niter):
        counts, sums, total = np.zeros(len(centroids), np.int64), np.zeros(centroids.shape), 0.0
        for own_counts, own_sums, own_total in _in_order(
            groups, sharing.results(functools.partial(_Pass, centroids), groups)
        ):
            counts += own_counts
            sums += own_sums
            total += own_total
        inertia = total / counts.sum()
        means = sums / np.maximum(counts, 1)[:, None]
        centroids = np.where(counts[:, None] > 0, means, centroids).astype(np.float32)
    return centroids, float(inertia)


def _in_order(items: Sequence[Any], results: Iterable[tuple[Any, Any]]) -> Iterator[Any]:
    """Yield the results of items in the order of these; those that come before their turn are kept until then."""
    early, turn = {}, iter(items)
    item = next(turn, None)
    for done, result in results:
        early[done] = result
        while item in early:
            yield early.pop(item)
            item = next(turn, None)


class _Pass:
    """In a worker: counts (K,), sums (K, D) float64 and inertia of the frames of some chunks."""

    def __init__(self, centroids: np.ndarray) -> None:
        import faiss

        self.index = faiss.IndexFlatL2(centroids.shape[1])
        self.index.add(np.ascontiguousarray(centroids))

    def __call__(self, folders: Sequence[str]) -> tuple[np.ndarray, np.ndarray, float]:
        size, dim = self.index.ntotal, self.index.d
        counts, sums, inertia = np.zeros(size, np.int64), np.zeros((size, dim)), 0.0
        for frames in _open_frames([Path(folder) for folder in folders], dim):
            distances, nearest = self.index.search(np.ascontiguousarray(frames, np.float32), 1)
            nearest = nearest[:, 0]
            order = np.argsort(nearest, kind="stable")
            there, starts = np.unique(nearest[order], return_index=True)
            sums[there] += np.add.reduceat(frames[order], starts, axis=0, dtype=np.float64)
            counts += np.bincount(nearest, minlength=size)
            inertia += float(distances.sum(dtype=np.float64))
        return counts, sums, inertia


@dataclass(frozen=True)
class KMeansSetup:
    """How a k-means is trained; the fields are the options of `hasrd kmeans`, whose help explains them."""

    encoder_file: str
    data: str
    layer: int
    num_clusters: int
    portion: float
    max_memory_gb: float
    stream: bool
    niter: int
    seed: int
    nj: int
    ngpu: int
    shard: str
    scheduler: str
    out: Path
    allow_import: bool


def train_kmeans(setup: KMeansSetup) -> None:
    """Write the k-means file `setup.out`, unless it is up to date.

    Raises:
        UserError: Another process writes it, or an encoder, a layer or a data set that can't be used.
    """
    sharing = Sharing(setup.nj, setup.shard, setup.scheduler).on_gpu(setup.ngpu)
    with exclusive_shard(setup.out, sharing.part):
        _train_kmeans(setup, sharing)


def _train_kmeans(setup: KMeansSetup, sharing: Sharing) -> None:
    encoder_hash = sha256_or_error(setup.encoder_file)
    data = DataDir.load(setup.data)
    chosen = portion_of(data.utterances, setup.portion, setup.seed)
    encoder = FrozenEncoder(setup.encoder_file, setup.ngpu, setup.allow_import)
    encoder.check_layer(setup.layer, setup.encoder_file)
    tokens = sum(encoder.num_tokens(samples) for utt, samples in data.samples().items() if utt in set(chosen))
    needed = max(tokens, 1) * 4 * encoder.output_size * COPIES / 2**30
    in_memory = min(1.0, setup.max_memory_gb / needed)
    share = 1.0 if setup.stream else in_memory
    if setup.stream and in_memory < 1:
        print(
            f"note: --stream: each iteration passes over all {tokens} frames, on the disk; the start is the k-means of "
            f"the {100 * in_memory:.0f}% that --max_memory_gb {setup.max_memory_gb:g} holds",
            file=sys.stderr,
        )
    if share < 1:
        print(
            f"note: --max_memory_gb {setup.max_memory_gb:g} holds {100 * share:.0f}% of the {tokens} frames that "
            f"--portion {setup.portion:g} asks for: each utterance gives that share; {needed:.1f} would hold all",
            file=sys.stderr,
        )
    facts = {
        name: getattr(setup, name) for name in ("layer", "num_clusters", "portion", "max_memory_gb", "niter", "seed")
    }
    facts.update(encoder_sha256=encoder_hash, data=setup.data, utterances=len(chosen), share_of_frames=share)
    # Where all frames fit into the memory, it is the same.
    streams = {"stream": in_memory} if setup.stream and in_memory < 1 else {}
    facts.update(streams)
    origin = Origin(
        {name: facts[name] for name in (*DRAWING, *TRAINING, *streams)},
        {"the encoder": setup.encoder_file},
        {"the training set": data.path / "wav.scp"},
    )
    if is_current(setup.out, origin, again=f"{setup.out}: trained again"):
        print(f"{setup.out}: trained already on the same encoder, data and settings, skipped")
        return
    record = renew(setup.out, origin)
    folders = run_in_chunks(
        {utterance: data.wavs[utterance] for utterance in chosen},
        setup.out.parent / "frames",
        functools.partial(_DrawWork, setup, share),
        options={"encoder_sha256": encoder_hash, **{name: facts[name] for name in DRAWING}},
        sharing=sharing,
        desc=f"latents of layer {setup.layer}",
    )
    if folders is None or not sharing.is_whole:
        print(f"{setup.out}: shard {setup.shard} of the frames is done; a run without --shard trains on all")
        return
    frames = collect(folders, encoder.output_size, in_memory if streams else 1.0, setup.seed)
    used = sum(map(len, _open_frames(folders, encoder.output_size))) if streams else len(frames)
    print(f"k-means: {used} frames of {len(chosen)} utterances, {setup.num_clusters} clusters", flush=True)
    centroids, inertia = train(frames, setup.num_clusters, setup.niter, setup.seed)
    if streams:
        del frames
        centroids, inertia = train_on_stream(folders, centroids, setup.niter, sharing)
    save_kmeans(setup.out, centroids, {**facts, "frames": used, "inertia": inertia})
    write_record(setup.out, record)
    print(f"{setup.out}: inertia {inertia:.4g} a frame")


def sha256_or_error(path: str) -> str:
    """SHA-256 of the encoder's file, or a UserError where there is none."""
    if not Path(path).is_file():
        raise UserError(f"{path}: no such encoder file: run stage 3, which writes it")
    return sha256(path)


class _DrawWork:
    """The drawn frames of a chunk of utterances."""

    def __init__(self, setup: KMeansSetup, share: float) -> None:
        self.encoder = FrozenEncoder(setup.encoder_file, setup.ngpu, setup.allow_import)
        self.layer, self.share, self.seed = setup.layer, share, setup.seed

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        latents = self.encoder.latents(inputs, self.layer)
        found = {utt: draw_frames(utt, x, self.share, self.seed) for utt, x in latents}
        np.save(folder / "frames.npy", np.concatenate([found[utt] for utt in sorted(found)]))


class _TokenWork:
    """Semantic tokens of a chunk of utterances."""

    def __init__(self, encoder_file: str, kmeans_file: str, ngpu: int, allow_import: bool):
        self.centroids, facts = load_kmeans(kmeans_file)
        self.encoder = FrozenEncoder(encoder_file, ngpu, allow_import)
        self.layer = self.encoder.check_layer(facts["layer"], encoder_file)

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        tokens = {}
        for utterance, latents in self.encoder.latents(inputs, self.layer):
            codes = assign(torch.from_numpy(latents), self.centroids)
            tokens[utterance] = " ".join(map(str, codes.tolist()))
        write_table(folder / "text", tokens)


def dump_semantic_tokens(run: DataSetRun, encoder_file: str, kmeans_file: str, allow_import: bool) -> None:
    """Write `text` with lines `utt c0 c1 ...`: the nearest centroid of each latent frame.

    Raises:
        UserError: An encoder, a k-means or audio that can't be used.
    """
    text = run.out / "text"
    folders = run.run(
        functools.partial(_TokenWork, encoder_file, kmeans_file, run.ngpu, allow_import),
        "semantic tokens",
        [text],
        options=dict(encoder=sha256_or_error(encoder_file), kmeans=sha256(kmeans_file)),
    )
    if folders is not None:
        write_merged(folders, {"text": text})
        print(f"{run.out}/text: written")
