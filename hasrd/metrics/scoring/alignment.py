# Copyright 2026 The hasrd authors
# Apache-2.0
"""PNMI and purities of every codebook, in all and by language; the codes and alignments that they are taken from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import numpy as np

from hasrd.data.alignments.labels import SILENCE
from hasrd.data.alignments.tracks import Track, load_ctm
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.metrics import phone_information as phones
from hasrd.metrics.influence import DELTA, JACKKNIFE, interval
from hasrd.metrics.scoring.job import Job, content
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


def score_phones(
    jobs: Sequence[Job],
    codes_scp: Path,
    sizes: Sequence[int],
    frame_rate: float,
    stream_names: Sequence[str],
    ctm: Path,
) -> None:
    """Score codes against phones: a job for each of pnmi, phone_purity, cluster_purity.

    Args:
        codes_scp: Archives of integers (T, M).
        sizes: Entries of each of the M codebooks.
        frame_rate: Tokens a second.
        stream_names: Stream of each codebook.
        ctm: phones.ctm.

    Raises:
        UserError: See `read_aligned`; also fewer than two different phones.
    """
    facts = token_facts(sizes, frame_rate, stream_names)
    pair = read_aligned(codes_scp, ctm, "phones", sizes)
    languages = languages_of(ctm, pair.utterances)
    read = {"codes and phones": pair.content, **({"the languages": content(languages)} if languages else {})}
    todo = {job: job.record(read, **facts, interval=_INTERVAL) for job in jobs}
    todo = {job: record for job, record in todo.items() if not job.current(record)}
    if not todo:
        return
    names = sorted({SILENCE["phones"]}.union(*(track.labels for track in pair.tracks)))
    numbers = {name: number for number, name in enumerate(names)}
    every = _Labelled.make(pair, numbers, frame_rate)
    if len(np.unique(every.phones)) < 2:
        raise UserError(f"{ctm}: fewer than two different phones in these utterances: is it phones?")
    parts = {language: _Labelled.make(pair.part(own), numbers, frame_rate) for language, own in languages.items()}
    for job, record in todo.items():

        def books_of(part: _Labelled, measure: str = job.measure) -> list[dict]:
            return [
                {"codebook": index, "stream": stream, "size": size, **part.values(measure, index, size)}
                for index, (size, stream) in enumerate(zip(sizes, stream_names))
            ]

        def of_language(language: str) -> list[dict] | str:
            enough = len(np.unique(parts[language].phones)) > 1
            return books_of(parts[language]) if enough else "fewer than two different phones"

        books = books_of(every)
        job.write(
            books[0]["value"],
            tuple(books[0]["ci95"]),
            ("tokens", "frames"),
            {utt: (len(array), length) for utt, array, length in zip(pair.utterances, pair.codes, every.lengths)},
            record,
            source=phones.SOURCE,
            codebooks=books,
            interval=_PHONE_MEASURES[job.measure][2],
            frames=len(every.phones),
            silent_frames=int((~every.speech).sum()),
            phones=len(np.unique(every.phones)),
            without_alignment=pair.without,
            silence="a phone (as in HuBERT); what no segment covers is silence",
            shuffled=f"the same codes shuffled in time over the set, seed {SHUFFLE_SEED}",
            **by_language(languages, of_language),
            **facts,
        )


_PHONE_MEASURES = {
    "pnmi": (phones.pnmi, phones.pnmi_influences, JACKKNIFE),
    "phone_purity": (phones.phone_purity, phones.phone_purity_influences, DELTA),
    "cluster_purity": (phones.cluster_purity, phones.cluster_purity_influences, DELTA),
}
_INTERVAL = [JACKKNIFE, DELTA]


@dataclass(frozen=True)
class _Labelled:
    """Phone (T,), codes (T, M) and utterance (T,) of each frame of a set; frames of its utterances; phones' numbers."""

    phones: np.ndarray
    codes: np.ndarray
    owner: np.ndarray
    lengths: list[int]
    numbers: Mapping[str, int]

    @classmethod
    def make(cls, pair: Aligned, numbers: Mapping[str, int], frame_rate: float) -> _Labelled:
        labels = [
            phones.frame_labels(
                track.starts,
                track.ends,
                np.array([numbers[name] for name in track.labels], dtype=np.int64),
                len(array),
                frame_rate,
                numbers[SILENCE["phones"]],
            )
            for array, track in zip(pair.codes, pair.tracks)
        ]
        lengths = [len(own) for own in labels]
        return cls(
            np.concatenate(labels),
            np.concatenate([array[:length] for array, length in zip(pair.codes, lengths)]),
            np.repeat(np.arange(len(lengths)), lengths),
            lengths,
            numbers,
        )

    @property
    def speech(self) -> np.ndarray:
        """True where the phone is not silence (T,)."""
        return self.phones != self.numbers[SILENCE["phones"]]

    def values(self, measure: str, index: int, size: int) -> dict[str, Any]:
        """Measure one codebook, with and without silence."""
        own = self.codes[:, index].astype(np.int64)
        shuffled = own[np.random.default_rng(SHUFFLE_SEED).permutation(len(own))]
        every = phones.Frames(self.phones, own, self.owner, len(self.numbers), size, len(self.lengths))
        by_chance = replace(every, codes=shuffled)
        found = _phone_values(measure, every, by_chance)
        speech = self.speech
        if len(np.unique(self.phones[speech])) > 1:
            found["without_silence"] = _phone_values(measure, _part(every, speech), _part(by_chance, speech))
        return found


def _phone_values(measure: str, frames: phones.Frames, by_chance: phones.Frames) -> dict:
    value, influences, _ = _PHONE_MEASURES[measure]
    estimate = value(frames.joint)
    ci95 = interval(estimate, influences(frames), 0.0, 1.0)
    return {"value": estimate, "ci95": list(ci95), "shuffled": value(by_chance.joint)}


def _part(frames: phones.Frames, which: np.ndarray) -> phones.Frames:
    return replace(
        frames,
        phones=frames.phones[which],
        codes=frames.codes[which],
        owner=frames.owner[which],
    )
