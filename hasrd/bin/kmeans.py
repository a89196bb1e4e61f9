# Copyright 2026 The hasrd authors
# Apache-2.0
"""Train the k-means of the semantic codebook on one layer of a frozen encoder (stage 4).

Memory is bounded by `--max_memory_gb`, whatever the size of the corpus: the number of frames is known beforehand, and
each utterance contributes its share of what fits.
"""

from __future__ import annotations

import argparse
import functools
import sys
import zlib
from pathlib import Path

import numpy as np

from hasrd.arrays import Array, read_npy
from hasrd.codec.latents import FrozenEncoder
from hasrd.data.kaldi import DataDir
from hasrd.errors import UserError, run_main
from hasrd.jobs.chunks import run_in_chunks
from hasrd.jobs.digest import sha256
from hasrd.jobs.lock import exclusive
from hasrd.jobs.origin import Origin, forget, why_stale, write_record
from hasrd.models.kmeans import save_kmeans
from hasrd.registry import add_allow_import

# What the frames take at the peak, in their own size: faiss reads ours, a chunk is read beside them (a test measures).
COPIES = 1.15
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


def collect(folders: list[Path], dim: int) -> np.ndarray:
    """The drawn frames of all chunks as one array (N, D) float32."""
    form, advice = Array("f", ("N", dim)), "remove its folder and run the stage again"
    parts = [read_npy(folder / "frames.npy", form, "file of frames", advice, mapped=True) for folder in folders]
    frames = np.empty((sum(map(len, parts)), dim), np.float32)
    start = 0
    while parts:
        # One at a time: what was read of a map stays in memory as long as the map is there.
        part = parts.pop(0)
        frames[start : start + len(part)] = part
        start += len(part)
    return frames


def main() -> None:
    """Train on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--encoder_file", required=True, help="encoder.safetensors of stage 3")
    parser.add_argument("--data", required=True, help="data directory of the training set")
    parser.add_argument("--layer", type=int, required=True, help="layer to cluster (0 is the CNN)")
    parser.add_argument("--num_clusters", type=int, default=1024, help="number of semantic tokens")
    parser.add_argument("--portion", type=float, default=0.1, help="share of the utterances to take")
    parser.add_argument("--max_memory_gb", type=float, default=4.0, help="bound of the memory for frames")
    parser.add_argument("--niter", type=int, default=30, help="iterations")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--nj", type=int, default=1, help="processes that compute latents")
    parser.add_argument("--ngpu", type=int, default=0, help="1: compute latents on the GPU, in one process")
    parser.add_argument("--out", required=True, type=Path, help="file to write: kmeans.npz")
    add_allow_import(parser, "the encoder's file")
    args = parser.parse_args()
    with exclusive(args.out):
        run(args)


def run(args: argparse.Namespace) -> None:
    """Write `args.out`, unless it is there already."""
    encoder_hash = sha256_or_error(args.encoder_file)
    facts = {
        name: getattr(args, name) for name in ("layer", "num_clusters", "portion", "max_memory_gb", "niter", "seed")
    }
    facts.update(encoder_sha256=encoder_hash, data=str(args.data))
    data = DataDir.load(args.data)
    chosen = portion_of(data.utterances, args.portion, args.seed)
    encoder = FrozenEncoder(args.encoder_file, args.ngpu, args.allow_import)
    encoder.check_layer(args.layer, args.encoder_file)
    tokens = sum(encoder.num_tokens(samples) for utt, samples in data.samples().items() if utt in set(chosen))
    needed = max(tokens, 1) * 4 * encoder.output_size * COPIES / 2**30
    share = min(1.0, args.max_memory_gb / needed)
    if share < 1:
        print(
            f"note: --max_memory_gb {args.max_memory_gb:g} holds {100 * share:.0f}% of the {tokens} frames that "
            f"--portion {args.portion:g} asks for: each utterance gives that share; {needed:.1f} would hold all",
            file=sys.stderr,
        )
    facts.update(utterances=len(chosen), share_of_frames=share)
    origin = Origin(
        {name: facts[name] for name in (*DRAWING, *TRAINING)},
        {"the encoder": args.encoder_file},
        {"the training set": data.path / "wav.scp"},
    )
    reason = why_stale(args.out, origin)
    if not reason:
        print(f"{args.out}: trained already on the same encoder, data and settings, skipped")
        return
    if args.out.exists():
        print(f"{args.out}: trained again: {reason}")
    forget(args.out)
    record = origin.record()
    folders = run_in_chunks(
        {utterance: data.wavs[utterance] for utterance in chosen},
        args.out.parent / "frames",
        functools.partial(_DrawWork, args.encoder_file, args.ngpu, args.allow_import, args.layer, share, args.seed),
        options={"encoder_sha256": encoder_hash, **{name: facts[name] for name in DRAWING}},
        nj=1 if args.ngpu else args.nj,
        desc=f"latents of layer {args.layer}",
    )
    frames = collect(folders, encoder.output_size)
    print(f"k-means: {len(frames)} frames of {len(chosen)} utterances, {args.num_clusters} clusters", flush=True)
    centroids, inertia = train(frames, args.num_clusters, args.niter, args.seed)
    save_kmeans(args.out, centroids, {**facts, "frames": len(frames), "inertia": inertia})
    write_record(args.out, record)
    print(f"{args.out}: inertia {inertia:.4g} a frame")


def sha256_or_error(path: str) -> str:
    """SHA-256 of the encoder's file, or a UserError where there is none."""
    if not Path(path).is_file():
        raise UserError(f"{path}: no such encoder file: run stage 3, which writes it")
    return sha256(path)


class _DrawWork:
    def __init__(self, encoder_file: str, ngpu: int, allow_import: bool, layer: int, share: float, seed: int):
        self.encoder = FrozenEncoder(encoder_file, ngpu, allow_import)
        self.layer, self.share, self.seed = layer, share, seed

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        latents = self.encoder.latents(inputs, self.layer)
        found = {utt: draw_frames(utt, x, self.share, self.seed) for utt, x in latents}
        np.save(folder / "frames.npy", np.concatenate([found[utt] for utt in sorted(found)]))


if __name__ == "__main__":
    run_main(main)
