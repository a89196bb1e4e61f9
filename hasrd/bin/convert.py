# Copyright 2026 The hasrd authors
# Apache-2.0
"""Voice conversion: each utterance's words in another speaker's voice, by an exchange of acoustic tokens (stage 6).

Each utterance is paired with one of another speaker (utt2spk); the speakers serve as targets about equally often.
Writes the speech, wav.scp and `pairs` (utt target_utt). Codes that stage 6 left in the folder above --out are used
where they are up to date. Ours: the papers have no such experiment. A set with one speaker, and a codec without
acoustic tokens and others, are left out.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import Mapping

import numpy as np
import torch

from hasrd.bin.codec_work import CodecWork, codes_origin, options, run, write_speech
from hasrd.bin.tokenize import TokenizeWork
from hasrd.codec.convert import METHODS, exchange, word_centroids
from hasrd.codec.streams import is_split
from hasrd.codec.tokens import Tokens
from hasrd.data.archive import read_array
from hasrd.data.audio import audio_info
from hasrd.data.features import merge_tables
from hasrd.data.kaldi import DataDir, read_table, write_table
from hasrd.errors import UserError, run_main
from hasrd.jobs.names import inside
from hasrd.jobs.origin import table_facts, why_stale
from hasrd.models.checkpoint import load_codec

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
        wavs: Utterance to audio, which says how long it is.
        method: Of `exchange`.
    """

    def __init__(
        self,
        exp_dir: str,
        model_file: str,
        ngpu: int,
        pairs: Mapping[str, str],
        codes: Mapping[str, str],
        wavs: Mapping[str, str],
        method: str,
    ) -> None:
        super().__init__(exp_dir, model_file, ngpu)
        self.pairs, self.codes, self.wavs, self.method = pairs, codes, wavs, method
        self.centroids = [own.cpu() for own in word_centroids(self.codec.quantizer)] if method == "match" else None

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
        codes = torch.from_numpy(read_array(self.codes[utterance]).astype(np.int64))[None]
        return Tokens(
            codes,
            torch.tensor([codes.shape[1]]),
            torch.tensor([audio_info(self.wavs[utterance]).num_samples]),
            self.codec.frame_rate,
            self.codec.quantizer.stream_names,
            self.codec.quantizer.codebook_sizes,
        )


def current_codes(args: argparse.Namespace) -> dict[str, str] | None:
    """Return the entries of the codes of the data set, made here where stage 6 has left none.

    None while other shards have some to make.
    """
    if not why_stale(args.out.parent / "codes.scp", codes_origin(args)):
        return read_table(args.out.parent / "codes.scp")
    own = argparse.Namespace(**{**vars(args), "out": args.out / "codes"})
    folders = run(own, TokenizeWork, "tokens", [])
    return None if folders is None else merge_tables(folders, "codes.scp")


def remove_speech(out: Path) -> None:
    """Remove what an earlier run has made, so that nobody takes it for what there is now."""
    for name in TABLES:
        (out / name).unlink(missing_ok=True)


def main() -> None:
    """Convert on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--num_pairs", type=int, help="utterances to convert, drawn at random; all if it is not given")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of pairs")
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="match",
        help="cycle: the target's frames in order, again and again; match: for each frame the one of the target whose "
        "tokens of the other streams are nearest",
    )
    args = options(parser)
    if args.num_pairs is not None and args.num_pairs < 1:
        raise UserError(f"--num_pairs {args.num_pairs}: at least 1 is needed")
    data = DataDir.load(args.data)
    speakers = {utterance: data.table("utt2spk").get(utterance) for utterance in data.wavs}
    if None in speakers.values():
        missing = next(utterance for utterance, speaker in speakers.items() if speaker is None)
        raise UserError(f"{data.path}/utt2spk: utterance '{missing}' is missing: write its speaker there")
    if len(set(speakers.values())) < 2:
        remove_speech(args.out)
        print(f"{args.data}: left out: voice conversion needs two speakers at least")
        return
    if not is_split(load_codec(args.exp_dir, args.model_file).quantizer.stream_names):
        remove_speech(args.out)
        print(f"{args.exp_dir}: left out: voice conversion needs acoustic tokens and those of another stream")
        return
    codes = current_codes(args)
    if codes is None:
        return
    pairs = pair_up(speakers, args.num_pairs, args.seed)
    folders = run(
        args,
        functools.partial(ConvertWork, pairs=pairs, codes=codes, wavs=data.wavs, method=args.method),
        "conversion",
        [args.out / name for name in TABLES],
        chunk_size=20,
        inputs={utterance: codes[utterance] for utterance in pairs},
        pairs=pairs,
        method=args.method,
        # A chunk depends on the codes and the lengths of its targets, which may be any.
        data=table_facts(data.path / "wav.scp"),
    )
    if folders is not None:
        write_table(args.out / "pairs", pairs)
        write_table(args.out / "wav.scp", merge_tables(folders, "wav.scp"))
        print(f"{args.out}: {len(pairs)} utterances in another speaker's voice ({args.method})")


if __name__ == "__main__":
    run_main(main)
