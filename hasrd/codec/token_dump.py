# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens of a data set, and versions of the speech decoded from them (stage 6)."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Sequence

import numpy as np
import torch

from hasrd.codec.codec import Codec
from hasrd.codec.data_set import CodecRun, CodecWork, write_speech
from hasrd.codec.model import TokenizerModel
from hasrd.codec.receptive import joins, looks_back
from hasrd.codec.token_file import write_facts
from hasrd.codec.token_tables import LOUDNESS, number_text
from hasrd.codec.tokenizer import Tokenizer
from hasrd.codec.versions import choose_versions, decode_version, generator_of, versions_of
from hasrd.config import read_yaml
from hasrd.data.archive import write_archive
from hasrd.data.kaldi import write_table
from hasrd.data.set_work import write_merged
from hasrd.errors import UserError
from hasrd.jobs.atomic import write_json
from hasrd.jobs.digest import sha256
from hasrd.jobs.names import inside
from hasrd.jobs.origin import origin_file, read_record, why_stale, write_record


class TokenizeWork(CodecWork):
    """Codes and speech of one chunk of utterances.

    Args:
        versions: What to decode, see `choose_versions`.
        crop: Samples of the crop of each utterance that is encoded besides, alone; 0 for none.
    """

    def __init__(self, run: CodecRun, versions: Sequence[str] = (), crop: int = 0) -> None:
        super().__init__(run)
        self.versions, self.crop = versions, crop

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        codes: dict[str, np.ndarray] = {}
        crops: dict[str, np.ndarray] = {}
        loudness: dict[str, str] = {}
        audio: dict[str, dict[str, str]] = {version: {} for version in self.versions}
        tokenizer = Tokenizer(self.codec)
        with torch.inference_mode():
            for utterances, waves, lengths in self.batches(inputs):
                batch = tokenizer.encode(waves, self.codec.sample_rate, lengths)
                for row, utterance in enumerate(utterances):
                    tokens = batch.item(row)
                    codes[utterance] = tokens.codes[0].to(torch.int32).cpu().numpy()
                    if tokens.loudness is not None:
                        loudness[utterance] = number_text(float(tokens.loudness[0]))
                    for version in self.versions:
                        name = inside(version, utterance, ".flac")
                        wave = decode_version(self.codec, version, tokens, utterance)
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


def dump_tokens(run: CodecRun, *, speech: bool, versions: str, num_books: str, crop_seconds: str) -> None:
    """Write codes.scp, codes.json, text and, for each version, <version>/wav.scp; what is up to date stays.

    Args:
        run: The codec, the data set and the folder to write.
        speech: False: tokens alone.
        versions, num_books: See `choose_versions`.
        crop_seconds: See `crop_samples`; the codes of the crops go to crops.scp, with crops.json.

    Raises:
        UserError: Versions or crops that can't be, or a codec or audio that can't be used.
    """
    codec = run.load()
    chosen = choose_versions(codec, versions, num_books) if speech else []
    crop = crop_samples(run.exp_dir, crop_seconds, codec.sample_rate)
    codes_scp = run.out / "codes.scp"
    origin = run.codes_origin()
    if not chosen and not crop and not why_stale(codes_scp, origin):
        print(f"{run.out}: the codes are up to date, nothing to compute")
        return
    record = origin.record(read_record(codes_scp))
    tables = {"codes.scp": codes_scp, "text": run.out / "text"}
    if codec.loudness is not None:
        tables[LOUDNESS] = run.out / LOUDNESS
    if crop:
        tables["crops.scp"] = run.out / "crops.scp"
    tables.update({f"{version}.scp": run.out / version / "wav.scp" for version in chosen})
    folders = run.run_codec(
        functools.partial(TokenizeWork, versions=chosen, crop=crop),
        "tokens and speech" if chosen else "tokens",
        [*tables.values(), origin_file(codes_scp)],
        chunk_size=20,
        versions=chosen,
        **({"crop": crop} if crop else {}),
    )
    remove_others(run.out, codec, {*tables.values()})
    if folders is not None:
        write_merged(folders, tables)
        model = sha256(Path(run.exp_dir) / run.model_file)
        # codec.facts: what else is to be known of another's codec.
        write_facts(run.out / "codes.json", codec, codec.loudness, model, **codec.facts)
        write_record(codes_scp, record)
        if codec.layer_weights is not None:
            write_json(run.out / "layer_weights.json", {"reconstruction": codec.layer_weights.tolist()})
        if crop:
            write_json(run.out / "crops.json", {"samples": crop, "margin": margin_of(codec)})
        made = f"speech: {', '.join(chosen)}" if chosen else "no speech"
        print(f"{run.out}: codes of {codec.num_codebooks} codebooks, {made}")
