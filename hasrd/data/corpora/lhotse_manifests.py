# Copyright 2026 The hasrd authors
# Apache-2.0
"""Manifests of Lhotse (https://github.com/lhotse-speech/lhotse): recordings and supervisions, cuts, and Shar.

Lhotse reads its manifests. The audio is read here, from the files that they name: Lhotse would also run commands and
fetch addresses that stand in a manifest.
"""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import Any, Iterable

from hasrd.data.corpora.recording import AudioFile, FilePart, Recording, Utterance
from hasrd.data.problems import Problems
from hasrd.errors import UserError, first_line

_SUFFIX = re.compile(r"\.(jsonl|json|yaml)(\.gz)?$")
_SHARD = re.compile(r"cuts\.(\d+)\.jsonl(\.gz)?")


def read_lhotse(root: Path, problems: Problems) -> list[Utterance]:
    """Read the manifests of a folder, or one file of cuts.

    A part of the corpus is a Shar folder, a file of cuts, or a pair of files of recordings and supervisions, whose
    names differ in these words alone; its name is what is left of theirs. Each supervision is an utterance; so is a cut
    without any.

    Args:
        root: Folder or file.
        problems: Takes what is wrong with single cuts.

    Raises:
        UserError: Lhotse is not installed, nothing is there that it reads, or it refuses a file.
    """
    if root.is_file():
        return _cuts(_load(root), "", str(root), problems)
    if not root.is_dir():
        raise UserError(f"{root}: no such file or folder: name Lhotse's manifests (--root)")
    shar = sorted({path.parent for path in [*root.glob("cuts.*.jsonl*"), *root.glob("*/cuts.*.jsonl*")]
                   if _SHARD.fullmatch(path.name)})  # fmt: skip
    if shar:
        return [
            utterance for folder in shar for utterance in _shar(folder, folder.name if folder != root else "", problems)
        ]
    manifests = sorted(path for path in root.iterdir() if _SUFFIX.search(path.name))
    cuts = {_part(path, "cuts"): path for path in manifests if "cuts" in path.name}
    if cuts:
        return [found for part, path in cuts.items() for found in _cuts(_load(path), part, str(path), problems)]
    recordings = {_part(path, "recordings"): path for path in manifests if "recordings" in path.name}
    supervisions = {_part(path, "supervisions"): path for path in manifests if "supervisions" in path.name}
    if not recordings:
        raise UserError(
            f"{root}: no cuts, no recordings and no Shar of Lhotse in it: name the folder with the manifests"
        )
    found = []
    for part, path in recordings.items():
        lhotse = _lhotse()
        said = _load(supervisions[part]) if part in supervisions else None
        made = lhotse.CutSet.from_manifests(recordings=_load(path), supervisions=said)
        found += _cuts(made, part, str(path), problems)
    return found


def _lhotse() -> Any:
    try:
        import lhotse
    except ImportError:
        raise UserError(
            "--from lhotse needs the package lhotse: tools/install.sh --extras data, or pip install 'hasrd[data]'"
        ) from None
    return lhotse


def _load(path: Path) -> Any:
    lhotse = _lhotse()
    try:
        manifest = lhotse.load_manifest(str(path))
        # The file is read line by line: what is wrong in it shows only now.
        return type(manifest).from_items(list(manifest)) if hasattr(manifest, "from_items") else manifest
    except Exception as error:  # whatever a manifest makes Lhotse raise, the file is at fault
        raise UserError(f"{path}: Lhotse cannot read it ({first_line(error)}): is it a manifest?") from None


def _part(path: Path, word: str) -> str:
    return _SUFFIX.sub("", path.name).replace(word, "").strip("._-")


def _cuts(
    cuts: Iterable[Any], part: str, where: str, problems: Problems, audio: dict[str, FilePart] | None = None
) -> list[Utterance]:
    """Return the utterances of cuts; `audio`: cut to its audio, of Shar."""
    found: list[Utterance] = []
    try:
        for cut in cuts:
            try:
                found += _utterances(cut, part, where, audio)
            except UserError as error:
                problems.add(f"{where}: cut '{cut.id}': {error}")
    except (AttributeError, TypeError, ValueError, KeyError, ArithmeticError) as error:
        raise UserError(f"{where}: not cuts of Lhotse ({first_line(error)})") from None
    return found


def _utterances(cut: Any, part: str, where: str, audio: dict[str, FilePart] | None) -> Iterable[Utterance]:
    if type(cut).__name__ not in ("MonoCut", "MultiCut") or cut.recording is None:
        raise UserError(f"a {type(cut).__name__} is no part of one recording: save plain cuts")
    if cut.recording.transforms:
        raise UserError("its recording is changed when it is read (speed, volume, ...): save the cuts without that")
    channel = cut.channel if isinstance(cut.channel, int) else None
    if audio is not None:
        # Shar stores the audio of the cut itself, with the channels that it has.
        recording: Recording = audio[cut.id]
        offset = cut.start
        channel = None
    else:
        sources = cut.recording.sources
        if len(sources) != 1 or sources[0].type != "file":
            kinds = ", ".join(sorted({source.type for source in sources}))
            raise UserError(f"its audio is of the type {kinds}: only one audio file is read, no command and no address")
        recording, offset = AudioFile(str(sources[0].source)), cut.start
        if cut.recording.num_channels == 1:
            channel = None
    whole = offset == 0 and abs(cut.duration - cut.recording.duration) < 1e-4
    if not cut.supervisions:
        end = None if whole else offset + cut.duration
        yield Utterance(cut.id, recording, where, part, offset, end, channel)
    for said in cut.supervisions:
        start, end = max(0.0, said.start), min(cut.duration, said.end)
        all_of_it = whole and start < 1e-4 and cut.duration - end < 1e-4
        own = channel
        if isinstance(said.channel, int) and not isinstance(cut.channel, int):
            # Of several channels the one that is spoken on; Shar numbers them anew.
            own = said.channel if audio is None else list(cut.channel).index(said.channel)
        yield Utterance(
            name=said.id,
            recording=recording,
            where=where,
            part=part,
            start=0.0 if all_of_it else offset + start,
            end=None if all_of_it else offset + end,
            channel=own,
            text=said.text,
            speaker="_".join((said.speaker or "").split()),
            language=said.language or "",
        )


def _shar(folder: Path, part: str, problems: Problems) -> list[Utterance]:
    found = []
    for path in sorted(folder.glob("cuts.*.jsonl*")):
        shard = _SHARD.fullmatch(path.name)
        if not shard:
            continue
        # The field that holds the audio is called "recording"; others hold features, or targets.
        archive = folder / f"recording.{shard[1]}.tar"
        if not archive.is_file():
            raise UserError(f"{archive}: no such file, but {path.name} is there: get the audio of this Shar, too")
        found += _cuts(_load(path), part, str(path), problems, _members(archive))
    return found


class _Audio(dict):
    """Cut to its audio; UserError where there is none."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive

    def __missing__(self, name: str) -> FilePart:
        raise UserError(f"{self.archive}: no audio of it there")


def _members(archive: Path) -> dict[str, FilePart]:
    audio = _Audio(archive)
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                name, _, suffix = member.name.rpartition(".")
                if member.isfile() and suffix not in ("json", "nodata", "nometa"):
                    audio[name] = FilePart(str(archive), member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"{archive}: cannot be read ({first_line(error)}): get it again") from None
    return audio
