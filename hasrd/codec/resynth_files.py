# Copyright 2026 The hasrd authors
# Apache-2.0
"""Audio files through a tokenizer and back, without files of tokens between (`hasrd resynth`)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Sequence

from hasrd.codec.decode_files import write_speech
from hasrd.codec.encode_files import AUDIO, EncodeWork, window_seconds
from hasrd.codec.model_use import ModelUse
from hasrd.codec.tokens import Tokens
from hasrd.codec.window_plan import OF_MODEL
from hasrd.data.file_lists import Job, Kind, batches_of
from hasrd.data.file_work import run_files
from hasrd.jobs.sharing import Sharing

RESYNTH = Kind("resynth", "speech", AUDIO, (), "wav.scp", (".wav", ".flac"), "wav.scp")


def resynth_files(
    paths: Sequence[Path],
    out: Path | None,
    use: ModelUse,
    run: Sharing,
    form: str,
    *,
    strict_rate: bool = False,
    window: float | str | None = OF_MODEL,
) -> None:
    """Write what decoding the tokens of each audio file gives, and of a wav.scp another one.

    Args:
        paths, out: See `batches_of`; a result never lies beside its input, whose name it could have.
        use, run, form, strict_rate, window: See `encode_files` and `decode_files`.

    Raises:
        UserError: Inputs or outputs that can't be, or files that failed; the rest is done.
    """
    with batches_of(paths, out, RESYNTH.writing(form)) as batches:
        settings = use.settings(
            "hasrd resynth", format=form, resample=not strict_rate, window=window_seconds(use, window)
        )
        run_files(batches, RESYNTH, settings, functools.partial(ResynthWork, use, strict_rate, window), run)


class ResynthWork(EncodeWork):
    """Speech of the tokens of a group of audio files."""

    def _write(self, job: Job, tokens: Tokens) -> None:
        write_speech(job, self.tokenizer.decode(tokens), self.tokenizer.sample_rate)
