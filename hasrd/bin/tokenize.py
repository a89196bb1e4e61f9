# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens of a data set, and the speech decoded from all of them and from each stream alone (stage 6).

Besides, where there are acoustic tokens and others, the control "shuffled": the same tokens with the acoustic ones
permuted in time; and, for curves of quality over rate, "books_<n>": speech of the first n codebooks alone.
"""

from __future__ import annotations

import argparse
import functools
import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Sequence

import numpy as np
import torch

from hasrd.bin.codec_work import CodecWork, codes_origin, options, run, weights_sha256, write_speech
from hasrd.bin.options import str2bool
from hasrd.codec.codec import Codec
from hasrd.codec.model import TokenizerModel
from hasrd.codec.receptive import joins, looks_back
from hasrd.codec.streams import ACOUSTIC, is_split
from hasrd.codec.token_file import stride_facts
from hasrd.codec.token_tables import LOUDNESS, number_text
from hasrd.codec.tokens import Tokens
from hasrd.config import read_yaml
from hasrd.data.archive import write_archive
from hasrd.data.features import merge_tables
from hasrd.data.kaldi import write_table
from hasrd.errors import UserError, run_main
from hasrd.jobs.atomic import write_json
from hasrd.jobs.names import inside
from hasrd.jobs.origin import origin_file, read_record, why_stale, write_record
from hasrd.models.load import load_codec


def versions_of(codec: TokenizerModel) -> list[str]:
    """Names of the versions of speech that this codec can decode from whole streams."""
    streams = list(dict.fromkeys(codec.stream_names))
    if len(streams) < 2:
        return ["combined"]
    return ["combined", *streams] + (["shuffled"] if is_split(streams) else [])


def choose_versions(codec: TokenizerModel, versions: str = "auto", num_books: str = "") -> list[str]:
    """Names of the versions of speech to decode.

    Args:
        versions: Some of `versions_of`, or "auto" for all.
        num_books: Numbers of codebooks of which versions `books_<n>` are decoded; those that are not below the codec's
            own number are left out ("combined" is that one). "auto": 1, 2, 4, 8, ...

    Raises:
        UserError: A version that this codec does not have, or what is no number of codebooks.
    """
    known, total = versions_of(codec), codec.num_codebooks
    chosen = known if versions == "auto" else versions.split()
    unknown = [version for version in chosen if version not in known]
    if unknown:
        raise UserError(f"--versions: '{unknown[0]}': this codec has {', '.join(known)}")
    numbers = [str(1 << i) for i in range(total.bit_length())] if num_books == "auto" else num_books.split()
    for number in numbers:
        if not number.isdecimal() or int(number) < 1:
            raise UserError(f"--num_books: '{number}' is no number of codebooks: write for example \"1 2 4\"")
    below = sorted({int(number) for number in numbers if int(number) < total})
    return [*dict.fromkeys(chosen), *(f"books_{number}" for number in below)]


def crop_samples(exp_dir: str, crop_seconds: str, sample_rate: int) -> int:
    """Samples of the crops that `--crop_seconds` asks for; 0 for none, as of a codec that was not trained here.

    Raises:
        UserError: It is no length.
    """
    config = read_yaml(Path(exp_dir) / "config.yaml")
    if not crop_seconds or "peer" in config:
        return 0
    if crop_seconds == "auto":
        return int(config.get("segment") or 0)
    try:
        return max(0, round(float(crop_seconds) * sample_rate))
    except (ValueError, OverflowError):
        raise UserError(f"--crop_seconds {crop_seconds}: give seconds, for example 5, or auto") from None


def shuffle_acoustic(tokens: Tokens, utterance: str) -> Tokens:
    """Permute the acoustic codes of one utterance in time, all codebooks alike; the same for the same utterance."""
    acoustic = [m for m, name in enumerate(tokens.stream_names) if name == ACOUSTIC]
    frames, stride = torch.arange(tokens.codes.shape[1]), tokens.strides[acoustic[0]]
    # Codes that stand for several frames stay together.
    order = generator_of(utterance).permutation(-(-len(frames) // stride))
    places = stride * torch.from_numpy(order)[frames // stride]
    codes = tokens.codes.clone()
    codes[..., acoustic] = tokens.codes[:, places][..., acoustic]
    return replace(tokens, codes=codes)


class TokenizeWork(CodecWork):
    """Codes and speech of one chunk of utterances.

    Args:
        versions: What to decode, see `choose_versions`.
        crop: Samples of the crop of each utterance that is encoded besides, alone; 0 for none.
    """

    def __init__(
        self,
        exp_dir: str,
        model_file: str,
        ngpu: int,
        allow_import: bool,
        versions: Sequence[str] = (),
        crop: int = 0,
    ) -> None:
        super().__init__(exp_dir, model_file, ngpu, allow_import)
        self.versions = versions
        self.crop = crop

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        codes: dict[str, np.ndarray] = {}
        crops: dict[str, np.ndarray] = {}
        loudness: dict[str, str] = {}
        audio: dict[str, dict[str, str]] = {version: {} for version in self.versions}
        with torch.inference_mode():
            for utterances, waves, lengths in self.batches(inputs):
                batch = self.codec.encode(waves, lengths)
                for row, utterance in enumerate(utterances):
                    tokens = batch.item(row)
                    codes[utterance] = tokens.codes[0].to(torch.int32).cpu().numpy()
                    if tokens.loudness is not None:
                        loudness[utterance] = number_text(float(tokens.loudness[0]))
                    for version in self.versions:
                        name = inside(version, utterance, ".flac")
                        wave = decode(self.codec, version, tokens, utterance)
                        write_speech(folder / name, wave, self.codec.sample_rate)
                        audio[version][utterance] = str(final_folder / name)
                if self.crop:
                    crops.update(self._crops(utterances, waves, lengths, codes))
        tables = {"codes": codes, "crops": crops} if self.crop else {"codes": codes}
        for name, arrays in tables.items():
            archive = f"{name}.ark"
            entries = write_archive(folder / archive, final_folder / archive, sorted(arrays.items()))
            write_table(folder / f"{name}.scp", entries)
        if loudness:
            write_table(folder / LOUDNESS, loudness)
        write_table(folder / "text", {u: " ".join(map(str, array[:, 0].tolist())) for u, array in codes.items()})
        for version, table in audio.items():
            write_table(folder / f"{version}.scp", table)

    def _crops(
        self, utterances: list[str], waves: torch.Tensor, lengths: torch.Tensor, codes: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Encode one random crop of each utterance that is longer than a crop, cut where tokens of all streams begin.

        Returns:
            Utterance to (T', 1 + M) int32: the place of each of the crop's tokens in the utterance, and its codes.
        """
        shift, step = self.codec.frame_shift, math.lcm(*self.codec.codebook_strides)
        starts = {
            row: step * int(generator_of(utterance).integers((int(length) - self.crop) // (step * shift) + 1))
            for row, (utterance, length) in enumerate(zip(utterances, lengths.tolist()))
            if length > self.crop
        }
        if not starts:
            return {}
        cut = torch.stack([waves[row, start * shift :][: self.crop] for row, start in starts.items()])
        batch = self.codec.encode(cut)
        crops = {}
        for index, (row, start) in enumerate(starts.items()):
            array = batch.item(index).codes[0].to(torch.int32).cpu().numpy()
            places = np.arange(start, start + len(array), dtype=np.int32)
            inside = places < len(codes[utterances[row]])
            crops[utterances[row]] = np.concatenate([places[:, None], array], axis=1)[inside]
        return crops


def generator_of(utterance: str) -> np.random.Generator:
    """Return a random generator that is the same for the same utterance."""
    return np.random.default_rng(zlib.crc32(utterance.encode()))


def decode(codec: TokenizerModel, version: str, tokens: Tokens, utterance: str) -> torch.Tensor:
    """Return a version of the speech (N,) of one utterance's tokens."""
    if version == "shuffled":
        wave = codec.decode(shuffle_acoustic(tokens, utterance))
    elif version.startswith("books_"):
        wave = codec.decode(tokens.first(int(version.removeprefix("books_"))))
    else:
        wave = codec.decode(tokens, streams=None if version == "combined" else [version])
    return wave[0]


def margin_of(codec: Codec) -> int | None:
    """Tokens at the ends of a crop that the crop's surroundings would change; None where all are."""
    size = None if joins(codec.quantizer) else looks_back(codec.encoder).size
    return None if size is None else math.ceil(size / (2 * codec.encoder.stride))


def remove_others(out: Path, codec: TokenizerModel, made: set[Path]) -> None:
    """Remove the tables of versions and crops that an earlier run made and this one did not: their files are gone."""
    names = [*versions_of(codec), *(path.name for path in out.glob("books_*"))]
    for path in (*(out / name / "wav.scp" for name in names), out / "crops.scp"):
        if path.exists() and path not in made:
            print(f"{path}: removed: of an earlier run with other options")
            path.unlink()


def main() -> None:
    """Tokenise on the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--speech", type=str2bool, default=True, help="false: tokens alone")
    parser.add_argument(
        "--versions", default="auto", help='what to decode, such as "combined semantic"; auto: all that there is'
    )
    parser.add_argument(
        "--num_books", default="", help='decode the first n codebooks, too, for each n of "1 2 4"; auto: 1, 2, 4, 8...'
    )
    parser.add_argument(
        "--crop_seconds",
        default="",
        help="encode a random crop of this length of each utterance as well, for the measure crop_agreement; auto: as "
        "long as the crops of the codec's training",
    )
    args = options(parser)
    codec = load_codec(args.exp_dir, args.model_file, allow_import=args.allow_import)
    versions = choose_versions(codec, args.versions, args.num_books) if args.speech else []
    crop = crop_samples(args.exp_dir, args.crop_seconds, codec.sample_rate)
    codes_scp = args.out / "codes.scp"
    origin = codes_origin(args)
    if not versions and not crop and not why_stale(codes_scp, origin):
        print(f"{args.out}: the codes are up to date, nothing to compute")
        return
    record = origin.record(read_record(codes_scp))
    tables = {"codes.scp": codes_scp, "text": args.out / "text"}
    if codec.loudness is not None:
        tables[LOUDNESS] = args.out / LOUDNESS
    if crop:
        tables["crops.scp"] = args.out / "crops.scp"
    tables.update({f"{version}.scp": args.out / version / "wav.scp" for version in versions})
    folders = run(
        args,
        functools.partial(TokenizeWork, versions=versions, crop=crop),
        "tokens and speech" if versions else "tokens",
        [*tables.values(), origin_file(codes_scp)],
        chunk_size=20,
        versions=versions,
        **({"crop": crop} if crop else {}),
    )
    remove_others(args.out, codec, {*tables.values()})
    if folders is not None:
        for name, path in tables.items():
            write_table(path, merge_tables(folders, name))
        write_json(
            args.out / "codes.json",
            {
                "codebook_sizes": codec.codebook_sizes,
                "stream_names": codec.stream_names,
                "frame_rate": codec.frame_rate,
                **stride_facts(codec.codebook_strides),
                "loudness": codec.loudness,
                "model": weights_sha256(args),
                # What else is to be known of another's codec.
                **codec.facts,
            },
        )
        write_record(codes_scp, record)
        if codec.layer_weights is not None:
            write_json(args.out / "layer_weights.json", {"reconstruction": codec.layer_weights.tolist()})
        if crop:
            write_json(args.out / "crops.json", {"samples": crop, "margin": margin_of(codec)})
        made = f"speech: {', '.join(versions)}" if versions else "no speech"
        print(f"{args.out}: codes of {codec.num_codebooks} codebooks, {made}")


if __name__ == "__main__":
    run_main(main)
