# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codebook usage, bitrate and masked accuracy from archives of integers."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Mapping, Sequence

import numpy as np

from hasrd.config import parse_count
from hasrd.data.archive import read_archives, read_integers
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.jobs.origin import Record
from hasrd.metrics import bitrate, codebook, masked_accuracy
from hasrd.metrics.bootstrap import ratio_interval
from hasrd.metrics.influence import (
    JACKKNIFE,
    entropies_left_out,
    interval,
    jackknife_influences,
)
from hasrd.metrics.scoring.job import Job, content


def score_codes(
    jobs: Sequence[Job],
    codes_scp: Path,
    sizes: Sequence[int],
    frame_rate: float,
    stream_names: Sequence[str],
    loudness: float | None = None,
) -> None:
    """Score tokens: a job for each of codebook, bitrate.

    Args:
        codes_scp: Archives of integers (T, M).
        sizes: Entries of each of the M codebooks.
        frame_rate: Tokens a second.
        stream_names: Stream of each codebook.
        loudness: The codec's level; None where no loudness goes with the tokens.

    Raises:
        UserError: Not one name a codebook, no utterance, or codes that are not (T, M) inside their codebooks.
    """
    facts = token_facts(sizes, frame_rate, stream_names)
    if loudness is not None:
        facts["loudness_bits"] = bitrate.LOUDNESS_BITS
    codes = read_codes(codes_scp, len(sizes))
    for utterance, array in codes.items():
        check_range(codes_scp, utterance, array, sizes)
    read = {"the codes": content({utt: codes[utt].tolist() for utt in codes})}
    for job in jobs:
        record = job.record(read, **facts, interval=JACKKNIFE)
        if job.current(record):
            continue
        rows = {utt: (len(array),) for utt, array in codes.items()}
        if job.measure == "bitrate":
            rate = bitrate.bitrate(frame_rate, sizes) / 1000
            streams = {
                name: bitrate.bitrate(frame_rate, [s for s, n in zip(sizes, stream_names) if n == name]) / 1000
                for name in dict.fromkeys(stream_names)
            }
            job.write(
                rate,
                (rate, rate),
                ("tokens",),
                rows,
                record,
                source="; ".join([bitrate.SOURCE, *([bitrate.LOUDNESS_NOTE] if loudness is not None else [])]),
                streams=streams,
                interval="none: it follows from the codebooks' sizes",
                **facts,
            )
        else:
            _write_codebooks(job, codes, rows, record, **facts)


def _write_codebooks(job: Job, codes: dict[str, np.ndarray], rows: dict, record: Record, **facts) -> None:
    arrays = [codes[utt] for utt in sorted(codes)]
    count = len(arrays)
    tokens = np.concatenate(arrays)
    owner = np.repeat(np.arange(count), [len(array) for array in arrays])
    frame_rate, names = facts["frame_rate"], facts["stream_names"]
    books = []
    influences = np.zeros(count)
    for index, (size, name) in enumerate(zip(facts["codebook_sizes"], names)):
        own = tokens[:, index].astype(np.int64)
        total = codebook.count_codes(own, size)
        bits = codebook.entropy(total)
        added = jackknife_influences(entropies_left_out(own, owner, count, size))
        influences += added
        low, high = interval(bits, added, 0.0, float(np.log2(size)))
        books.append(
            {
                "codebook": index,
                "stream": name,
                "size": size,
                "tokens": int(total.sum()),
                "used": int((total > 0).sum()),
                "usage": codebook.usage(total),
                "entropy": bits,
                "entropy_ci95": [low, high],
                "perplexity": codebook.perplexity(total),
                "perplexity_ci95": [2.0**low, 2.0**high],
                "effective_bitrate": codebook.effective_bitrate(total, frame_rate),
            }
        )
    all_bits = sum(book["entropy"] for book in books)
    low, high = interval(all_bits, influences, 0.0, bitrate.bitrate(1.0, facts["codebook_sizes"]))
    scale = frame_rate / 1000
    job.write(
        scale * all_bits,
        (scale * low, scale * high),
        ("tokens",),
        rows,
        record,
        source=codebook.SOURCE,
        codebooks=books,
        interval=JACKKNIFE,
        **facts,
    )


