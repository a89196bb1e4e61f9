# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a teacher says of an utterance, taught to one level of a codec's tokens.

HAC (arXiv 2506.15456) distils HuBERT into its phonetic level and LaBSE into its lexical one; the forms of the losses
are not published and are ours (1 - cosine). SpeechTokenizer (Zhang et al. 2023, section 3.2) distils HuBERT into its
first codebook. A loss sees the level's quantized vectors, so that its gradient reaches the codebook's projections and,
straight through, all that is before them.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hasrd.encoder.layers import length_mask
from hasrd.errors import UserError
from hasrd.loss.schedule import Schedule
from hasrd.registry import resolve

CHOICES = {
    "frames": "hasrd.loss.distillation:FrameDistillation",
    "d_axis": "hasrd.loss.distillation:DAxisDistillation",
    "text": "hasrd.loss.distillation:TextDistillation",
}
# Kinds of the rows of a text's embeddings (hasrd.data.targets); 0 is none.
UTTERANCE, WORD = 1, 2


@dataclass(frozen=True)
class Clock:
    """When a codec's tokens are: token u is centred at first + u * shift, in seconds."""

    first: float
    shift: float


class FrameDistillation(nn.Module):
    """1 - cosine of the level, after a linear layer and at the teacher's frames, and the teacher's features.

    The level is interpolated between its tokens to where the teacher has frames, so that the two may have any rates.

    Args:
        level_size: D.
        teacher_size: D' of the teacher.
    """

    # A mean over a model's layers has a few large dimensions and a large mean, which a cosine would be about: the
    # cache's statistics take them out (ours).
    standardize = True

    def __init__(self, level_size: int, teacher_size: int) -> None:
        super().__init__()
        self.head = nn.Linear(level_size, teacher_size)

    def forward(
        self,
        level: Tensor,
        lengths: Tensor,
        clock: Clock,
        feats: Tensor,
        feats_lengths: Tensor,
        times: Tensor,
        **_: Any,
    ) -> dict[str, Tensor]:
        """Compare a batch.

        Args:
            level: (B, U, D) quantized vectors.
            lengths: (B,) valid tokens, at least 1.
            clock: of the tokens.
            feats: (B, T, D') teacher's features.
            feats_lengths: (B,) valid frames.
            times: (B, T) centres of the frames in seconds.

        Returns:
            "loss", a scalar.
        """
        predicted = interpolate(self.head(level.float()), lengths, (times - clock.first) / clock.shift)
        return {"loss": self.distance(predicted, feats, length_mask(feats_lengths, feats.shape[1]))}

    def distance(self, predicted: Tensor, feats: Tensor, mask: Tensor) -> Tensor:
        """Return the mean over valid frames of predicted and feats (B, T, D'), mask (B, T)."""
        error = 1.0 - F.cosine_similarity(predicted, feats, dim=-1)
        return (error * mask).sum() / mask.sum().clamp(min=1)


class DAxisDistillation(FrameDistillation):
    """SpeechTokenizer's loss (its equation 2): -log sigmoid of the cosine over time, a dimension at a time.

    As published, the features are taken as the teacher gives them, and each utterance weighs the same.
    """

    standardize = False

    def distance(self, predicted: Tensor, feats: Tensor, mask: Tensor) -> Tensor:
        """Return the mean over items and dimensions of predicted and feats (B, T, D'), mask (B, T)."""
        cosine = F.cosine_similarity(predicted * mask[..., None], feats * mask[..., None], dim=1)
        return -F.logsigmoid(cosine).mean()


