# Copyright 2026 The hasrd authors
# Apache-2.0
"""Reading of codes beside alignments, and scores of each language alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, ClassVar, Mapping, Sequence

import numpy as np

from hasrd.data.alignments.tracks import Track, load_ctm
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.metrics.measure import Inputs, Reading
from hasrd.metrics.scoring.tokens import check_range, read_codes, token_facts

SHUFFLE_SEED = 0


@dataclass(frozen=True)
class Aligned:
    """Codes and tracks of the utterances, sorted, that have both; how many have codes alone."""

    utterances: list[str]
    codes: list[np.ndarray]
    tracks: list[Track]
    without: int

    @property
    def content(self) -> list:
        """How many utterances there are, and a hash of what is in them."""
        digest = hashlib.sha256(f"{self.without}\n".encode())
        for utterance, codes, track in zip(self.utterances, self.codes, self.tracks):
            digest.update(f"{utterance} {codes.shape} {' '.join(track.labels)}\n".encode())
            for array in (np.asarray(codes, dtype=np.int32), track.starts, track.ends):
                digest.update(np.ascontiguousarray(array).tobytes())
        return [len(self.utterances), digest.hexdigest()]

    def part(self, utterances: Sequence[str]) -> Aligned:
        """Return those of some utterances."""
        wanted = set(utterances)
        at = [index for index, utterance in enumerate(self.utterances) if utterance in wanted]
        return Aligned(*([own[i] for i in at] for own in (self.utterances, self.codes, self.tracks)), without=0)


def languages_of(ctm: Path, utterances: Sequence[str]) -> dict[str, list[str]]:
    """Return language to its utterances, as utt2lang beside an alignment has them; {} where there is but one.

    Raises:
        UserError: An utterance without a language.
    """
    path = ctm.with_name("utt2lang")
    spoken = read_table(path) if path.is_file() else {}
    found: dict[str, list[str]] = {}
    for utterance in utterances if spoken else ():
        if utterance not in spoken:
            raise UserError(f"{path}: utterance '{utterance}' of {ctm.name} is missing: write its language there")
        found.setdefault(spoken[utterance], []).append(utterance)
    return {language: found[language] for language in sorted(found)} if len(found) > 1 else {}


def by_language(
    languages: Mapping[str, Sequence[str]], score: Callable[[str], list[dict[str, Any]] | str]
) -> dict[str, Any]:
    """Score each language alone, as details of a score file.

    Args:
        languages: Language to utterances, as `languages_of` gives them.
        score: Language to its codebooks, or to why there are none.

    Returns:
        "languages": language to "codebooks" and "utterances", or to "left_out", the reason. "mean_of_languages": the
        mean over those that have codebooks, {} for fewer than two. Nothing at all where there is one language.
    """
    if not languages:
        return {}
    found: dict[str, Any] = {}
    for language, utterances in languages.items():
        books = score(language)
        key = "left_out" if isinstance(books, str) else "codebooks"
        found[language] = {key: books, "utterances": len(utterances)}
    scored = {language: own["codebooks"] for language, own in found.items() if "codebooks" in own}
    mean = []
    for books in zip(*scored.values()):
        same = {key: books[0][key] for key in ("codebook", "stream", "size")}
        mean.append(same | {key: float(np.mean([book[key] for book in books])) for key in ("value", "shuffled")})
    return {
        "languages": found,
        "mean_of_languages": {"codebooks": mean, "languages": list(scored)} if len(scored) > 1 else {},
    }


def read_aligned(codes: Path, ctm: Path, kind: str, sizes: Sequence[int], fewer: bool = False) -> Aligned:
    """Read codes and an alignment.

    Args:
        codes: scp file of integers (T, M), or text with lines `utt c0 c1 ...` (M = 1).
        ctm: words.ctm or phones.ctm.
        kind: "words" or "phones".
        sizes: Entries of each codebook.
        fewer: Whether the codes may be those of the first codebooks alone.

    Raises:
        UserError: A file that can't be read, codes outside their codebook, no utterance in common.
    """
    arrays = read_codes(codes, len(sizes), fewer)
    for utterance, array in arrays.items():
        check_range(codes, utterance, array, sizes)
    tracks = load_ctm(ctm, kind)
    both = sorted(set(arrays) & set(tracks))
    if not both:
        raise UserError(
            f"{ctm}: none of its {len(tracks)} utterances is among the {len(arrays)} of {codes}: "
            "give the alignment of this set"
        )
    return Aligned(both, [arrays[utt] for utt in both], [tracks[utt] for utt in both], len(arrays) - len(both))


class AlignedReading(Reading):
    """Tokens (`codes`) beside an alignment, words.ctm or phones.ctm, and utt2lang beside that.

    Attributes:
        kind: "words" or "phones", which is also the input's name.
        ctm: The alignment.
        pair: Both of each utterance.
        languages: See `languages_of`.

    Raises:
        UserError: See `read_aligned` and `token_facts`.
    """

    kind: ClassVar[str]

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.facts = token_facts(inputs)
        self.ctm = getattr(inputs, self.kind)
        self.pair = read_aligned(inputs.codes, self.ctm, self.kind, inputs.codebook_sizes)
        self.languages = languages_of(self.ctm, self.pair.utterances)