def score_masked(job: Job, masked_scp: Path) -> None:
    """Score masked predictions: archives of integers (T, 2), target and prediction of each masked
    token.

    Raises:
        UserError: No utterance, no masked token, or an array of another shape.
    """
    pairs = _shaped(masked_scp, dict(read_archives(masked_scp, read_integers)), 2)
    record = job.record({"the predictions": content({utt: array.tolist() for utt, array in pairs.items()})})
    if job.current(record):
        return
    targets = {utt: array[:, 0] for utt, array in pairs.items()}
    lengths = {utt: len(array) for utt, array in targets.items()}
    if not sum(lengths.values()):
        raise UserError(f"{masked_scp}: no masked token in it: was it made with masking?")
    answer = masked_accuracy.most_frequent([targets[utt] for utt in sorted(targets)])
    correct = {utt: masked_accuracy.count_correct(targets[utt], pairs[utt][:, 1]) for utt in pairs}
    control = {utt: masked_accuracy.count_correct(targets[utt], answer) for utt in pairs}
    used = np.bincount(np.concatenate(list(targets.values())))
    order = sorted(pairs)
    below = [lengths[utt] for utt in order]
    low, high = ratio_interval([control[utt] for utt in order], below)
    times = ratio_interval([correct[utt] for utt in order], [control[utt] for utt in order])
    job.write_ratio(
        100.0 * sum(correct.values()) / sum(below),
        correct,
        lengths,
        ("correct", "most_frequent", "masked"),
        {utt: (correct[utt], control[utt], lengths[utt]) for utt in pairs},
        record,
        scale=100.0,
        source=masked_accuracy.SOURCE,
        masked_tokens=sum(below),
        most_frequent={
            "target": answer,
            "mean": 100.0 * sum(control.values()) / sum(below),
            "ci95": [100.0 * low, 100.0 * high],
        },
        times_most_frequent={
            "mean": sum(correct.values()) / sum(control.values()),
            "ci95": list(times),
        },
        targets_used=int((used > 0).sum()),
        target_perplexity=codebook.perplexity(used),
    )


def token_facts(sizes: Sequence[int], frame_rate: float, stream_names: Sequence[str]) -> dict:
    """What a score of tokens says of them; UserError unless there is one name a codebook."""
    if len(stream_names) != len(sizes):
        raise UserError(
            f"--stream_names has {len(stream_names)} names for {len(sizes)} --codebook_sizes: give one name a codebook"
        )
    return {
        "codebook_sizes": list(sizes),
        "frame_rate": frame_rate,
        "stream_names": list(stream_names),
    }


def read_codes(path: Path, columns: int, fewer: bool = False) -> dict[str, np.ndarray]:
    """Read tokens: utterance to integers (T, M).

    Args:
        path: scp file of archives, or text with lines `utt c0 c1 ...` (one codebook).
        columns: Codebooks that are expected.
        fewer: Whether the first of them alone will do.

    Raises:
        UserError: No utterance, or another number of codebooks; names file and utterance.
    """
    table = read_table(path)
    first = next(iter(table.values()), "").split()
    if first and all(map(str.isdecimal, first)):
        return _shaped(path, dict(_text_codes(path, table)), columns, fewer)
    return _shaped(path, dict(read_archives(table, read_integers)), columns, fewer)


def check_range(path: Path, utterance: str, codes: np.ndarray, sizes: Sequence[int]) -> None:
    """Raise UserError unless each of `codes` (T, M) is in its codebook."""
    for index, size in enumerate(sizes[: codes.shape[1]]):
        try:
            codebook.count_codes(codes[:, index], size)
        except ValueError as error:
            raise UserError(
                f"{path}: utterance '{utterance}', codebook {index}: {error}: check --codebook_sizes"
            ) from None


def _text_codes(path: Path, table: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
    for number, (utterance, line) in enumerate(table.items(), start=1):
        codes = [parse_count(code) for code in line.split()]
        if None in codes:
            wrong = line.split()[codes.index(None)][:40]
            raise UserError(f"{path}:{number}: '{wrong}' is no token: write 'utt 12 7 ...' lines")
        yield utterance, np.array(codes, dtype=np.int64)[:, None]


def _shaped(path: Path, arrays: dict[str, np.ndarray], columns: int, fewer: bool = False) -> dict[str, np.ndarray]:
    if not arrays:
        raise UserError(f"{path}: no utterance in it")
    first = next((array for array in arrays.values() if array.size), np.empty((0, columns)))
    allowed = range(1, columns + 1) if fewer else (columns,)
    if fewer and first.ndim == 2 and first.shape[1] in allowed:
        allowed = (first.shape[1],)
    # Kaldi's one empty matrix has no columns.
    arrays = {utt: array if array.size else array.reshape(0, allowed[-1]) for utt, array in arrays.items()}
    for utterance, array in arrays.items():
        if array.ndim != 2 or array.shape[1] not in allowed or not np.issubdtype(array.dtype, np.integer):
            raise UserError(
                f"{path}: utterance '{utterance}' is {array.dtype} {array.shape}, "
                f"but integers (T, {allowed[-1]}) are needed"
            )
    return arrays
