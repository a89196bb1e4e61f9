# Copyright 2026 The hasrd authors
# Apache-2.0
"""The file of a trained k-means: centroids and where they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch

from hasrd.arrays import Array, read_npz
from hasrd.config import check, parse_json
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path

AGAIN = "run stage 4, which writes it"


class _Facts(TypedDict):
    layer: int
    encoder_sha256: str


def save_kmeans(path: str | Path, centroids: np.ndarray, facts: dict[str, Any]) -> None:
    """Write centroids (K, D) float32 and the facts of their training (layer, encoder_sha256, ...) to a .npz."""
    with atomic_path(path) as temporary:
        np.savez(temporary, centroids=centroids.astype(np.float32), facts=json.dumps(facts, sort_keys=True))


def load_kmeans(path: str | Path, encoder_sha256: str | None = None) -> tuple[torch.Tensor, dict[str, Any]]:
    """Read centroids (K, D) and facts.

    Raises:
        UserError: No such file, not complete, or trained on another encoder than `encoder_sha256`.
    """
    arrays = {"centroids": Array(np.dtype(np.float32), ("K", "D")), "facts": Array("U")}
    found = read_npz(path, arrays, "k-means file", AGAIN)
    facts = check(parse_json(str(found["facts"]), path, AGAIN), dict, path, AGAIN)
    check(facts, _Facts, path, AGAIN)
    centroids = torch.from_numpy(found["centroids"])
    if encoder_sha256 is not None and facts["encoder_sha256"] != encoder_sha256:
        raise UserError(f"{path}: trained on another encoder than the one given: run stage 4 again")
    return centroids, facts
