# Copyright 2026 The hasrd authors
# Apache-2.0
"""Voice conversion of a data set (stage 6): each utterance in another voice; `hasrd.codec.convert` says how."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Mapping

import numpy as np
import torch

from hasrd.codec.convert import exchange, word_centroids
from hasrd.codec.data_set import CodecRun, CodecWork, write_speech
from hasrd.codec.model import TokenizerModel
from hasrd.codec.streams import is_split
from hasrd.codec.token_dump import TokenizeWork
from hasrd.codec.token_tables import LOUDNESS, read_numbers
from hasrd.codec.tokens import Tokens
from hasrd.data.archive import read_integers
from hasrd.data.audio import audio_info
from hasrd.data.features import merge_tables
from hasrd.data.kaldi import DataDir, write_table
from hasrd.errors import UserError
from hasrd.jobs.names import inside
from hasrd.jobs.origin import table_facts, why_stale

# Written when all is done.
TABLES = ("wav.scp", "pairs")


def pair_up(speakers: Mapping[str, str], num_pairs: int | None = None, seed: int = 0) -> dict[str, str]:
    """Choose for each utterance one of another speaker, the same on every call.

    Of the other speakers it takes one who has been the target least often so far, and of theirs an utterance that has
    been least often.

    Args:
        speakers: Utterance to speaker, of two speakers at least.
        num_pairs: How many utterances are converted, drawn at random; None: all.

    Returns:
        Utterance to target utterance.
    """
    rng = np.random.default_rng(seed)
    order = [str(utterance) for utterance in rng.permutation(sorted(speakers))]
    own: dict[str, list[str]] = {}
    for utterance in order:
        own.setdefault(speakers[utterance], []).append(utterance)
    times = dict.fromkeys(own, 0)
    pairs = {}
    for utterance in order[:num_pairs]:
        # The first of equals: `own` and its lists are in random order already.
        voice = min((speaker for speaker in own if speaker != speakers[utterance]), key=times.__getitem__)
        pairs[utterance] = own[voice][times[voice] % len(own[voice])]
        times[voice] += 1
    return pairs


class ConvertWork(CodecWork):
    """Converted speech of one chunk of utterances, from the codes of stage 6.

    Args:
        pairs: Utterance to target utterance.
        codes: Utterance to entry of an archive, for the targets.
        loudness: Utterance to LUFS; None of a codec without a level.
        wavs: Utterance to audio, which says how long it is.
        method: Of `exchange`.
    """

    def __init__(
        self,
        run: CodecRun,
        pairs: Mapping[str, str],
        codes: Mapping[str, str],
        loudness: Mapping[str, float] | None,
        wavs: Mapping[str, str],
        method: str,
    ) -> None:
        super().__init__(run)
        self.pairs, self.codes, self.loudness, self.wavs, self.method = pairs, codes, loudness, wavs, method
        self.centroids = [own.cpu() for own in word_centroids(self.codec)] if method == "match" else None

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        audio = {}
        for utterance in inputs:
            target = self.pairs[utterance]
            tokens = exchange(self._tokens(utterance), self._tokens(target), self.method, self.centroids)
            wave = self.codec.decode(tokens.to(self.device))[0]
            write_speech(inside(folder, utterance, ".flac"), wave, self.codec.sample_rate)
            audio[utterance] = str(inside(final_folder, utterance, ".flac"))
        write_table(folder / "wav.scp", audio)

    def _tokens(self, utterance: str) -> Tokens:
        codes = torch.from_numpy(read_integers(self.codes[utterance]).astype(np.int64))[None]
        return Tokens(
            codes,
            torch.tensor([codes.shape[1]]),
            torch.tensor([audio_info(self.wavs[utterance]).num_samples]),
            self.codec.frame_rate,
            self.codec.stream_names,
            self.codec.codebook_sizes,
            None if self.loudness is None else torch.tensor([self.loudness[utterance]]),
            self.codec.codebook_strides,
        )


def current_codes(run: CodecRun, codec: TokenizerModel) -> tuple[dict[str, str], dict[str, float] | None] | None:
    """Return the entries of the codes of the data set and, of a codec with a level, the loudness of its utterances.

    They are made here where stage 6 has left none. None while other shards have some to make.
    """
    if not why_stale(run.out.parent / "codes.scp", run.codes_origin()):
        folders = [run.out.parent]
    else:
        folders = replace(run, out=run.out / "codes").run_codec(TokenizeWork, "tokens", [])
    if folders is None:
        return None
    codes = merge_tables(folders, "codes.scp")
    if codec.loudness is None:
        return codes, None
    loudness = {}
    for folder in folders:
        loudness |= read_numbers(folder / LOUDNESS, float, needed=True)
    missing = sorted(codes.keys() - loudness.keys())
    if missing:
        raise UserError(f"{run.out.parent / LOUDNESS}: utterance '{missing[0]}' is missing: run stage 6 again")
    return codes, loudness


def remove_speech(out: Path) -> None:
    """Remove what an earlier run has made, so that nobody takes it for what there is now."""
    for name in TABLES:
        (out / name).unlink(missing_ok=True)


def convert_set(run: CodecRun, *, num_pairs: int | None, seed: int, method: str) -> None:
    """Write converted speech, wav.scp and `pairs`; what can't be converted is left out, which is said.

    Args:
        run: The codec, the data set and the folder to write; codes in the folder above it are used where they are up
            to date.
        num_pairs, seed: See `pair_up`.
        method: See `exchange`.

    Raises:
        UserError: An utterance without a speaker, or a codec, codes or audio that can't be used.
    """
    if num_pairs is not None and num_pairs < 1:
        raise UserError(f"--num_pairs {num_pairs}: at least 1 is needed")
    data = DataDir.load(run.data)
    speakers = {utterance: data.table("utt2spk").get(utterance) for utterance in data.wavs}
    if None in speakers.values():
        missing = next(utterance for utterance, speaker in speakers.items() if speaker is None)
        raise UserError(f"{data.path}/utt2spk: utterance '{missing}' is missing: write its speaker there")
    if len(set(speakers.values())) < 2:
        remove_speech(run.out)
        print(f"{run.data}: left out: voice conversion needs two speakers at least")
        return
    codec = run.load()
    if not is_split(codec.stream_names):
        remove_speech(run.out)
        print(f"{run.exp_dir}: left out: voice conversion needs acoustic tokens and those of another stream")
        return
    found = current_codes(run, codec)
    if found is None:
        return
    codes, loudness = found
    pairs = pair_up(speakers, num_pairs, seed)
    folders = run.run_codec(
        functools.partial(ConvertWork, pairs=pairs, codes=codes, loudness=loudness, wavs=data.wavs, method=method),
        "conversion",
        [run.out / name for name in TABLES],
        chunk_size=20,
        inputs={utterance: codes[utterance] for utterance in pairs},
        pairs=pairs,
        method=method,
        # A chunk depends on the codes and the lengths of its targets, which may be any.
        data=table_facts(data.path / "wav.scp"),
    )
    if folders is not None:
        write_table(run.out / "pairs", pairs)
        write_table(run.out / "wav.scp", merge_tables(folders, "wav.scp"))
        print(f"{run.out}: {len(pairs)} utterances in another speaker's voice ({method})")
