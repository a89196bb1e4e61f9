# Copyright 2026 The hasrd authors
# Apache-2.0
"""The file of a trained k-means: centroids and where they come from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hasrd.config import check, parse_json
from hasrd.errors import UserError, first_line
from hasrd.jobs.atomic import atomic_path
from hasrd.models.weights import check_archive


@dataclass
class _Facts:
    """What must stand in the facts: the layer that was clustered, and the hash of its encoder."""

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
    if not Path(path).is_file():
        raise UserError(f"{path}: no such k-means file: run stage 4, which writes it")
    try:
        check_archive(path)
        with np.load(path, allow_pickle=False) as file:
            centroids = torch.from_numpy(file["centroids"])
            facts = parse_json(str(file["facts"]), path)
        if centroids.dim() != 2 or centroids.dtype != torch.float32 or not centroids.isfinite().all():
            raise ValueError("its centroids are no finite float32 matrix")
        known = check(facts, _Facts, path)
    except MemoryError:
        raise
    except Exception as error:  # NumPy raises many types for damage
        raise UserError(f"{path}: not a k-means file of stage 4 ({first_line(error)}): run stage 4 again") from error
    if encoder_sha256 is not None and known.encoder_sha256 != encoder_sha256:
        raise UserError(f"{path}: trained on another encoder than the one given: run stage 4 again")
    return centroids, facts