class TextDistillation(nn.Module):
    """1 - cosine of the level, pooled by attention over a span, and the embedding of the text that is spoken there.

    Spans are the whole segment, with its utterance's transcript, and, where words are aligned, each word in it. A
    span's tokens are those that are centred in it, or the nearest one.

    Args:
        level_size: D.
        teacher_size: D' of the text encoder.
        utterance_weight: of the mean over segments.
        word_weight: of the mean over words.
    """

    # What all texts have in common would be learned first, and be most of the cosine (ours).
    standardize = True

    def __init__(
        self, level_size: int, teacher_size: int, utterance_weight: float = 1.0, word_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.weights = {"utterance": (UTTERANCE, utterance_weight), "word": (WORD, word_weight)}
        self.query = nn.Linear(level_size, 1, bias=False)
        self.head = nn.Linear(level_size, teacher_size)

    def forward(
        self, level: Tensor, lengths: Tensor, clock: Clock, embeddings: Tensor, spans: Tensor, kinds: Tensor, **_: Any
    ) -> dict[str, Tensor]:
        """Compare a batch.

        Args:
            level: (B, U, D) quantized vectors.
            lengths: (B,) valid tokens, at least 1.
            clock: of the tokens.
            embeddings: (B, N, D') of the texts.
            spans: (B, N, 2) start and end in seconds.
            kinds: (B, N) UTTERANCE or WORD; 0 where there is nothing to compare.

        Returns:
            "loss", and its parts "utterance" and "word" (zero where the batch has none), scalars.
        """
        level = level.float()
        inside = span_mask(spans, lengths, clock, level.shape[1])
        scores = self.query(level).mT / math.sqrt(level.shape[-1])
        attention = scores.masked_fill(~inside, -math.inf).softmax(dim=-1)
        error = 1.0 - F.cosine_similarity(self.head(attention @ level), embeddings, dim=-1)
        parts = {}
        for name, (kind, _) in self.weights.items():
            counted = kinds == kind
            parts[name] = (error * counted).sum() / counted.sum().clamp(min=1)
        loss = sum(weight * parts[name] for name, (_, weight) in self.weights.items())
        return {"loss": loss, **{name: part.detach() for name, part in parts.items()}}


def interpolate(x: Tensor, lengths: Tensor, places: Tensor) -> Tensor:
    """Return x (B, U, D) at fractional places (B, T) between its first `lengths` (B,) frames: (B, T, D)."""
    last = (lengths[:, None] - 1).clamp(min=0)
    places = places.clamp(min=0.0).minimum(last.to(places.dtype))
    lower = places.floor().long()
    share = (places - lower)[..., None]
    upper = (lower + 1).minimum(last)
    low, high = (x.gather(1, index[..., None].expand(-1, -1, x.shape[-1])) for index in (lower, upper))
    return torch.lerp(low, high, share.to(x.dtype))


def span_mask(spans: Tensor, lengths: Tensor, clock: Clock, num_tokens: int) -> Tensor:
    """Mark the tokens (B, N, U) of each span (B, N, 2) in seconds, at least one of the first `lengths` (B,)."""
    tokens = torch.arange(num_tokens, device=spans.device)
    centres = clock.first + clock.shift * tokens
    inside = (centres >= spans[..., :1]) & (centres < spans[..., 1:])
    middle = (spans.mean(dim=-1) - clock.first) / clock.shift
    nearest = middle.round().clamp(min=0.0).long().minimum((lengths - 1).clamp(min=0)[:, None])
    valid = length_mask(lengths.clamp(min=1), num_tokens)[:, None]
    return (inside & valid) | (tokens == nearest[..., None])


class Distillation(nn.Module):
    """The losses of all levels, with their weights.

    Args:
        losses: of each level.
        weights: of each level.
        teachers: of the levels whose teacher runs during the training: wave (B, N), lengths (B,) in samples to the
            arguments of the loss.
    """

    def __init__(
        self,
        losses: Mapping[str, nn.Module],
        weights: Mapping[str, Any],
        teachers: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.losses = nn.ModuleDict(losses)
        self.weights = nn.ModuleDict({name: Schedule(weight) for name, weight in weights.items()})
        self.teachers = nn.ModuleDict(teachers or {})
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def forward(
        self, levels: Mapping[str, Tensor], lengths: Tensor, clock: Clock, batch: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum and what to show of it; a call in training mode is a step of the schedules.

        Args:
            levels: (B, U, D) of each level.
            lengths: (B,) valid tokens.
            clock: of the tokens.
            batch: "audio", "audio_lengths" and, of each level with a cached teacher, "<level>_<argument of its loss>".
        """
        total, stats = lengths.new_zeros((), dtype=torch.float32), {}
        for name, loss in self.losses.items():
            if name in self.teachers:
                targets = self.teachers[name](batch["audio"], batch["audio_lengths"])
            else:
                targets = {key[len(name) + 1 :]: value for key, value in batch.items() if key.startswith(f"{name}_")}
            with torch.autocast(lengths.device.type, enabled=False):
                parts = loss(levels[name], lengths, clock, **targets)
                weight = self.weights[name](self.step)
                total = total + weight * parts["loss"]
            stats[f"{name}_weight"] = weight
            stats |= {f"{name}_{part}": value for part, value in parts.items()}
        if self.training:
            self.step += 1
        return total, stats


# Keys of a level's configuration that are not the loss's own: its weight, and what is about the data (hasrd.teacher).
SETTINGS = ("loss", "weight", "teacher", "teacher_size", "targets", "standardize")


def loss_class(level: str, conf: Mapping[str, Any], allow_import: bool = False) -> type:
    """Return the class of a level's loss, which the configuration names; `allow_import`: see `hasrd.registry.resolve`.

    Raises:
        UserError: It does not, or there is no such class.
    """
    if not conf.get("loss"):
        raise UserError(f"distillation: {level}: loss not given: choose one of {', '.join(CHOICES)}")
    try:
        return resolve(CHOICES, conf["loss"], allow_import)
    except UserError as error:
        raise type(error)(f"distillation: {level}: loss {error}") from error


def build_distillation(
    config: Mapping[str, Mapping[str, Any]],
    quantizer: nn.Module,
    teacher_sizes: Mapping[str, int],
    teachers: Mapping[str, nn.Module] | None = None,
    *,
    allow_import: bool = False,
) -> Distillation:
    """Build the losses that the key `distillation` of a configuration names.

    Args:
        config: Of each level: "loss" (a short name of CHOICES or an import path), "weight" (see Schedule); what is not
            in SETTINGS are arguments of the loss.
        quantizer: The codec's.
        teacher_sizes: D' of each level's teacher.
        teachers: See Distillation.
        allow_import: See `hasrd.registry.resolve`.

    Raises:
        UserError: A level that the quantizer does not have, an unknown loss, a missing or unknown argument, or a weight
            that is no schedule.
    """
    losses, weights = {}, {}
    for level, conf in config.items():
        where = f"distillation: {level}"
        if level not in (names := quantizer.level_names):
            raise UserError(f"{where}: {type(quantizer).__name__} has no such level, but {', '.join(names) or 'none'}")
        if "weight" not in conf:
            raise UserError(f"{where}: weight not given")
        cls = loss_class(level, conf, allow_import)
        arguments = {key: value for key, value in conf.items() if key not in SETTINGS}
        try:
            inspect.signature(cls).bind(quantizer.output_size, teacher_sizes[level], **arguments)
            Schedule(conf["weight"])
        except (TypeError, ValueError) as error:
            raise UserError(f"{where}: {error} (class {cls.__name__})") from error
        losses[level] = cls(quantizer.output_size, teacher_sizes[level], **arguments)
        weights[level] = conf["weight"]
    return Distillation(losses, weights, teachers)
