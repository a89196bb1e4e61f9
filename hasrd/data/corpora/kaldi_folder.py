# Copyright 2026 The hasrd authors
# Apache-2.0
"""Kaldi data directories of others: with `segments`, and with audio in archives."""

from __future__ import annotations

import math
from pathlib import Path

from hasrd.data.audio import refuse_pipe
from hasrd.data.corpora.recording import AudioFile, Recording, Utterance, archive_part
from hasrd.data.kaldi import read_table
from hasrd.data.problems import Problems
from hasrd.errors import UserError


def read_kaldi(root: Path, problems: Problems) -> list[Utterance]:
    """Read a data directory, or each one in a folder, which are the parts of the corpus then.

    `wav.scp` names audio files or entries of archives (`file.ark:offset`, see `archive_part`), relative to the working
    folder; commands are refused. `segments`, `text`, `utt2spk` and `utt2lang` are taken where they are.

    Args:
        root: The folder.
        problems: Takes what is wrong with lines.

    Raises:
        UserError: No data directory.
    """
    if (root / "wav.scp").is_file():
        return _read(root, "", problems)
    folders = sorted(path.parent for path in root.glob("*/wav.scp"))
    if not folders:
        raise UserError(f"{root}: no wav.scp in it, nor in a folder in it: name a Kaldi data directory (--root)")
    return [utterance for folder in folders for utterance in _read(folder, folder.name, problems)]


def _read(folder: Path, part: str, problems: Problems) -> list[Utterance]:
    def table(name: str) -> dict[str, str]:
        return read_table(folder / name, problems=problems) if (folder / name).is_file() else {}

    recordings: dict[str, Recording] = {}
    lines: dict[str, str] = {}
    for number, (name, entry) in enumerate(table("wav.scp").items(), start=1):
        lines[name] = f"{folder}/wav.scp:{number}"
        try:
            refuse_pipe(entry)
            # A file whose name has a colon in it is one.
            is_entry = not Path(entry).is_file() and entry.rpartition(":")[2].isdecimal()
            recordings[name] = archive_part(entry) if is_entry else AudioFile(entry)
        except UserError as error:
            problems.add(f"{lines[name]}: '{name}': {error}")
    texts, speakers, languages = table("text"), table("utt2spk"), table("utt2lang")
    has_text = (folder / "text").is_file()
    found = []
    if (folder / "segments").is_file():
        for number, (name, value) in enumerate(table("segments").items(), start=1):
            where = f"{folder}/segments:{number}"
            recording, *times = value.split()
            seconds = [_seconds(word) for word in times]
            if len(times) != 2 or None in seconds:
                problems.add(f"{where}: '{name} {value[:60]}' is not 'utterance recording start end', in seconds")
            elif recording in recordings:
                start, end = seconds
                # Kaldi writes -1 for the recording's end.
                end = None if end == -1 else end
                found.append(Utterance(name, recordings[recording], where, part, start or 0.0, end))
            elif recording not in lines:
                problems.add(f"{where}: recording '{recording}' has no line in {folder}/wav.scp: add it")
    else:
        found = [Utterance(name, recording, lines[name], part) for name, recording in recordings.items()]
    for utterance in found:
        utterance.text = texts.get(utterance.name) if has_text else None
        utterance.speaker = speakers.get(utterance.name, "")
        utterance.language = languages.get(utterance.name, "")
    return found


def _seconds(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
