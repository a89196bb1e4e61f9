# Copyright 2026 The hasrd authors
# Apache-2.0
"""Crop agreement from the tokens of crops and of whole utterances."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence, TypedDict

import numpy as np

from hasrd.config import read_json
from hasrd.data.archive import read_archives, read_integers
from hasrd.errors import UserError
from hasrd.metrics import crop_agreement
from hasrd.metrics.bootstrap import ratio_interval
from hasrd.metrics.scoring.job import Job, content


def score_crops(job: Job, crops_scp: Path, codes_scp: Path, sizes: Sequence[int], stream_names: Sequence[str]) -> None:
    """Score the tokens of crops against those of their utterances; the mean is that of the first codebook.

    Args:
        job: Measure crop_agreement.
        crops_scp: Archives of integers (T', 1 + M), place in the utterance and codes; beside it crops.json with
            "samples" of a crop and "margin" (see `crop_agreement.inner`), as `hasrd tokenize --crop_seconds` writes
            them. With no utterance in it, all were shorter than a crop: there is nothing to score, and that is said.
        codes_scp: Archives of integers (T, M), of these utterances and maybe more.
        sizes: Entries of each of the M codebooks.
        stream_names: Stream of each codebook.

    Raises:
        UserError: An utterance without codes, or crops and codes that do not fit together.
    """
    whole = dict(read_archives(codes_scp, read_integers))
    crops = dict(read_archives(crops_scp, read_integers))
    facts = _facts(crops_scp.with_name("crops.json"))
    if not crops:
        print(f"{crops_scp}: crop_agreement: left out, no utterance is longer than a crop")
        return
    read = {utt: (array.tolist(), whole[utt].tolist() if utt in whole else None) for utt, array in crops.items()}
    record = job.record({"the codes": content(read)}, sizes=list(sizes), stream_names=list(stream_names), **facts)
    if job.current(record):
        return
    order = sorted(crops)
    same, middle = {}, {}
    for utt in order:
        if utt not in whole:
            raise UserError(f"{codes_scp}: utterance '{utt}' of {crops_scp} is missing: run stage 6 again")
        array = crops[utt]
        try:
            if array.ndim != 2 or array.shape[1] != 1 + len(sizes) or len(stream_names) != len(sizes):
                raise ValueError(f"crops {array.shape} for {len(sizes)} codebooks, {len(stream_names)} stream names")
            same[utt] = crop_agreement.agreement(array[:, 1:], array[:, 0], whole[utt])
        except ValueError as error:
            raise UserError(f"{crops_scp}: utterance '{utt}': {error}: run stage 6 again") from None
        middle[utt] = crop_agreement.inner(len(array), facts["margin"])
    tokens = [len(same[utt]) for utt in order]
    inner_tokens = [int(middle[utt].sum()) for utt in order]
    books = []
    for book, (size, stream) in enumerate(zip(sizes, stream_names)):
        all_codes = np.concatenate([array[:, book] for array in whole.values()])
        hits = [int(same[utt][:, book].sum()) for utt in order]
        inner_hits = [int(same[utt][middle[utt], book].sum()) for utt in order]
        books.append(
            {
                "codebook": book,
                "stream": stream,
                "size": size,
                **_share("", hits, tokens),
                **(_share("inner_", inner_hits, inner_tokens) if sum(inner_tokens) else {}),
                "chance": 100 * crop_agreement.chance(all_codes, size),
            }
        )
    rows = {
        utt: (int(same[utt][:, 0].sum()), len(same[utt]), int(same[utt][middle[utt], 0].sum()), int(middle[utt].sum()))
        for utt in order
    }
    job.write(
        books[0]["value"],
        tuple(books[0]["ci95"]),
        ("agreeing", "tokens", "inner_agreeing", "inner_tokens"),
        rows,
        record,
        source=crop_agreement.SOURCE,
        codebooks=books,
        crop_samples=facts["samples"],
        margin=facts["margin"],
        inner="the middle half" if facts["margin"] is None else "beyond what the encoder sees of the crop's ends",
        left_out=len(whole) - len(crops),
    )


def _share(name: str, hits: list[int], tokens: list[int]) -> dict[str, Any]:
    low, high = ratio_interval(hits, tokens)
    return {f"{name}value": 100 * sum(hits) / sum(tokens), f"{name}ci95": [100 * low, 100 * high]}


class _Crops(TypedDict):
    samples: int
    margin: int | None


def _facts(path: Path) -> _Crops:
    return read_json(path, _Crops, "run stage 6 again, with --crop_seconds")
