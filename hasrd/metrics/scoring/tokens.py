# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codebook usage, bitrate and masked accuracy from archives of integers."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import numpy as np

from hasrd.data.archive import read_archives
from hasrd.errors import UserError
from hasrd.metrics import bitrate, codebook, masked_accuracy
from hasrd.metrics.bootstrap import BASIC_METHOD, basic_interval, ratio_interval
from hasrd.metrics.scoring.job import Job


def score_codes(
    jobs: Sequence[Job],
    codes_scp: Path,
    sizes: Sequence[int],
    frame_rate: float,
    stream_names: Sequence[str],
) -> None:
    """Score tokens: a job for each of codebook, bitrate.

    Args:
        codes_scp: Archives of int32 (T, M).
        sizes: Entries of each of the M codebooks.
        frame_rate: Tokens a second.
        stream_names: Stream of each codebook.

    Raises:
        UserError: Not one name a codebook, no utterance, or codes that are not (T, M) inside their codebooks.
    """
    if len(stream_names) != len(sizes):
        raise UserError(
            f"--stream_names has {len(stream_names)} names for {len(sizes)} --codebook_sizes: "
            "give one name a codebook"
        )
    codes = _read(codes_scp, len(sizes))
    counts = {
        utt: [
            _count(codes_scp, utt, array[:, index], index, size) for index, size in enumerate(sizes)
        ]
        for utt, array in codes.items()
    }
    facts = {
        "codebook_sizes": list(sizes),
        "frame_rate": frame_rate,
        "stream_names": list(stream_names),
    }
    content = {utt: codes[utt].tolist() for utt in codes}
    for job in jobs:
        print_ = job.fingerprint(**facts, codes=content)
        if job.current(print_):
            continue
        rows = {utt: (len(array),) for utt, array in codes.items()}
        if job.measure == "bitrate":
            rate = bitrate.bitrate(frame_rate, sizes) / 1000
            streams = {
                name: bitrate.bitrate(
                    frame_rate, [s for s, n in zip(sizes, stream_names) if n == name]
                )
                / 1000
                for name in dict.fromkeys(stream_names)
            }
            job.write(
                rate,
                (rate, rate),
                ("tokens",),
                rows,
                print_,
                source=bitrate.SOURCE,
                streams=streams,
                interval="none: it follows from the codebooks' sizes",
                **facts,
            )
        else:
            _write_codebooks(job, counts, rows, print_, **facts)


def _write_codebooks(
    job: Job, counts: dict[str, list[np.ndarray]], rows: dict, print_: str, **facts
) -> None:
    utterances = sorted(counts)
    frame_rate, names = facts["frame_rate"], facts["stream_names"]
    books, tables = [], []
    for index, (size, name) in enumerate(zip(facts["codebook_sizes"], names)):
        table = np.stack([counts[utt][index] for utt in utterances])
        tables.append(table)
        total = table.sum(0)
        bits = codebook.entropy(total)
        low, high = basic_interval(
            len(utterances), bits, lambda weights, table=table: codebook.entropy(weights @ table)
        )
        low, high = max(low, 0.0), min(high, float(np.log2(size)))
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
    low, high = basic_interval(
        len(utterances),
        all_bits,
        lambda weights: sum(codebook.entropy(weights @ table) for table in tables),
    )
    ceiling = bitrate.bitrate(1.0, facts["codebook_sizes"])
    scale = frame_rate / 1000
    ci95 = (scale * max(low, 0.0), scale * min(high, ceiling))
    job.write(
        scale * all_bits,
        ci95,
        ("tokens",),
        rows,
        print_,
        source=codebook.SOURCE,
        codebooks=books,
        interval=BASIC_METHOD,
        **facts,
    )


def score_masked(job: Job, masked_scp: Path) -> None:
    """Score masked predictions: archives of int32 (T, 2), target and prediction of each masked
    token.

    Raises:
        UserError: No utterance, no masked token, or an array of another shape.
    """
    pairs = _read(masked_scp, 2)
    print_ = job.fingerprint(pairs={utt: array.tolist() for utt, array in pairs.items()})
    if job.current(print_):
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
        print_,
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


def _read(scp: Path, columns: int) -> dict[str, np.ndarray]:
    arrays = dict(read_archives(scp))
    if not arrays:
        raise UserError(f"{scp}: no utterance in it")
    for utterance, array in arrays.items():
        if (
            array.ndim != 2
            or array.shape[1] != columns
            or not np.issubdtype(array.dtype, np.integer)
        ):
            raise UserError(
                f"{scp}: utterance '{utterance}' is {array.dtype} {array.shape}, "
                f"but integers (T, {columns}) are needed"
            )
    return arrays


def _count(scp: Path, utterance: str, codes: np.ndarray, index: int, size: int) -> np.ndarray:
    try:
        return codebook.count_codes(codes, size)
    except ValueError as error:
        raise UserError(
            f"{scp}: utterance '{utterance}', codebook {index}: {error}: check --codebook_sizes"
        ) from None
