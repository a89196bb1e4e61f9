# Copyright 2026 The hasrd authors
# Apache-2.0
"""Features of a data directory into Kaldi archives, with the statistics for global normalisation."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np

from hasrd.data.archive import write_archive
from hasrd.data.kaldi import DataDir, read_table, write_table
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path
from hasrd.jobs.chunks import run_in_chunks
from hasrd.jobs.sharing import ALONE, Sharing
from hasrd.jobs.workers import worker_device

# Padded samples a batch. Larger batches leave the processor's caches and are slower.
BATCH_SAMPLES = 16000 * 40


class FeatureWork:
    """Features of one chunk: `feats.ark`, `feats.scp`, `utt2num_frames` and `cmvn.npz` (see hasrd.jobs.chunks)."""

    def __init__(
        self, feats_type: str, feats_conf: Mapping[str, Any], compression_method: int | None, wav_scp: str
    ) -> None:
        from hasrd.frontend import CHOICES
        from hasrd.registry import resolve

        worker_device(0)
        try:
            self.frontend = resolve(CHOICES, feats_type, allow_import=True)(**feats_conf).eval()
        except TypeError as error:
            raise UserError(f"--feats_conf: {error}") from None
        self.compression_method = compression_method
        self.wav_scp = wav_scp

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        import torch

        from hasrd.data.waves import wave_batches

        frontend, features = self.frontend, {}
        batches = wave_batches(inputs, frontend.sample_rate, BATCH_SAMPLES, frontend.window, self.wav_scp)
        for utterances, waves, lengths in batches:
            with torch.inference_mode():
                outputs, frames = frontend(waves, lengths)
            for utterance, output, count in zip(utterances, outputs, frames.tolist()):
                features[utterance] = output[:count].numpy()
        write_features(folder, final_folder, features, self.compression_method)
        write_table(folder / "utt2num_frames", {utterance: str(len(feats)) for utterance, feats in features.items()})


def write_features(
    folder: Path,
    final_folder: Path,
    features: Mapping[str, np.ndarray],
    compression_method: int | None,
    keep: bool = True,
) -> None:
    """Write the features (T, F) of a chunk: `feats.ark` and `feats.scp`, if they are to be kept, and `cmvn.npz`.

    Args:
        folder: Of the chunk, now.
        final_folder: Where it will lie (see hasrd.jobs.chunks).
        features: Of each utterance; written in the order of the names.
        compression_method: As of `write_archive`.
        keep: False writes the statistics alone.
    """
    from hasrd.frontend.normalize import sum_stats

    features = dict(sorted(features.items()))
    if keep:
        final = final_folder / "feats.ark"
        entries = write_archive(folder / "feats.ark", final, features.items(), compression_method)
        write_table(folder / "feats.scp", entries)
    write_stats(folder / "cmvn.npz", *sum_stats(features.values()))


def write_stats(path: Path, count: int, total: np.ndarray, square: np.ndarray) -> None:
    """Write the keys of ESPnet's feature statistics: count, sum, sum_square."""
    with atomic_path(path) as temporary:
        np.savez(temporary, count=count, sum=total, sum_square=square)


def dump_features(
    data: str | Path,
    dump: str | Path,
    *,
    feats_type: str = "log_mel",
    feats_conf: Mapping[str, Any] | None = None,
    compression_method: int | None = None,
    chunk_size: int = 100,
    sharing: Sharing = ALONE,
) -> int | None:
    """Write the features of data directory `data` and copies of its tables into `dump`.

    `dump` gets wav.scp, text, ..., feats.scp, utt2num_frames, speech_shape (`utt T,F`, for ESPnet), cmvn.npz (count,
    sum, sum_square over all frames) and the archives under data/. A killed run goes on where it was; a changed input or
    configuration is computed anew.

    Returns:
        Number of frames, or None while other shards are not done.

    Raises:
        UserError: Bad input; names file, line and utterance.
    """
    source, dump = DataDir.load(data), Path(dump)
    if not source.wavs:
        raise UserError(f"{source.path}/wav.scp: no utterances in it")
    feats_conf = dict(feats_conf or {})
    made_from = [dump / name for name in ("feats.scp", "utt2num_frames", "speech_shape", "cmvn.npz", "wav.scp")]
    folders = run_in_chunks(
        source.wavs,
        dump / "data",
        functools.partial(FeatureWork, feats_type, feats_conf, compression_method, str(source.path / "wav.scp")),
        options=dict(feats_type=feats_type, feats_conf=feats_conf, compression_method=compression_method),
        chunk_size=chunk_size,
        sharing=sharing,
        desc=f"features of {source.path}",
        made_from=made_from,
    )
    if folders is None:
        return None
    tables = dict(source.tables)
    for name in ("feats.scp", "utt2num_frames"):
        tables[name] = merge_tables(folders, name)
    stats = merge_stats(folders)
    write_stats(dump / "cmvn.npz", *stats)
    DataDir(dump, tables).write(dump)
    shapes = {utterance: f"{frames},{len(stats[1])}" for utterance, frames in tables["utt2num_frames"].items()}
    write_table(dump / "speech_shape", shapes)
    return sum(int(frames) for frames in tables["utt2num_frames"].values())


def merge_tables(folders: Sequence[Path], name: str) -> dict[str, str]:
    """The table `name` of all chunks as one."""
    merged: dict[str, str] = {}
    for folder in folders:
        merged.update(read_table(folder / name))
    return merged


def merge_stats(folders: Sequence[Path]) -> tuple[int, np.ndarray, np.ndarray]:
    """The statistics of all chunks as one, added in order."""
    from hasrd.frontend.normalize import read_stats

    count, total, square = 0, 0.0, 0.0
    for folder in folders:
        frames, *sums = read_stats(folder / "cmvn.npz")
        count, total, square = count + frames, total + sums[0], square + sums[1]
    return count, np.asarray(total), np.asarray(square)
