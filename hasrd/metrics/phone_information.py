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

from dataclasses import dataclass

import numpy as np

from hasrd.metrics.codebook import entropy
from hasrd.metrics.influence import delta_influences, entropies_left_out, jackknife_influences

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
