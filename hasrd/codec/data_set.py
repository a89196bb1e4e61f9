# Copyright 2026 The hasrd authors
# Apache-2.0
"""A trained codec that is run over a data set: what it is, its batches, and what it makes of each chunk."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

import torch

from hasrd.codec.build import PARTS
from hasrd.codec.inference import prepare
from hasrd.codec.latents import BATCH_SAMPLES
from hasrd.codec.model import TokenizerModel
from hasrd.codec.window_plan import WINDOW_SECONDS
from hasrd.config import read_yaml
from hasrd.data.audio import write_audio
from hasrd.data.set_work import DataSetRun
from hasrd.data.waves import wave_batches
from hasrd.frontend.loudness import within_full_scale
from hasrd.jobs.chunks import ChunkWork
from hasrd.jobs.digest import sha256
from hasrd.jobs.origin import Origin
from hasrd.jobs.workers import worker_device
from hasrd.models.load import load_codec

# Keys of a codec's configuration that shape what it makes, beside their `_conf`.
SHAPING = (*PARTS, "encoder_sha256", "loudness", "window")


def model_facts(exp_dir: str | Path, model_file: str) -> dict[str, Any]:
    """Return what a codec is, for the origin of what it makes: its weights and its configuration."""
    config = read_yaml(Path(exp_dir) / "config.yaml")
    # Where a frozen encoder or another's codec lies does not count: loading refuses one with another hash.
    shaping = {key: value for key, value in config.items() if key.removesuffix("_conf") in SHAPING}
    shaping.setdefault("window", WINDOW_SECONDS)
    return {"weights": sha256(Path(exp_dir) / model_file), "configuration": shaping}


@dataclass(frozen=True)
class CodecRun(DataSetRun):
    """A codec and the data set that it is run over.

    Attributes:
        exp_dir: Directory of the trained codec.
        model_file: Weights inside it.
        allow_import: Import classes that the experiment names by import path.
    """

    exp_dir: str
    model_file: str
    allow_import: bool

    def load(self) -> TokenizerModel:
        """Return the codec."""
        return load_codec(self.exp_dir, self.model_file, allow_import=self.allow_import)

    def codes_origin(self) -> Origin:
        """Return the origin of the codes of the data set (codes.scp of stage 6)."""
        tables = {"the data set": Path(self.data) / "wav.scp"}
        return Origin(model_facts(self.exp_dir, self.model_file), tables=tables)

    def run_codec(
        self,
        work: Callable[..., ChunkWork],
        what: str,
        made_from: Sequence[Path],
        chunk_size: int = 100,
        inputs: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> list[Path] | None:
        """Run `work` in chunks; the other arguments and the result are those of `run`.

        Args:
            work: Takes this run, as `CodecWork` does.
            facts: What shapes the result beside the codec and the inputs.
        """
        return self.run(
            functools.partial(work, self),
            what,
            made_from,
            options={**model_facts(self.exp_dir, self.model_file), **facts},
            inputs=inputs,
            chunk_size=chunk_size,
        )


class CodecWork:
    """Base of what is done with one chunk of utterances (`make_work` of `run_in_chunks`)."""

    def __init__(self, run: CodecRun) -> None:
        self.device = worker_device(run.ngpu)
        self.codec = prepare(run.load().to(self.device))

    def batches(self, inputs: Mapping[str, str]) -> Iterator[tuple[list[str], torch.Tensor, torch.Tensor]]:
        """Yield (utterances, waves (B, N), lengths (B,)) on the device."""
        for utterances, waves, lengths in wave_batches(inputs, self.codec.sample_rate, BATCH_SAMPLES):
            yield utterances, waves.to(self.device), lengths.to(self.device)


def write_speech(path: Path, wave: torch.Tensor, sample_rate: int) -> None:
    """Write samples (N,) as 16-bit FLAC; where some are outside of [-1, 1], all are scaled down."""
    path.parent.mkdir(exist_ok=True)
    write_audio(path, within_full_scale(wave[None].float())[0], sample_rate)
