# Copyright 2026 The hasrd authors
# Apache-2.0
"""PNMI and purities of every codebook, and the codes and alignments that they are taken from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence

import numpy as np

from hasrd.data.alignments.labels import SILENCE
from hasrd.data.alignments.tracks import Track, load_ctm
from hasrd.errors import UserError
from hasrd.metrics import phone_information as phones
from hasrd.metrics.influence import DELTA, JACKKNIFE, interval
from hasrd.metrics.scoring.job import Job
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
    def digest(self) -> str:
        """Hash of the content."""
        digest = hashlib.sha256(f"{self.without}\n".encode())
        for utterance, codes, track in zip(self.utterances, self.codes, self.tracks):
            digest.update(f"{utterance} {codes.shape} {' '.join(track.labels)}\n".encode())
            for array in (np.asarray(codes, dtype=np.int32), track.starts, track.ends):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def read_aligned(codes: Path, ctm: Path, kind: str, sizes: Sequence[int], fewer: bool = False) -> Aligned:
    """Read codes and an alignment.

    Args:
        codes: scp file of int32 (T, M), or text with lines `utt c0 c1 ...` (M = 1).
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
    return Aligned(
        both, [arrays[utt] for utt in both], [tracks[utt] for utt in both], len(arrays) - len(both)
    )


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
        codes_scp: Archives of int32 (T, M).
        sizes: Entries of each of the M codebooks.
        frame_rate: Tokens a second.
        stream_names: Stream of each codebook.
        ctm: phones.ctm.

    Raises:
        UserError: See `read_aligned`; also fewer than two different phones.
    """
    facts = token_facts(sizes, frame_rate, stream_names)
    pair = read_aligned(codes_scp, ctm, "phones", sizes)
    todo = {job: job.fingerprint(**facts, interval=_INTERVAL, aligned=pair.digest) for job in jobs}
    todo = {job: print_ for job, print_ in todo.items() if not job.current(print_)}
    if not todo:
        return
    names = sorted({SILENCE["phones"]}.union(*(track.labels for track in pair.tracks)))
    numbers = {name: number for number, name in enumerate(names)}
    silence = numbers[SILENCE["phones"]]
    labels = [
        phones.frame_labels(
            track.starts,
            track.ends,
            np.array([numbers[name] for name in track.labels], dtype=np.int64),
            len(array),
            frame_rate,
            silence,
        )
        for array, track in zip(pair.codes, pair.tracks)
    ]
    lengths = [len(own) for own in labels]
    frames = np.concatenate(labels)
    codes = np.concatenate([array[:length] for array, length in zip(pair.codes, lengths)])
    if len(np.unique(frames)) < 2:
        raise UserError(f"{ctm}: fewer than two different phones in these utterances: is it phones?")
    owner = np.repeat(np.arange(len(lengths)), lengths)
    shuffled = np.random.default_rng(SHUFFLE_SEED).permutation(len(codes))
    speech = frames != silence
    rows = {
        utt: (len(array), length)
        for utt, array, length in zip(pair.utterances, pair.codes, lengths)
    }
    for job, print_ in todo.items():
        books = []
        for index, (size, stream) in enumerate(zip(sizes, stream_names)):
            own = codes[:, index].astype(np.int64)
            every = phones.Frames(frames, own, owner, len(names), size, len(lengths))
            by_chance = replace(every, codes=own[shuffled])
            book = {"codebook": index, "stream": stream, "size": size}
            book |= _phone_values(job.measure, every, by_chance)
            if len(np.unique(frames[speech])) > 1:
                parts = (_part(every, speech), _part(by_chance, speech))
                book["without_silence"] = _phone_values(job.measure, *parts)
            books.append(book)
        job.write(
            books[0]["value"],
            tuple(books[0]["ci95"]),
            ("tokens", "frames"),
            rows,
            print_,
            source=phones.SOURCE,
            codebooks=books,
            interval=_PHONE_MEASURES[job.measure][2],
            frames=len(frames),
            silent_frames=int((frames == silence).sum()),
            phones=len(np.unique(frames)),
            without_alignment=pair.without,
            silence="a phone (as in HuBERT); what no segment covers is silence",
            shuffled=f"the same codes shuffled in time over the set, seed {SHUFFLE_SEED}",
            **facts,
        )


_PHONE_MEASURES = {
    "pnmi": (phones.pnmi, phones.pnmi_influences, JACKKNIFE),
    "phone_purity": (phones.phone_purity, phones.phone_purity_influences, DELTA),
    "cluster_purity": (phones.cluster_purity, phones.cluster_purity_influences, DELTA),
}
_INTERVAL = [JACKKNIFE, DELTA]


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
