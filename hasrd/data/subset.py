# Copyright 2026 The hasrd authors
# Apache-2.0
"""Parts of a data directory, the same at every call."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Sequence

from hasrd.data.kaldi import DataDir
from hasrd.data.lines import read_lines
from hasrd.data.problems import Problems
from hasrd.errors import UserError
from hasrd.jobs.atomic import write_text


def choose(data: DataDir, *, num_utts: int | None = None, share: float | None = None, seed: int = 0) -> list[str]:
    """Draw utterances in the order of a hash of name and seed, so that a larger part holds the smaller one.

    Args:
        data: The directory; `share` needs its utt2num_samples.
        num_utts: How many utterances, or
        share: which share of the duration; at least one utterance.
        seed: Another seed draws others.

    Raises:
        UserError: More than there are, or a share outside 0..1.
    """
    order = sorted(data.wavs, key=lambda utt: hashlib.sha256(f"{seed} {utt}".encode()).digest())
    if num_utts is not None:
        if not 0 < num_utts <= len(order):
            raise UserError(f"--num_utts {num_utts}: {data.path} has {len(order)} utterances: give 1 to {len(order)}")
        return sorted(order[:num_utts])
    if share is None or not 0 < share <= 1:
        raise UserError(f"--share {share}: give a share above 0 and up to 1")
    samples = data.samples()
    wanted = share * sum(samples[utt] for utt in order)
    chosen: list[str] = []
    taken = 0
    for utterance in order:
        # Stop where one more would be further from the share than none.
        if chosen and taken + samples[utterance] / 2 > wanted:
            break
        chosen.append(utterance)
        taken += samples[utterance]
    return sorted(chosen)


def read_list(path: str | Path, data: DataDir) -> list[str]:
    """The utterances of a list (first word of each line), sorted.

    Raises:
        UserError: No such file, an empty line or list, an utterance that is not in `data`, or what `read_lines` finds.
    """
    chosen = []
    problems = Problems()
    for number, line in read_lines(path, problems):
        words = line.split()
        if words and words[0] in data.wavs:
            chosen.append(words[0])
        else:
            what = f"utterance '{words[0]}' is not in {data.path}/wav.scp" if words else "empty line"
            problems.add(f"{path}:{number}: {what}: remove the line")
    problems.raise_if_any()
    if not chosen:
        raise UserError(f"{path}: no utterances in it")
    return sorted(set(chosen))


def subset_alignments(data: str | Path, out: str | Path, chosen: Sequence[str]) -> None:
    """Take the lines of `chosen` utterances of phones.ctm and words.ctm along, where a data directory has them."""
    kept = set(chosen)
    for name in ("phones.ctm", "words.ctm"):
        if (Path(data) / name).is_file():
            with open(Path(data) / name, encoding="utf-8") as lines:
                write_text(Path(out) / name, "".join(line for line in lines if line.split(maxsplit=1)[0] in kept))
