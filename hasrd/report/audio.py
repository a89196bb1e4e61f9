# Copyright 2026 The hasrd authors
# Apache-2.0
"""Audio examples of a report: the original, what each codec decodes from all of its tokens and from each stream alone,
and converted voices, as FLAC inside the page.
"""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, Mapping, Sequence

import numpy as np

from hasrd.data.kaldi import read_table
from hasrd.metrics.scores import read_rows
from hasrd.report.collect import Results, in_order
from hasrd.report.specification import row_key
from hasrd.report.streams import HASRD_STREAMS, probe_rows, streams_of

# Decoded from all tokens, from some of them, or with another voice: folder of stage 6 to label.
COMBINED, CONVERSION = "combined", "conversion"
# Seconds of audio on the page: FLAC at 16 kHz takes about 25 kB a second in base64, so a page stays below 10 MB.
BUDGET = 240.0
# What the clips may take in the page, whatever their rate.
BYTES = 8_000_000
# Shorter than this there is little to hear, longer nobody listens.
SECONDS = (1.5, 12.0)
# Utterances are not chosen shorter than this to make room for more codecs; there are fewer of them instead.
ROOM = 4.0
# Folders of decoded audio, with very many files.
_SKIPPED = frozenset(("chunks", "tensorboard", "probe_inputs"))


@dataclass
class Clip:
    """One version of an utterance; without audio where it is missing.

    Attributes:
        note: What else is to be said of it.
        heard: What a recogniser understands of it.
    """

    label: str
    audio: str = ""
    picture: str = ""
    note: str = ""
    heard: str = ""


@dataclass
class Group:
    """Clips that stand side by side, and what they are of ("" where that is clear)."""

    title: str
    clips: list[Clip] = field(default_factory=list)


@dataclass
class Example:
    """An utterance: its transcript, its versions, and what probes read."""

    utterance: str
    test_set: str
    text: str
    seconds: float
    groups: list[Group] = field(default_factory=list)
    hypotheses: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Version:
    """One version of a set: utterance to audio, to what a recogniser understands, to the target of a conversion."""

    wavs: Mapping[str, str] = field(default_factory=dict)
    heard: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> _Version:
        return cls(*(_read(folder / name) for name in ("wav.scp", "recognised/text", "pairs")))


def _read(path: Path) -> dict[str, str]:
    return read_table(path) if path.is_file() else {}


def examples(
    folders: Sequence[Path], data: Path, results: Results, test_sets: Sequence[str], number: int
) -> list[Example]:
    """Choose `number` utterances, evenly over the first set, in the order of the tables, that has decoded audio
    (`**/<set>/<version>/wav.scp`).

    There are fewer where so many would take the page beyond its size.

    Args:
        folders: Where the decoded audio is searched.
        data: Folder with the sets' data directories (originals and transcripts).
        results: For what probes read, and which codecs come from elsewhere.
        test_sets: Only these sets.
    """
    for test_set in in_order(test_sets):
        codecs = _decoded(folders, test_set, results)
        if not codecs or not (data / test_set / "wav.scp").exists():
            continue
        original = _original(data / test_set, codecs)
        versions = {name: {v: _Version.read(path) for v, path in paths.items()} for name, paths in codecs.items()}
        texts = _read(data / test_set / "text")
        found, spent = [], 0
        for utterance, seconds in _choose(original.wavs, versions, number):
            example = Example(utterance, test_set, texts.get(utterance, ""), seconds)
            example.groups = _groups(utterance, original, versions, results, test_set)
            example.hypotheses = _hypotheses(utterance, test_set, results)
            spent += sum(len(clip.audio) + len(clip.picture) for group in example.groups for clip in group.clips)
            if found and spent > BYTES:
                break
            found.append(example)
        return found
    return []


def _decoded(folders: Sequence[Path], test_set: str, results: Results) -> dict[str, dict[str, Path]]:
    """Return codec to version to its folder: those of several streams first, those from elsewhere last."""
    # Two experiments may have the same name in different places.
    names = {folder.resolve(): name for name, folder in results.folders.items()}
    codecs: dict[str, dict[str, Path]] = {}
    for folder in folders:
        for path in _tables(folder):
            version, home = path.name, path.parents[2]
            name = names.get(home.resolve(), home.name)
            if path.parent.name == test_set and version in (COMBINED, CONVERSION, *_streams(results, test_set, name)):
                codecs.setdefault(name, {}).setdefault(version, path)
    order = sorted(codecs, key=lambda name: (name in results.peers, set(codecs[name]) == {COMBINED}, name))
    return {name: codecs[name] for name in order}


def _streams(results: Results, test_set: str, codec: str) -> Sequence[str]:
    """Return the streams that a codec has, decoded or not."""
    return streams_of(results, test_set, codec) or HASRD_STREAMS


def _tables(folder: Path) -> Iterator[Path]:
    for place, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if name not in _SKIPPED)
        if "wav.scp" in files:
            yield Path(place)


def _original(data: Path, codecs: Mapping[str, Mapping[str, Path]]) -> _Version:
    """Return the recordings, and what a recogniser understands of them, which lies beside the codecs' folders."""
    homes = dict.fromkeys(path.parents[3] for paths in codecs.values() for path in paths.values())
    heard = (_read(home / "recognised" / data.name / "text") for home in homes)
    return _Version(read_table(data / "wav.scp"), next(filter(None, heard), {}))


