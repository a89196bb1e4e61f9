# Copyright 2026 The hasrd authors
# Apache-2.0
"""Tokens of data sets as they lie on the disk: what stage 6, `hasrd encode` and stage 4 write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterator, Mapping, Sequence

import numpy as np

from hasrd.codec.token_file import TokenFacts, read_token_file
from hasrd.codec.token_tables import NUM_SAMPLES, read_numbers
from hasrd.config import parse_count, read_json
from hasrd.data.archive import read_integers
from hasrd.data.kaldi import DataDir, read_table
from hasrd.errors import UserError
from hasrd.jobs.digest import sha256

# The tables of a folder with tokens, in the order in which they are looked for.
TABLES = ("codes.scp", "tokens.scp", "text")


@dataclass(frozen=True)
class TokenSet:
    """The tokens of a data set.

    Attributes:
        name: Of the set.
        path: The table that lists them.
        entries: Utterance to an archive's entry, a file of tokens, or the codes as text.
        facts: What is known of the codebooks; the same for all utterances.
        samples: Utterance to samples of its speech, where that is known.
        data: The data directory, for transcripts and speakers; None: not given.
    """

    name: str
    path: Path
    entries: Mapping[str, str]
    facts: TokenFacts
    samples: Mapping[str, int]
    data: DataDir | None = None

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, int | None]]:
        """Yield utterance, codes (T, M) and samples of its speech (None: not known), in the order of names."""
        for utterance in sorted(self.entries):
            codes, samples = self._read(utterance)
            # Kaldi's one empty matrix has no columns.
            yield utterance, codes if codes.size else codes.reshape(0, len(self.facts.codebook_sizes)), samples

    def _read(self, utterance: str) -> tuple[np.ndarray, int | None]:
        entry = self.entries[utterance]
        if self.path.name == "text":
            codes = [parse_count(code) for code in entry.split()]
            if None in codes:
                raise UserError(f"{self.path}: utterance '{utterance}': a word that is no code: write 'utt 12 7 ...'")
            return np.array(codes, dtype=np.int64)[:, None], self.samples.get(utterance)
        if self.path.name == "codes.scp":
            return read_integers(entry), self.samples.get(utterance)
        file = read_token_file(entry)
        facts = _facts_of(entry)
        if replace(facts, loudness=None) != replace(self.facts, loudness=None):
            raise UserError(
                f"{entry}: tokens of another model than those of the set's first utterance: encode it again"
            )
        return file.codes, file.num_samples

    def needed(self, name: str) -> None:
        """Raise UserError unless there is a data directory whose table `name` has a line for each utterance."""
        if self.data is None:
            raise UserError(f"{self.path}: the file {name} of the data set is needed: name the data directory (--data)")
        table = self.data.table(name)
        missing = next((utterance for utterance in self.entries if utterance not in table), None)
        if missing is not None:
            raise UserError(f"{self.data.path}/{name}: utterance '{missing}' of {self.path} is missing: add it")


def open_tokens(
    folder: str | Path, data: DataDir | None = None, codebook_size: int | None = None, frame_rate: float | None = None
) -> TokenSet:
    """Return the tokens of a folder: `codes.scp` with `codes.json`, `tokens.scp`, or `text` of one codebook.

    Args:
        folder: Of stage 6 (exp/codec_x/tokens/test), of `hasrd encode` of a table, or of stage 4's semantic tokens.
        data: The data directory; its name is the set's, else the folder's.
        codebook_size, frame_rate: Of the codes of a `text`, which does not say.

    Raises:
        UserError: No tokens there, or files that do not say what they are.
    """
    folder = Path(folder)
    path = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if path is None:
        raise UserError(f"{folder}: no tokens in it ({', '.join(TABLES)}): name a folder of hasrd tokenize or encode")
    # The text beside archives is of their first codebook alone; here it stands alone.
    entries = read_table(path)
    if not entries:
        raise UserError(f"{path}: no utterance in it")
    if path.name == "text":
        if codebook_size is None:
            raise UserError(f"{path}: it does not say how many codes there are: give --codebook_size")
        facts = TokenFacts(("semantic",), (codebook_size,), frame_rate)
    elif path.name == "codes.scp":
        facts = read_facts(folder)
    else:
        facts = _facts_of(next(iter(entries.values())))
    samples = read_numbers(folder / NUM_SAMPLES, int)
    if not samples and data is not None and NUM_SAMPLES in data.tables:
        samples = data.samples()
    name = data.path.resolve().name if data is not None else folder.resolve().name
    return TokenSet(name, path, entries, facts, samples, data)


def read_facts(folder: Path) -> TokenFacts:
    """Return what codes.json, beside a folder's archives, says of them; UserError where it is not there or damaged."""
    return read_json(folder / "codes.json", TokenFacts, "make the tokens again")


def tokens_of_codec(
    data: str, exp_dir: str, model_file: str | None = None, nj: int = 1, ngpu: int = 0, allow_import: bool = False
) -> Path:
    """Return the folder of a set's tokens in a codec's experiment; they are made where they are not up to date.

    Args:
        data: Data directory.
        exp_dir: The experiment.
        model_file: Weights in it; None: the best, else the latest.
        nj, ngpu, allow_import: See `hasrd.codec.data_set.CodecRun`.

    Raises:
        UserError: They are there, of other weights: what was scored of them is not replaced from here.
    """
    from hasrd.codec.data_set import CodecRun
    from hasrd.codec.token_dump import dump_tokens
    from hasrd.models.checkpoint import read_experiment

    weights = read_experiment(exp_dir, model_file).weights
    out = Path(exp_dir) / "tokens" / Path(data).resolve().name
    if (out / "codes.scp").is_file() and read_facts(out).model != sha256(weights):
        raise UserError(
            f"{out}: tokens of other weights than {weights.name}: --model_file names theirs; or remove them"
        )
    run = CodecRun(
        data=data, out=out, nj=nj, ngpu=ngpu, shard="1/1", exp_dir=exp_dir, model_file=weights.name,
        allow_import=allow_import,
    )  # fmt: skip
    dump_tokens(run, speech=False, versions="auto", num_books="", crop_seconds="")
    return out


def same_facts(sets: Sequence[TokenSet]) -> TokenFacts:
    """Return what is known of the codebooks of all sets.

    Raises:
        UserError: Two of one name, or tokens of different models or codebooks.
    """
    first = sets[0]
    for number, other in enumerate(sets):
        if other.name in [before.name for before in sets[:number]]:
            raise UserError(f"{other.path}: a second set named '{other.name}': rename one of the folders")
        if other.facts != first.facts:
            raise UserError(f"{other.path}: tokens of another model or of other codebooks than {first.path}")
    return first.facts


def _facts_of(path: str) -> TokenFacts:
    file = read_token_file(path)
    if file.stream_names is None or file.codebook_sizes is None:
        raise UserError(f"{path}: it does not say which codebooks its codes are of: encode the speech again")
    try:
        return TokenFacts(
            file.stream_names, file.codebook_sizes, file.frame_rate, None, file.model or None, file.codebook_strides
        )
    except ValueError as error:
        raise UserError(f"{path}: {error}: encode the speech again") from None
