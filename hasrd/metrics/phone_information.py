# Copyright 2026 The hasrd authors
# Apache-2.0
"""What codes tell of phones: PNMI, phone purity and cluster purity, from counts of frames.

Source: Hsu et al., HuBERT (IEEE/ACM TASLP 2021) and the script published with it:
phones without stress; the sequences of phones and codes cut to the shorter; p(y, z) the share of the
frames with phone y and code z.

    PNMI            I(y; z) / H(y)
    phone purity    sum over z of max over y of p(y, z)
    cluster purity  sum over y of max over z of p(y, z)

The frame of token t is [t, t + 1) / frame rate, and its phone the one that covers its centre. What no
segment covers before the alignment's end is silence; what lies behind its end is not counted.
Silence is a phone, as in HuBERT.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Callable, ClassVar, Mapping

import numpy as np

from hasrd.data.alignments.labels import SILENCE
from hasrd.errors import UserError
from hasrd.metrics.codebook import entropy
from hasrd.metrics.influence import (
    DELTA,
    JACKKNIFE,
    delta_influences,
    entropies_left_out,
    interval,
    jackknife_influences,
)
from hasrd.metrics.measure import Inputs, Measure, Result, content
from hasrd.metrics.scoring.alignment import SHUFFLE_SEED, Aligned, AlignedReading, by_language
from hasrd.metrics.scoring.tokens import TOKENS, codebooks

SOURCE = "HuBERT: co-occurrence of code and phone at the centre of each token's frame"


def frame_labels(
    starts: np.ndarray,
    ends: np.ndarray,
    labels: np.ndarray,
    num_frames: int,
    frame_rate: float,
    gap: int,
) -> np.ndarray:
    """Return the label of each frame, cut to what is shorter, codes or alignment: (T',) int.

    Args:
        starts: Where segments begin, in seconds, ascending (S,).
        ends: Where they end, none after the next begins (S,).
        labels: Label of each segment, int (S,).
        num_frames: Frames of the codes.
        frame_rate: Frames a second.
        gap: Label of a frame whose centre no segment covers.
    """
    if not len(starts):
        return np.zeros(0, dtype=np.int64)
    # Microseconds: a boundary on a centre must not depend on how the division rounds.
    centres = np.round((np.arange(num_frames) + 0.5) / frame_rate, 6)
    centres = centres[centres < ends[-1]]
    index = np.searchsorted(starts, centres, side="right") - 1
    covered = (index >= 0) & (centres < ends[index])
    return np.where(covered, labels[index], gap).astype(np.int64)


def joint_counts(phones: np.ndarray, codes: np.ndarray, num_phones: int, num_codes: int) -> np.ndarray:
    """Return how often each phone meets each code: phones (T,), codes (T,) to counts (Y, Z)."""
    cells = phones * num_codes + codes
    return np.bincount(cells, minlength=num_phones * num_codes).reshape(num_phones, num_codes)


def pnmi(joint: np.ndarray) -> float:
    """Return I(phone; code) / H(phone) of counts (Y, Z).

    Raises:
        ValueError: There are not at least two phones.
    """
    phones, codes = entropy(joint.sum(1)), entropy(joint.sum(0))
    if not phones > 0:
        raise ValueError("fewer than two different phones")
    # Rounding: independent codes would come out at -1e-17.
    return float(np.clip((phones + codes - entropy(joint)) / phones, 0.0, 1.0))


def phone_purity(joint: np.ndarray) -> float:
    """Return the share of frames whose phone is the most frequent one of their code: (Y, Z)."""
    return float(joint.max(0).sum() / joint.sum())


def cluster_purity(joint: np.ndarray) -> float:
    """Return the share of frames whose code is the most frequent one of their phone: (Y, Z)."""
    return float(joint.max(1).sum() / joint.sum())


@dataclass(frozen=True)
class Frames:
    """The frames of a set: phone, code and utterance of each, int (T,); how many of them there can be."""

    phones: np.ndarray
    codes: np.ndarray
    owner: np.ndarray
    num_phones: int
    num_codes: int
    num_utterances: int

    @property
    def joint(self) -> np.ndarray:
        """Counts (Y, Z)."""
        return joint_counts(self.phones, self.codes, self.num_phones, self.num_codes)

    @property
    def cells(self) -> np.ndarray:
        """Index of each frame into the flattened counts (T,)."""
        return self.phones * self.num_codes + self.codes


def pnmi_influences(frames: Frames) -> np.ndarray:
    """Return what each utterance adds to PNMI, by the jackknife: (n,)."""
    owner, count = frames.owner, frames.num_utterances
    phones = entropies_left_out(frames.phones, owner, count, frames.num_phones)
    codes = entropies_left_out(frames.codes, owner, count, frames.num_codes)
    both = entropies_left_out(frames.cells, owner, count, frames.num_phones * frames.num_codes)
    some = phones > 1e-12
    left_out = np.where(some, (phones + codes - both) / np.where(some, phones, 1.0), pnmi(frames.joint))
    return jackknife_influences(left_out)


def phone_purity_influences(frames: Frames) -> np.ndarray:
    """Return what each utterance adds to phone purity, by the delta method: (n,)."""
    return _purity_influences(frames, frames.joint, _hits(frames.joint))


def cluster_purity_influences(frames: Frames) -> np.ndarray:
    """Return what each utterance adds to cluster purity, by the delta method: (n,)."""
    return _purity_influences(frames, frames.joint, _hits(frames.joint.T).T)


def _hits(joint: np.ndarray) -> np.ndarray:
    """1 where a row (phone) is the most frequent one of its column (code)."""
    hits = np.zeros(joint.shape)
    hits[joint.argmax(0), np.arange(joint.shape[1])] = 1.0
    return hits


def _purity_influences(frames: Frames, joint: np.ndarray, hits: np.ndarray) -> np.ndarray:
    total = joint.sum()
    gradient = (hits - (hits * joint).sum() / total) / total
    return delta_influences(gradient, frames.cells, frames.owner, frames.num_utterances)


class PhonesReading(AlignedReading):
    """Tokens beside phones."""

    kind = "phones"

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        spoken = {"the languages": content(self.languages)} if self.languages else {}
        self.read = {"codes and phones": self.pair.content, **spoken}

    @functools.cached_property
    def every(self) -> _Labelled:
        """All frames; UserError for fewer than two different phones."""
        found = self._labelled(self.pair)
        if len(np.unique(found.phones)) < 2:
            raise UserError(f"{self.ctm}: fewer than two different phones in these utterances: is it phones?")
        return found

    @functools.cached_property
    def parts(self) -> dict[str, _Labelled]:
        """Language to its frames."""
        return {language: self._labelled(self.pair.part(own)) for language, own in self.languages.items()}

    def _labelled(self, pair: Aligned) -> _Labelled:
        names = sorted({SILENCE["phones"]}.union(*(track.labels for track in self.pair.tracks)))
        numbers = {name: number for number, name in enumerate(names)}
        return _Labelled.make(pair, numbers, self.facts["frame_rate"])


class PhoneMeasure(Measure):
    """A measure of counts of phones and codes, of every codebook, in all and by language; the mean is the first's.

    Attributes:
        value: Counts (Y, Z) to the value.
        influences: Frames to what each utterance adds to it (n,).
        interval: Which interval these give.
    """

    source = SOURCE
    inputs = (*TOKENS, "phones")
    taken_of = "tokens"
    settings = {"interval": [JACKKNIFE, DELTA]}
    reading = PhonesReading
    table = "alignment"
    value: ClassVar[Callable[[np.ndarray], float]]
    influences: ClassVar[Callable[[Frames], np.ndarray]]
    interval: ClassVar[str] = DELTA

    def compute(self, reading: PhonesReading, system: str) -> Result:
        """Return the result of one system; see `Measure`.

        Raises:
            UserError: Fewer than two different phones.
        """
        pair, every = reading.pair, reading.every

        def books_of(part: _Labelled) -> list[dict]:
            books = codebooks(reading.facts)
            return [book | part.values(type(self), book["codebook"], book["size"]) for book in books]

        def of_language(language: str) -> list[dict] | str:
            enough = len(np.unique(reading.parts[language].phones)) > 1
            return books_of(reading.parts[language]) if enough else "fewer than two different phones"

        return Result.of_books(
            books_of(every),
            ("tokens", "frames"),
            {utt: (len(array), length) for utt, array, length in zip(pair.utterances, pair.codes, every.lengths)},
            interval=self.interval,
            frames=len(every.phones),
            silent_frames=int((~every.speech).sum()),
            phones=len(np.unique(every.phones)),
            without_alignment=pair.without,
            silence="a phone (as in HuBERT); what no segment covers is silence",
            shuffled=f"the same codes shuffled in time over the set, seed {SHUFFLE_SEED}",
            **by_language(reading.languages, of_language),
            **reading.facts,
        )


class PNMI(PhoneMeasure):
    """See the file."""

    name = "pnmi"
    label = "PNMI"
    order = 50
    value = pnmi
    influences = pnmi_influences
    interval = JACKKNIFE


class PhonePurity(PhoneMeasure):
    """See the file."""

    name = "phone_purity"
    label = "Phone purity"
    order = 51
    value = phone_purity
    influences = phone_purity_influences


class ClusterPurity(PhoneMeasure):
    """See the file."""

    name = "cluster_purity"
    label = "Cluster purity"
    order = 52
    value = cluster_purity
    influences = cluster_purity_influences


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
            frame_labels(
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

    def values(self, measure: type[PhoneMeasure], index: int, size: int) -> dict[str, Any]:
        """Measure one codebook, with and without silence."""
        own = self.codes[:, index].astype(np.int64)
        shuffled = own[np.random.default_rng(SHUFFLE_SEED).permutation(len(own))]

        def values_of(which: np.ndarray | slice) -> dict[str, Any]:
            sizes = (len(self.numbers), size, len(self.lengths))
            frames, by_chance = (
                Frames(self.phones[which], codes[which], self.owner[which], *sizes) for codes in (own, shuffled)
            )
            value = measure.value(frames.joint)
            ci95 = interval(value, measure.influences(frames), 0.0, 1.0)
            return {"value": value, "ci95": list(ci95), "shuffled": measure.value(by_chance.joint)}

        found = values_of(slice(None))
        if len(np.unique(self.phones[self.speech])) > 1:
            found["without_silence"] = values_of(self.speech)
        return found
