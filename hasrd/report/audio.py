# Copyright 2026 The hasrd authors
# Apache-2.0
"""Audio examples of a report: the original and what is decoded from each stream, as FLAC inside the
page.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Sequence

import numpy as np

from hasrd.data.kaldi import read_table
from hasrd.metrics.scores import read_rows
from hasrd.report.collect import Results
from hasrd.report.tables import PROBE_ROWS

VERSIONS = {"combined": "Combined", "semantic": "Semantic only", "acoustic": "Acoustic only"}
# Seconds of audio on the page: FLAC at 16 kHz takes about 25 kB a second in base64, so a page stays
# below 10 MB.
BUDGET = 240.0
# Shorter than this there is little to hear, longer nobody listens.
SECONDS = (1.5, 12.0)


@dataclass
class Clip:
    """One version of an utterance; without audio where it is missing."""

    label: str
    audio: str = ""
    picture: str = ""


@dataclass
class Example:
    """An utterance: its transcript, what probes read, and its versions."""

    utterance: str
    test_set: str
    text: str
    seconds: float
    clips: list[Clip] = field(default_factory=list)
    hypotheses: list[tuple[str, str]] = field(default_factory=list)


def examples(
    folders: Sequence[Path], data: Path, results: Results, test_sets: Sequence[str], number: int
) -> list[Example]:
    """Choose `number` utterances, evenly over the first set that has decoded audio
    (`**/<set>/<version>/wav.scp`).

    Args:
        folders: Where the decoded audio is searched.
        data: Folder with the sets' data directories (originals and transcripts).
        test_sets: Only these sets.
    """
    for test_set in test_sets:
        found = _decoded(folders, test_set)
        original = data / test_set / "wav.scp"
        if not found or not original.exists():
            continue
        wavs = read_table(original)
        texts = read_table(data / test_set / "text") if (data / test_set / "text").exists() else {}
        tables = {label: read_table(path) if path else {} for label, path in found.items()}
        chosen = _choose(wavs, number, 1 + len(tables))
        return [
            _example(utt, seconds, test_set, wavs, texts, tables, results)
            for utt, seconds in chosen
        ]
    return []


def _decoded(folders: Sequence[Path], test_set: str) -> dict[str, Path | None]:
    """Return label to wav.scp, or None where it is missing: the versions of one codec, or several codecs' combined."""
    codecs: dict[str, dict[str, Path]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("wav.scp")):
            version, name = path.parent.name, path.parent.parent.name
            if version in VERSIONS and name == test_set:
                codecs.setdefault(path.parents[3].name, {}).setdefault(version, path)
    if len(codecs) > 1:
        return {codec: paths.get("combined") for codec, paths in codecs.items()}
    for paths in codecs.values():
        # A codec of one stream has the combined version alone.
        return {VERSIONS[v]: paths.get(v) for v in (VERSIONS if set(paths) != {"combined"} else paths)}
    return {}


def _choose(wavs: dict[str, str], number: int, versions: int) -> list[tuple[str, float]]:
    import soundfile

    lengths = {utt: soundfile.info(path).duration for utt, path in sorted(wavs.items())}
    fit = [
        utt for utt, seconds in lengths.items() if SECONDS[0] <= seconds <= SECONDS[1]
    ] or sorted(lengths)
    step = max(len(fit) / number, 1.0) if number else 1.0
    chosen = [fit[int(index * step)] for index in range(min(number, len(fit)))]
    spent, kept = 0.0, []
    for utterance in chosen:
        spent += lengths[utterance] * versions
        if spent <= BUDGET:
            kept.append((utterance, lengths[utterance]))
    return kept


def _example(utterance, seconds, test_set, wavs, texts, tables, results: Results) -> Example:
    example = Example(utterance, test_set, texts.get(utterance, ""), seconds)
    example.clips.append(_clip("Original", wavs[utterance]))
    for label, table in tables.items():
        path = table.get(utterance)
        example.clips.append(_clip(label, path) if path else Clip(label))
    for system, label in PROBE_ROWS.items():
        for found in (
            results.find("wer", test_set, system)[:1] or results.find("cer", test_set, system)[:1]
        ):
            row = read_rows(found.path).get(utterance)
            if row is not None:
                example.hypotheses.append((label, row.get("hyp", "")))
    return example


def _clip(label: str, path: str) -> Clip:
    import soundfile

    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format="FLAC", subtype="PCM_16")
    return Clip(
        label, _data("audio/flac", buffer.getvalue()), _data("image/png", _spectrogram(wave[:, 0]))
    )


def _spectrogram(wave: np.ndarray, bands: int = 64, columns: int = 360) -> bytes:
    """Return a PNG of the level over time and frequency (linear, up to half the rate)."""
    import matplotlib.image

    window = 2 * bands * 4
    wave = np.pad(wave, (0, max(0, window - len(wave))))
    starts = np.linspace(
        0, len(wave) - window, min(columns, 1 + (len(wave) - window) // 32)
    ).astype(int)
    frames = np.stack([wave[start : start + window] for start in starts]) * np.hanning(window)
    power = np.abs(np.fft.rfft(frames))[:, :-1] ** 2
    level = 10 * np.log10(power.reshape(len(starts), bands, -1).mean(2) + 1e-7)
    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, level.T[::-1], format="png", cmap="magma", vmin=-50, vmax=25)
    return buffer.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
