# Copyright 2026 The hasrd authors
# Apache-2.0
"""What every codec of another package is here: codebooks, rates, and a way through."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Sequence

from torch import Tensor, nn

from hasrd.config import read_json
from hasrd.errors import UserError, first_line
from hasrd.models.weights import load_strict, read_weights

# Above zero where a sum of floats should be exactly the rate that was asked for.
ROUNDING = 1e-6


class MissingPackage(UserError):
    """A codec whose package is not installed."""


def package(name: str, distribution: str | None = None) -> ModuleType:
    """Import a package.

    Args:
        name: Of the module.
        distribution: What it is installed as; None: the same.

    Raises:
        MissingPackage: It, or what it needs, is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        reason = f"no module named '{error.name}'" if isinstance(error, ModuleNotFoundError) else str(error)
        raise MissingPackage(
            f"{distribution or name} is not installed ({reason}): tools/install.sh --extras bench"
        ) from error


def build(make: Callable[[dict[str, Any]], nn.Module], what: str, config: Path, weights: Path) -> nn.Module:
    """Build a model of a package from the configuration and the weights that its authors publish.

    Args:
        make: The configuration to the model.
        what: The model's name, for messages.
        config: config.json.
        weights: A state dict of exactly its tensors.

    Raises:
        UserError: A file that is missing or damaged, or that does not fit.
    """
    content = read_json(config)
    try:
        model = make(content)
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise UserError(f"{config}: no {what} can be built from it ({first_line(error)})") from error
    load_strict(model, read_weights(weights), weights)
    return model


class Peer(nn.Module):
    """A codec of another package, at its own sample rate.

    A frame is the time of one token of the codebook that has the fewest; other codebooks have `steps` tokens in it.
    Waves of a batch are equally long: packages pad each in its own way, and few of them take a mask.

    Args:
        model: What its package made; it is used in eval mode, without gradients.
        sample_rate: Of the waves that it encodes, in Hz.
        frame_rate: Frames a second.
        codebook_sizes: Of its M codebooks.
        semantic: How many of them, the first ones, are the semantic stream; the others are the acoustic one.
        steps: Tokens a frame of each codebook; None: one each.
        output_rate: Of the waves that it decodes; None: the same.
    """

    def __init__(
        self,
        model: nn.Module,
        sample_rate: int,
        frame_rate: float,
        codebook_sizes: Sequence[int],
        semantic: int = 0,
        steps: Sequence[int] | None = None,
        output_rate: int | None = None,
    ) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.sample_rate = sample_rate
        self.frame_rate = frame_rate
        self.output_rate = output_rate or sample_rate
        self.codebook_sizes = tuple(codebook_sizes)
        self.steps = tuple(steps or [1] * len(self.codebook_sizes))
        self.stream_names = ("semantic",) * semantic + ("acoustic",) * (len(self.codebook_sizes) - semantic)

    @property
    def num_codebooks(self) -> int:
        """M, of those that are kept."""
        return len(self.codebook_sizes)

    def kbps(self, num_codebooks: int) -> float:
        """Kilobits a second of the first codebooks."""
        bits = (step * math.log2(size) for step, size in zip(self.steps, self.codebook_sizes[:num_codebooks]))
        return self.frame_rate * sum(bits) / 1000

    def codebooks_within(self, kbps: float) -> int:
        """Return how many of the first codebooks a bitrate has room for.

        Raises:
            UserError: For none.
        """
        found = [m for m in range(1, self.num_codebooks + 1) if self.kbps(m) <= kbps + ROUNDING]
        if not found:
            raise UserError(f"--bandwidth {kbps:g}: the first codebook alone has {self.kbps(1):.3g} kbps")
        return found[-1]

    def keep(self, num_codebooks: int | None) -> Peer:
        """Use the first codebooks alone, from now on; None keeps all.

        Raises:
            UserError: There are fewer, or none is left.
        """
        if num_codebooks is not None:
            if not 1 <= num_codebooks <= self.num_codebooks:
                raise UserError(f"--num_codebooks {num_codebooks}: this codec has {self.num_codebooks}")
            for name in ("codebook_sizes", "steps", "stream_names"):
                setattr(self, name, getattr(self, name)[:num_codebooks])
        return self

    def encode(self, wave: Tensor) -> tuple[list[Tensor], Tensor]:
        """Encode waves.

        Args:
            wave: (B, N) at `sample_rate`, at least one frame.

        Returns:
            The codes of each codebook, (B, T * steps) long, and what was quantized, (B, T, D), where a frame that holds
            several vectors has them one after the other.
        """
        raise NotImplementedError

    def decode(self, books: Sequence[Tensor], first: int = 0) -> Tensor:
        """Return the waves (B, N') of codes, at `output_rate`; a codebook that is not given adds nothing.

        Args:
            books: Codes (B, T * steps) of codebooks `first`, `first` + 1, ...; -1 adds nothing where a codebook has
                several tokens a frame.
            first: 0, or the number of semantic codebooks.
        """
        raise NotImplementedError

    def vectors(self, books: Sequence[Tensor], first: int = 0) -> Tensor:
        """Return the sum (B, T, D) of what codes stand for, where there is a semantic stream; args as of `decode`."""
        raise NotImplementedError
