# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens of a data set, and the speech decoded from all of them and from each stream alone (stage 6).

Besides, where there are semantic and acoustic tokens, the control "shuffled": the same tokens with the acoustic ones
permuted in time.
"""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path

import numpy as np
import soundfile
import torch

from hasrd.bin.codec_work import CodecWork, options, run, weights_sha256
from hasrd.codec.checkpoint import load_codec
from hasrd.codec.codec import Codec
from hasrd.codec.tokens import Tokens
from hasrd.data.archive import write_archive
from hasrd.data.atomic import write_json
from hasrd.data.features import merge_tables
from hasrd.data.kaldi import write_table
from hasrd.errors import run_main


def versions_of(codec: Codec) -> list[str]:
    """Names of the versions of speech that this codec can decode."""
    streams = list(dict.fromkeys(codec.quantizer.stream_names))
    if len(streams) < 2:
        return ["combined"]
    return ["combined", *streams] + (["shuffled"] if {"semantic", "acoustic"} <= set(streams) else [])


def shuffle_acoustic(tokens: Tokens, utterance: str) -> Tokens:
    """Permute the acoustic codes of one utterance in time, all codebooks alike; the same for the same utterance."""
    order = np.random.default_rng(zlib.crc32(utterance.encode())).permutation(tokens.codes.shape[1])
    acoustic = [m for m, name in enumerate(tokens.stream_names) if name == "acoustic"]
    codes = tokens.codes.clone()
    codes[..., acoustic] = tokens.codes[:, torch.from_numpy(order)][..., acoustic]
    return Tokens(
        codes, tokens.lengths, tokens.num_samples, tokens.frame_rate, tokens.stream_names, tokens.codebook_sizes
    )


class TokenizeWork(CodecWork):
    """Codes and speech of one chunk of utterances."""

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        codes: dict[str, np.ndarray] = {}
        versions = versions_of(self.codec)
        audio: dict[str, dict[str, str]] = {version: {} for version in versions}
        with torch.inference_mode():
            for utterances, waves, lengths in self.batches(inputs):
                batch = self.codec.encode(waves, lengths)
                for row, utterance in enumerate(utterances):
                    tokens = batch.item(row)
                    codes[utterance] = tokens.codes[0].to(torch.int32).cpu().numpy()
                    for version in versions:
                        name = Path(version) / f"{utterance}.flac"
                        self._write(folder / name, self._decode(version, tokens, utterance))
                        audio[version][utterance] = str(final_folder / name)
        order = sorted(codes)
        entries = write_archive(folder / "codes.ark", final_folder / "codes.ark", ((u, codes[u]) for u in order))
        write_table(folder / "codes.scp", entries)
        write_table(folder / "text", {u: " ".join(map(str, codes[u][:, 0].tolist())) for u in order})
        for version, table in audio.items():
            write_table(folder / f"{version}.scp", table)

    def _decode(self, version: str, tokens: Tokens, utterance: str) -> np.ndarray:
        if version == "shuffled":
            wave = self.codec.decode(shuffle_acoustic(tokens, utterance))
        else:
            wave = self.codec.decode(tokens, streams=None if version == "combined" else [version])
        return wave[0].float().clamp(-1, 1).cpu().numpy()

    def _write(self, path: Path, wave: np.ndarray) -> None:
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, wave, self.codec.sample_rate, subtype="PCM_16")


def main() -> None:
    """Tokenise on the options of the command line."""
    args = options(
        argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    )
    codec = load_codec(args.exp_dir, args.model_file)
    versions = versions_of(codec)
    tables = {"codes.scp": args.out / "codes.scp", "text": args.out / "text"}
    tables.update({f"{version}.scp": args.out / version / "wav.scp" for version in versions})
    folders = run(
        args, TokenizeWork, "tokens and speech", list(tables.values()), chunk_size=20, versions=versions
    )
    weights_of_layers = getattr(codec.quantizer, "layer_weights", None)
    if weights_of_layers is not None:
        write_json(Path(args.exp_dir) / "layer_weights.json", {"reconstruction": weights_of_layers.tolist()})
    if folders is not None:
        for name, path in tables.items():
            write_table(path, merge_tables(folders, name))
        write_json(
            args.out / "codes.json",
            {
                "codebook_sizes": codec.quantizer.codebook_sizes,
                "stream_names": codec.quantizer.stream_names,
                "frame_rate": codec.frame_rate,
                "model": weights_sha256(args),
            },
        )
        print(f"{args.out}: codes of {codec.num_codebooks} codebooks, speech: {', '.join(versions)}")


if __name__ == "__main__":
    run_main(main)