def _choose(
    wavs: Mapping[str, str], versions: Mapping[str, Mapping[str, _Version]], number: int
) -> list[tuple[str, float]]:
    """Return utterances and their seconds, evenly over those that every codec has and that are not too long."""
    import soundfile

    # The original once, every version, and with a conversion its target's voice.
    clips = 1 + sum(len(of) + (CONVERSION in of) for of in versions.values())
    lengths = {utt: soundfile.info(path).duration for utt, path in sorted(wavs.items())}
    everywhere = [
        utt for utt in lengths if all(utt in version.wavs for of in versions.values() for version in of.values())
    ] or list(lengths)
    longest = min(SECONDS[1], max(ROOM, BUDGET / (max(number, 1) * clips)))
    fit = [utt for utt in everywhere if SECONDS[0] <= lengths[utt] <= longest]
    if len(fit) < number:
        fit = sorted(everywhere, key=lambda utt: (abs(lengths[utt] - longest), utt))[: max(number, len(fit))]
        fit.sort()
    step = max(len(fit) / number, 1.0) if number else 1.0
    chosen = [fit[int(index * step)] for index in range(min(number, len(fit)))]
    spent, kept = 0.0, []
    for utterance in chosen:
        spent += lengths[utterance] * clips
        if not kept or spent <= BUDGET:
            kept.append((utterance, lengths[utterance]))
    return kept


def _groups(
    utterance: str, original: _Version, versions: Mapping[str, Mapping[str, _Version]], results: Results, test_set: str
) -> list[Group]:
    """Return the original beside what one codec makes of it; or beside several codecs', and then each one's streams."""
    first = Group("", [_clip("Original", original, utterance)])
    groups = [first]
    names = _short_names(versions)
    for codec, of in versions.items():
        streams = _stream_clips(utterance, original, of, _streams(results, test_set, codec))
        if len(versions) == 1:
            first.clips += [_clip("Combined", of.get(COMBINED, _Version()), utterance), *streams]
            continue
        clip = _clip(names[codec], of.get(COMBINED, _Version()), utterance)
        clip.note = "another's codec" if codec in results.peers else ""
        first.clips.append(clip)
        if streams and codec not in results.peers:
            groups.append(Group(f"{names[codec]}, stream by stream", streams))
    if len(versions) > 1:
        first.title = "All streams of each codec"
    return groups


def _stream_clips(utterance: str, original: _Version, of: Mapping[str, _Version], streams: Sequence[str]) -> list[Clip]:
    if not {*streams, CONVERSION} & set(of):
        return []
    clips = [_clip(f"{stream.capitalize()} only", of.get(stream, _Version()), utterance) for stream in streams]
    if CONVERSION in of:
        target = of[CONVERSION].targets.get(utterance, "")
        converted = _clip("Voice conversion", of[CONVERSION], utterance)
        converted.note = "the words of this recording, the voice of the next"
        voice = _clip("Its target's voice", original, target)
        voice.note = target
        clips += [converted, voice]
    return clips


def _short_names(codecs: Mapping[str, object]) -> dict[str, str]:
    """Return a codec's name in the papers' tables, or its folder's name where two would be called the same."""
    names = {codec: row_key(codec) or codec for codec in codecs}
    taken = list(names.values())
    return {codec: name if taken.count(name) == 1 else codec for codec, name in names.items()}


def _hypotheses(utterance: str, test_set: str, results: Results) -> list[tuple[str, str]]:
    read = []
    for system, label in probe_rows(results).items():
        found = results.find("wer", test_set, system) or results.find("cer", test_set, system)
        for item in found:
            row = read_rows(item.path).get(utterance)
            if row is not None:
                of = f" ({row_key(item.experiment) or item.experiment})" if len(found) > 1 else ""
                read.append((label + of, row.get("hyp", "")))
    return read


def _clip(label: str, version: _Version, utterance: str) -> Clip:
    import soundfile

    path = version.wavs.get(utterance)
    if path is None:
        return Clip(label)
    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format="FLAC", subtype="PCM_16")
    return Clip(
        label,
        _data("audio/flac", buffer.getvalue()),
        _data("image/png", _spectrogram(wave[:, 0], rate)),
        heard=version.heard.get(utterance, ""),
    )


def _spectrogram(wave: np.ndarray, rate: int) -> bytes:
    """Return a PNG of the level over time and frequency (linear, 0 to 8 kHz at any rate)."""
    import matplotlib
    from PIL import Image

    # 32 ms: 256 bins up to 8 kHz.
    window = round(0.032 * rate)
    wave = np.pad(wave, (0, max(0, window - len(wave))))
    starts = np.linspace(0, len(wave) - window, min(300, 1 + (len(wave) - window) // 32)).astype(int)
    frames = np.stack([wave[start : start + window] for start in starts]) * np.hanning(window)
    power = np.abs(np.fft.rfft(frames))[:, :256] ** 2
    power = np.pad(power, ((0, 0), (0, 256 - power.shape[1])))
    level = 10 * np.log10(power.reshape(len(starts), 64, -1).mean(2) + 1e-7)
    # Indices into a palette: a third of the bytes that colours take.
    index = np.clip((level.T[::-1] + 50) / 75 * 63, 0, 63).astype(np.uint8)
    image = Image.fromarray(index, mode="P")
    palette = matplotlib.colormaps["magma"](np.linspace(0, 1, 64))[:, :3]
    image.putpalette((palette * 255).round().astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
