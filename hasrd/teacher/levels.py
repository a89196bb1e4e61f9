# Copyright 2026 The hasrd authors
# Apache-2.0
"""The teachers of a codec's levels, as its training uses them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from hasrd.data.targets import FrameTargets, TextTargets, open_targets
from hasrd.encoder.frozen import Frozen
from hasrd.errors import UserError
from hasrd.loss.distillation import loss_class
from hasrd.teacher.cache import build_teacher


@dataclass
class Levels:
    """Attributes:
    sizes: D of each level's teacher.
    cached: readers of what the teacher said, for the data loader.
    live: of teachers whose output was too large to be kept: makes a module, wave (B, N) and lengths (B,) to what the
        reader gives of a batch. It takes `allow_import`: the targets' folder names the teacher's class.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    cached: dict[str, FrameTargets | TextTargets] = field(default_factory=dict)
    live: dict[str, Callable[[bool], nn.Module]] = field(default_factory=dict)


def open_levels(config: Mapping[str, Mapping[str, Any]], allow_import: bool = False) -> Levels:
    """Open the teachers of each level that the key `distillation` of a configuration names.

    Args:
        config: Of each level: "targets" (folders that `hasrd.bin.dump_teacher` wrote, the training set's first),
            "standardize" (where the loss's own choice is not wanted) and "loss"; "teacher_size", where it is given, is
            checked.
        allow_import: Of the losses, see `hasrd.registry.resolve`.

    Raises:
        UserError: Folders that are missing, damaged or of several teachers, or another size.
    """
    levels = Levels()
    for level, conf in config.items():
        where = f"distillation: {level}"
        if not conf.get("targets"):
            raise UserError(
                f"{where}: targets not given: run stage 4, which writes what the teacher says, and name its folders "
                f"(--distillation {level}.targets=[folder,folder])"
            )
        cls = loss_class(level, conf, allow_import)
        targets = open_targets(conf["targets"], conf.get("standardize", cls.standardize))
        if targets.size != conf.get("teacher_size", targets.size):
            raise UserError(f"{where}: teacher_size is {conf['teacher_size']}, but the teacher's is {targets.size}")
        levels.sizes[level] = targets.size
        if getattr(targets, "teacher_source", None):
            levels.live[level] = lambda allow_import=False, targets=targets: LiveTeacher(targets, allow_import)
        else:
            levels.cached[level] = targets
    return levels


class LiveTeacher(nn.Module):
    """A frozen speech teacher that runs on each batch; of the crop alone, where the cache has whole utterances.

    Args:
        targets: What names the teacher, and has its scale.
        allow_import: Of the teacher and of its encoder, see `hasrd.registry.resolve`.
    """

    def __init__(self, targets: FrameTargets, allow_import: bool = False) -> None:
        super().__init__()
        source = targets.teacher_source
        # Frozen: it is in no checkpoint.
        self.teacher = Frozen(build_teacher(**source, allow_import=allow_import, from_file=True))
        self.register_buffer("mean", torch.from_numpy(np.array(targets.mean)), persistent=False)
        self.register_buffer("std", torch.from_numpy(np.array(targets.std)), persistent=False)

    def forward(self, wave: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Return what FrameTargets gives of a batch: feats (B, T, D), feats_lengths (B,), times (B, T)."""
        feats, frames = self.teacher(wave, lengths)
        times = self.teacher.first_centre + self.teacher.frame_shift * torch.arange(feats.shape[1], device=wave.device)
        return {
            "feats": (feats.float() - self.mean) / self.std,
            "feats_lengths": frames,
            "times": times.expand(len(feats), -1),
        }
