# Copyright 2026 The hasrd authors
# Apache-2.0
"""Kaldi data directories: tables with one utterance a line (`utt rest of the line`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Mapping

from hasrd.config import parse_count
from hasrd.data.lines import read_lines, strange_character
from hasrd.data.problems import Problems
from hasrd.errors import UserError
from hasrd.jobs.atomic import write_text
from hasrd.jobs.names import name_problem

# The files of a data directory with one line an utterance. wav.scp is written last: where it stands, the others do.
TABLES = (
    "text",
    "utt2spk",
    "utt2lang",
    "utt2num_samples",
    "utt2num_frames",
    "feats.scp",
    "codes.scp",
    "wav.scp",
)
# An empty transcript can be right (nobody speaks); an empty path or speaker cannot.
MAY_BE_EMPTY = ("text",)
# A second word would be a second field to other programs.
ONE_WORD = ("utt2spk", "utt2lang", "utt2num_samples", "utt2num_frames")


def read_table(
    path: str | Path,
    may_be_empty: bool | None = None,
    problems: Problems | None = None,
    begin: tuple[int, int] = (0, 1),
    count: int | None = None,
) -> dict[str, str]:
    """Read `key rest of the line` lines; Kaldi's programs, kaldiio and ESPnet read the same from what is accepted.

    The order is the file's, and no line is skipped: entry i stands on line i + 1.

    Args:
        path: UTF-8 text file; lines end in LF or CR LF, fields in blanks or tabs.
        may_be_empty: Whether a key may stand alone; by default only in `text`.
        problems: Takes what is wrong with the lines, and then the table lacks those; by default it is an error.
        begin, count: Of a part of the table, see `read_lines`.

    Raises:
        UserError: A missing file; without `problems` also the first ten lines (file and number) that are not UTF-8,
            hold a character of `hasrd.data.lines` or are empty, whose key stands there twice or cannot be the name of a
            file, or whose value is missing or has too many words.
    """
    path = Path(path)
    if may_be_empty is None:
        may_be_empty = path.name in MAY_BE_EMPTY
    found = Problems() if problems is None else problems
    table: dict[str, str] = {}
    for number, line in read_lines(path, found, begin=begin, count=count):
        key, value = (*line.split(maxsplit=1), "", "")[:2]
        value = value.rstrip()
        problem = name_problem(key) if key else ""
        if not key:
            found.add(f"{path}:{number}: empty line: remove it")
        elif problem:
            found.add(f"{path}:{number}: '{key}' cannot be an utterance's name, because it {problem}: rename it")
        elif key in table:
            found.add(f"{path}:{number}: '{key}' stands here a second time: keep one of the lines")
        elif not value and not may_be_empty:
            found.add(f"{path}:{number}: '{key}' has no value: give it one or remove the line")
        elif path.name in ONE_WORD and len(value.split()) > 1:
            found.add(f"{path}:{number}: '{key}' has the value '{value}', but one word is needed: join them by '_'")
        else:
            table[key] = value
    if problems is None:
        found.raise_if_any()
    return table


def line_of(path: str | Path, key: str) -> str:
    """`path:line` of a key in a table, for messages; the path alone where the table lacks the key."""
    keys = list(read_table(path))
    return f"{path}:{keys.index(key) + 1}" if key in keys else str(path)


def write_table(path: str | Path, table: Mapping[str, str]) -> None:
    """Write `table` sorted by key (as `LC_ALL=C sort` does) and atomically.

    A file that says the same already is left alone, with its time: what was made from it is up to date.

    Raises:
        UserError: A key or value that would be read otherwise (see `hasrd.data.lines`); nothing is written.
    """
    path = Path(path)
    lines = [f"{key} {table[key]}".rstrip() for key in sorted(table)]
    for line in lines:
        strange = strange_character(line)
        if strange:
            raise UserError(f"{path}: {strange} would be in the line {line!r}: rename the file or folder that has it")
    text = "".join(line + "\n" for line in lines)
    if not path.is_file() or path.read_bytes() != text.encode("utf-8"):
        write_text(path, text)


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write lines as they are, atomically."""
    write_text(path, "".join(line + "\n" for line in lines))


