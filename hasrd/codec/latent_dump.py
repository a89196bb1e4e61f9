# Copyright 2026 The hasrd authors
# Apache-2.0
"""The layers of a frozen encoder on whole utterances, computed once for a codec's training (stage 5).

The training then runs no encoder, and it sees the latents that the codec will get in use: those of whole utterances,
where an encoder that has only a crop gives others. `hasrd.codec.latent_cache` says in what form, and reads them.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Sequence

import numpy as np
import torch

from hasrd.codec.latent_cache import FACTS, TABLE, VALUES
from hasrd.codec.latents import BATCH_SAMPLES, FrozenEncoder
from hasrd.data.features import merge_tables
from hasrd.data.kaldi import DataDir, write_table
from hasrd.data.waves import wave_batches
from hasrd.errors import UserError
from hasrd.frontend.loudness import to_loudness
from hasrd.jobs.atomic import write_json
from hasrd.jobs.chunks import run_in_chunks
from hasrd.jobs.digest import sha256
from hasrd.jobs.sharing import ALONE, Sharing

# Bytes of a value, and utterances of which a process holds the layers at once.
BYTES, CHUNK = 2, 25


class LatentDump:
    """All layers of one chunk of utterances.

    Args:
        encoder_file: encoder.safetensors of stage 3.
        loudness: Level that the codec takes speech at, in LUFS; None: speech as it is.
        ngpu: 0 computes on one thread of the CPU.
        allow_import: See `hasrd.models.checkpoint.load_encoder`.
    """

    def __init__(self, encoder_file: str, loudness: float | None, ngpu: int, allow_import: bool) -> None:
        self.encoder = FrozenEncoder(encoder_file, ngpu, allow_import)
        self.loudness = loudness

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        found: dict[str, np.ndarray] = {}
        gains: dict[str, float] = {}
        for utterances, waves, lengths in wave_batches(inputs, self.encoder.sample_rate, BATCH_SAMPLES):
            levelled = waves
            if self.loudness is not None:
                levelled, _ = to_loudness(waves, self.encoder.sample_rate, self.loudness, lengths)
            output = self.encoder(levelled, lengths)
            layers = torch.cat([layer.half() for layer in output.layers], -1).cpu().numpy()
            peaks = [wave.abs().amax(1).double() for wave in (levelled, waves)]
            for row, (utterance, count) in enumerate(zip(utterances, output.lengths.tolist())):
                found[utterance] = layers[row, :count]
                gains[utterance] = float(peaks[0][row] / peaks[1][row]) if peaks[1][row] > 0 else 1.0
                if not np.isfinite(found[utterance]).all():
                    raise UserError(
                        f"{inputs[utterance]}: utterance '{utterance}': the encoder gives values that 16 bits do not "
                        "hold: bring its layers to one scale (hasrd import-encoder --standardize), or leave "
                        "--latent_cache_gb at 0"
                    )
        order, table, first = sorted(found), {}, 0
        for utterance in order:
            table[utterance] = f"{final_folder.name} {first} {len(found[utterance])} {gains[utterance]!r}"
            first += len(found[utterance])
        np.save(folder / VALUES, np.concatenate([found[utterance] for utterance in order]))
        write_table(folder / TABLE, table)


def dump_latents(
    sets: Sequence[str | Path],
    out: str | Path,
    encoder_file: str,
    loudness: float | None,
    *,
    max_gb: float,
    sharing: Sharing = ALONE,
    ngpu: int = 0,
    allow_import: bool = False,
) -> tuple[list[Path], float]:
    """Keep the layers of data sets, where those of all sets take at most `max_gb` (in units of 2^30 bytes).

    A killed run goes on where it was; what is there and up to date stays.

    Args:
        sets: Data directories.
        out: The folder of the folders of the sets, which are named as these.
        encoder_file, loudness, ngpu, allow_import: As for LatentDump.
        max_gb: Bound of what is written.
        sharing: By whom it is done, with one thread each. A shard does its part of each set; what joins the parts is a
            run of the whole.

    Returns:
        The folders, none where they would take more, and the gigabytes that they would take or take.

    Raises:
        UserError: Bad input; names the file and the utterance.
    """
    encoder = FrozenEncoder(encoder_file, allow_import=allow_import)
    data = [DataDir.load(path) for path in sets]
    rows = sum(encoder.num_tokens(samples) for source in data for samples in source.samples().values())
    gigabytes = rows * encoder.num_layers * encoder.output_size * BYTES / 2**30
    homes = [Path(out) / source.path.name for source in data]
    if gigabytes > max_gb:
        for home in homes:
            (home / FACTS).unlink(missing_ok=True)
        return [], gigabytes
    facts = {
        "encoder_sha256": sha256(encoder_file),
        "loudness": loudness,
        "num_layers": encoder.num_layers,
        "size": encoder.output_size,
        "frame_shift": encoder.frame_shift,
    }
    for source, folder in zip(data, homes):
        chunks = run_in_chunks(
            source.wavs,
            folder / "data",
            functools.partial(LatentDump, encoder_file, loudness, ngpu, allow_import),
            options=facts,
            chunk_size=CHUNK,
            sharing=sharing.on_gpu(ngpu),
            desc=f"latents of {source.path}",
            made_from=[folder / FACTS, folder / TABLE],
        )
        if chunks is None or not sharing.is_whole:
            continue
        write_table(folder / TABLE, merge_tables(chunks, TABLE))
        write_json(folder / FACTS, facts)
    return homes, gigabytes
