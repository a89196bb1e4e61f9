# Copyright 2026 The hasrd authors
# Apache-2.0
"""Transcripts of a data set's speech by a real recogniser: `text`, as in a Kaldi data directory."""

from __future__ import annotations

import functools
from pathlib import Path

from hasrd.data.features import merge_tables
from hasrd.data.kaldi import line_of, read_table, write_table
from hasrd.errors import UserError
from hasrd.jobs.atomic import write_json
from hasrd.jobs.chunks import run_in_chunks
from hasrd.metrics.recogniser import Recogniser, describe, find_model, read_speech

CHUNK_SIZE = 10


class RecogniseWork:
    """The text of one chunk of utterances (see hasrd.jobs.chunks)."""

    def __init__(self, folder: Path, language: str, ngpu: int, wav_scp: Path) -> None:
        self.recogniser = Recogniser(folder, language, ngpu)
        self.wav_scp = wav_scp

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        write_table(folder / "text", {utt: self.recogniser(self._read(utt, path)) for utt, path in inputs.items()})

    def _read(self, utterance: str, path: str):
        try:
            return read_speech(path)
        except UserError as error:
            raise UserError(f"{line_of(self.wav_scp, utterance)}: utterance '{utterance}': {error}") from None


def recognise(
    wav_scp: Path,
    out: Path,
    model: str | None,
    language: str,
    nj: int = 1,
    ngpu: int = 0,
    shard: tuple[int, int] = (0, 1),
) -> Path:
    """Write `text` and `recogniser.json`, which says what made it, into `out`; what is up to date stays.

    Args:
        wav_scp: Lines 'utt file', of any sample rate.
        model: See `hasrd.metrics.recogniser.find_model`.
        language: What is spoken, as Whisper names it.
        nj: Processes; on a GPU it is one.
        ngpu: 1 computes on the GPU.
        shard: See `run_in_chunks`; the text is written when the last shard is done.

    Returns:
        The file of the text.

    Raises:
        UserError: No model, or audio that can't be used.
    """
    wavs = read_table(wav_scp)
    if not wavs:
        raise UserError(f"{wav_scp}: no utterance in it")
    name, folder = find_model(model)
    facts = describe(name, folder, language, ngpu)
    text, made_by = out / "text", out / "recogniser.json"
    folders = run_in_chunks(
        wavs,
        out / "chunks",
        functools.partial(RecogniseWork, folder, language, ngpu, wav_scp),
        options=dict(**{key: value for key, value in facts.items() if key != "model"}),
        nj=1 if ngpu else nj,
        shard=shard,
        chunk_size=CHUNK_SIZE,
        desc=f"recognising {wav_scp}",
        made_from=[text, made_by],
    )
    if folders is not None:
        write_json(made_by, facts)
        write_table(text, merge_tables(folders, "text"))
        print(f"{text}: {len(wavs)} utterances by {name} ({facts['compute_type']}, beam {facts['beam_size']})")
    return text