def wav_table(path: str | Path) -> Path:
    """Return the wav.scp of a data directory.

    Raises:
        UserError: There is none, or a `segments` file (not supported).
    """
    path = Path(path)
    if not (path / "wav.scp").is_file():
        raise UserError(f"{path}: no wav.scp in this folder: run data preparation (stage 1) or name another folder")
    if (path / "segments").exists():
        raise UserError(f"{path}/segments: segments are not read here: hasrd prepare --from kaldi cuts the audio")
    return path / "wav.scp"


@dataclass
class DataDir:
    """A Kaldi data directory in memory.

    Attributes:
        path: Where it was read from.
        tables: File name (`wav.scp`, `text`, ...) to utterance to the rest of its line.
        whole: The directory that this one is a part of; its lines are the files'.
    """

    path: Path
    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    whole: DataDir | None = field(default=None, repr=False, compare=False)
    _lines: dict[str, dict[str, int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def load(cls, path: str | Path, problems: Problems | None = None) -> DataDir:
        """Read every table that is there.

        Args:
            path: The folder.
            problems: Takes what is wrong with the lines of all tables; by default it is an error.

        Raises:
            UserError: No wav.scp, a broken table, or a `segments` file (not supported).
        """
        path = wav_table(path).parent
        found = Problems() if problems is None else problems
        tables = {name: read_table(path / name, problems=found) for name in TABLES if (path / name).is_file()}
        if problems is None:
            found.raise_if_any()
        return cls(path, tables)

    def table(self, name: str) -> dict[str, str]:
        """The table `name`; a missing one is a UserError."""
        if name not in self.tables:
            raise UserError(f"{self.path}/{name}: no such file: it is needed here")
        return self.tables[name]

    @property
    def wavs(self) -> dict[str, str]:
        """Utterance to audio file, in the order of wav.scp."""
        return self.tables["wav.scp"]

    @property
    def utterances(self) -> list[str]:
        """Utterances of wav.scp, sorted."""
        return sorted(self.wavs)

    def line_of(self, name: str, utterance: str) -> str:
        """`path:line` of an utterance in a table, for messages; tables are not changed after the first call."""
        if self.whole is not None:
            return self.whole.line_of(name, utterance)
        if name not in self._lines:
            self._lines[name] = {key: number for number, key in enumerate(self.tables[name], start=1)}
        return f"{self.path}/{name}:{self._lines[name][utterance]}"

    def samples(self) -> dict[str, int]:
        """Samples of each utterance, from utt2num_samples; UserError where one is missing or no number."""
        counts = {}
        for utterance, value in self.table("utt2num_samples").items():
            count = parse_count(value)
            if count is None:
                where = self.line_of("utt2num_samples", utterance)
                raise UserError(f"{where}: '{value[:40]}' is no count of samples: run hasrd.bin.validate_data again")
            counts[utterance] = count
        missing = next((utterance for utterance in self.wavs if utterance not in counts), None)
        if missing is not None:
            raise UserError(
                f"{self.path}/utt2num_samples: utterance '{missing}' is missing: run hasrd.bin.validate_data again"
            )
        return counts

    def subset(self, utterances: Iterable[str]) -> DataDir:
        """The same tables with only `utterances`; `line_of` still tells the lines of the files."""
        keep = set(utterances)
        tables = {
            name: {utterance: value for utterance, value in table.items() if utterance in keep}
            for name, table in self.tables.items()
        }
        return DataDir(self.path, tables, whole=self)

    def write(self, path: str | Path) -> None:
        """Write all tables, sorted, and spk2utt; each file atomically, wav.scp last."""
        path = Path(path)
        speakers: dict[str, list[str]] = {}
        for utterance, speaker in sorted(self.tables.get("utt2spk", {}).items()):
            speakers.setdefault(speaker, []).append(utterance)
        if speakers:
            write_table(path / "spk2utt", {speaker: " ".join(utts) for speaker, utts in speakers.items()})
        for name in TABLES:
            if name in self.tables:
                write_table(path / name, self.tables[name])
            else:
                # Of an earlier run with other content; it would no longer fit the rest.
                (path / name).unlink(missing_ok=True)
