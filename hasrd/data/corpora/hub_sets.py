# Copyright 2026 The hasrd authors
# Apache-2.0
"""Data sets of Hugging Face `datasets`: folders (saved by it, Parquet, audiofolder, ...), or names on the Hub."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hasrd.data.corpora.recording import AudioFile, Embedded, Recording, Utterance
from hasrd.data.corpora.transcripts import LANGUAGE_HEADINGS, SPEAKER_HEADINGS, TEXT_HEADINGS, heading
from hasrd.errors import UserError, first_line

ID_HEADINGS = ("id", "utterance", "utt_id", "utterance_id", "file_id")


@dataclass(frozen=True)
class Row(Embedded):
    """The audio in a row of a data set.

    Attributes:
        root, config, cache_dir: See `open_set`.
        split: Of the data set.
        column: That holds the audio.
        row: From 0 on.
    """

    root: str
    config: str
    cache_dir: str
    split: str
    column: str
    row: int

    @property
    def name(self) -> str:
        """Data set, split and row."""
        return f"{self.root}: row {self.row} of {self.split}"

    def content(self) -> bytes:
        """Return the bytes of the audio file."""
        value = open_set(self.root, self.config, self.cache_dir)[self.split][self.row][self.column]
        return value["bytes"]


@functools.lru_cache(maxsize=2)
def open_set(root: str, config: str = "", cache_dir: str = "") -> dict[str, Any]:
    """Open a data set: each of its splits by name; audio is not decoded. No code of a data set is run.

    Args:
        root: Folder, or name on the Hub.
        config: Name of its configuration, such as a language; "" for its only one.
        cache_dir: Where what was read of the Hub, or from Parquet, is kept.

    Raises:
        UserError: `datasets` is not installed, or cannot read it.
    """
    try:
        import datasets
    except ImportError:
        raise UserError(
            "--from huggingface needs the package datasets: tools/install.sh --extras data, or "
            "pip install 'hasrd[data]'"
        ) from None
    try:
        folder = Path(root)
        if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
            found = datasets.load_from_disk(root)
        else:
            datasets.disable_progress_bars()
            found = datasets.load_dataset(root, config or None, cache_dir=cache_dir or None)
        splits = {"": found} if isinstance(found, datasets.Dataset) else dict(found)
        for name, table in splits.items():
            for column, feature in table.features.items():
                if isinstance(feature, datasets.Audio):
                    splits[name] = splits[name].cast_column(column, datasets.Audio(decode=False))
        return splits
    except Exception as error:  # of the network, of files, of its own: the data set cannot be read
        raise UserError(f"{root}: datasets cannot read it ({first_line(error)}): name a folder or a data set") from None


def read_hub(
    root: str,
    *,
    config: str = "",
    cache_dir: str = "",
    text_column: str = "",
    speaker_column: str = "",
) -> list[Utterance]:
    """Read a data set; its splits are the parts of the corpus.

    Args:
        root, config, cache_dir: See `open_set`.
        text_column: With transcripts; "": one with a usual name, if there is one.
        speaker_column: With speakers; likewise.

    Raises:
        UserError: As of `open_set`; no column of audio, or none of that name.
    """
    found = []
    for split, table in open_set(root, config, cache_dir).items():
        columns = table.column_names
        audio = next((name for name, feature in table.features.items() if type(feature).__name__ == "Audio"), None)
        if audio is None:
            raise UserError(f"{root}: split '{split}' has no column of audio ({', '.join(columns)[:120]})")
        for option, name in (("--text_column", text_column), ("--speaker_column", speaker_column)):
            if name and name not in columns:
                raise UserError(f"{option} {name}: {root} has the columns {', '.join(columns)[:120]}")
        text = text_column or heading(columns, TEXT_HEADINGS)
        speaker = speaker_column or heading(columns, SPEAKER_HEADINGS)
        identity, language = heading(columns, ID_HEADINGS), heading(columns, LANGUAGE_HEADINGS)
        names = table[identity] if identity else [None] * len(table)
        if len(set(names)) < len(table):
            names = [f"{split or 'row'}-{row:08d}" for row in range(len(table))]
        others = [name for name in (text, speaker, language) if name]
        rows = table.select_columns([audio, *others])
        for number in range(len(rows)):
            row = rows[number]
            value = row[audio] or {}
            recording: Recording = Row(root, config, cache_dir, split, audio, number)
            if value.get("bytes") is None:
                if not value.get("path"):
                    raise UserError(f"{recording.name}: no audio in it")
                recording = AudioFile(str(value["path"]))
            found.append(
                Utterance(
                    name="_".join(str(names[number]).replace("/", "-").split()),
                    recording=recording,
                    where=f"{root}: row {number} of {split or 'it'}",
                    part=split,
                    text=None if text is None or row[text] is None else str(row[text]),
                    speaker="" if speaker is None else "_".join(str(row[speaker]).split()),
                    language=str(row[language] or "") if language else "",
                )
            )
    return found
