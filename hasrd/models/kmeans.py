# Copyright 2026 The hasrd authors
# Apache-2.0
"""The file of a trained k-means: centroids and where they come from."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path


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
        with np.load(path, allow_pickle=False) as file:
            centroids = torch.from_numpy(file["centroids"])
            facts = json.loads(str(file["facts"]))
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a k-means file of stage 4 ({error}): run stage 4 again") from error
    if encoder_sha256 is not None and facts["encoder_sha256"] != encoder_sha256:
        raise UserError(f"{path}: trained on another encoder than the one given: run stage 4 again")
    return centroids, facts
