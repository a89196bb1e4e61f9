# Copyright 2026 The hasrd authors
# Apache-2.0
"""LibriSpeech and corpora of its layout (Panayotov et al., ICASSP 2015; OpenSLR 12, mini: OpenSLR 31; CC BY 4.0).

    <root>/<part>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt   (utterance TRANSCRIPT lines)
    <root>/<part>/<speaker>/<chapter>/<utterance>.flac
    <root>/alignments/{words,phones}.ctm   (not of the corpus itself; used where it is)

The FLAC files are read where they are. Test parts keep their own names as sets.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Mapping, Sequence

from hasrd.data.alignments.labels import KINDS
from hasrd.data.corpora.common import Clip, Corpus
from hasrd.data.download import Download, download_all, published_md5
from hasrd.data.kaldi import read_table
from hasrd.data.problems import Problems
from hasrd.data.unpack import unpack_tar
from hasrd.data.validate import check_audio_files
from hasrd.errors import UserError

SAMPLE_RATE = 16000
# Home of the corpora: archives, and md5sum.txt beside them.
HOMES = {
    "librispeech": "https://www.openslr.org/resources/12",
    "mini_librispeech": "https://www.openslr.org/resources/31",
}
PARTS = {
    "librispeech": (
        "dev-clean",
        "dev-other",
        "test-clean",
        "test-other",
        "train-clean-100",
        "train-clean-360",
        "train-other-500",
    ),
    "mini_librispeech": ("dev-clean-2", "train-clean-5"),
}


def root_or_download(root: str, parts: Sequence[str], download_dir: str | Path, corpus: str = "librispeech") -> Path:
    """The folder with the parts: `root` if given, else downloaded into `download_dir` and unpacked there.

    Raises:
        UserError: `root` is no folder, an unknown part, no network, a wrong checksum, too little disk space.
    """
    if root:
        path = Path(root)
        if not path.is_dir():
            raise UserError(f"{root}: no such folder: set LIBRISPEECH (db.sh) to the folder with the parts")
        # Both the corpus's own folder and the one around it are common values.
        inner = path / "LibriSpeech"
        return inner if inner.is_dir() else path
    for part in parts:
        if part not in PARTS[corpus]:
            raise UserError(f"part '{part}' is not in {corpus}: choose from {' '.join(PARTS[corpus])}")
    download_dir = Path(download_dir)
    target = download_dir / "LibriSpeech"
    missing = [part for part in dict.fromkeys(parts) if not (target / part).is_dir()]
    if missing:
        home = HOMES[corpus]
        print(f"LIBRISPEECH is not set: downloading {' '.join(missing)} from {home} (licence CC BY 4.0)", flush=True)
        checksums = published_md5(f"{home}/md5sum.txt")
        archives = [download_dir / f"{part}.tar.gz" for part in missing]
        for archive in archives:
            if archive.name not in checksums:
                raise UserError(f"{home}/md5sum.txt: no checksum of {archive.name}: the list has changed")
        jobs = [Download(f"{home}/{path.name}", path, checksums[path.name]) for path in archives]
        download_all(jobs)
        for part, archive in zip(missing, archives):
            unpack_tar(archive, target / part, f"LibriSpeech/{part}")
    return target


def find_alignments(root: str | Path) -> Path | None:
    """The folder with alignments in the corpus's folder, if there is one."""
    folder = Path(root) / "alignments"
    return folder if any((folder / f"{kind}.ctm").is_file() for kind in KINDS) else None


def prepare(
    root: str | Path,
    *,
    train: Sequence[str],
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    train_set: str = "train",
    valid_set: str = "valid",
    valid_from_train: float = 0.0,
    min_samples: int = 784,
    nj: int = 1,
) -> Corpus:
    """Read the layout of LibriSpeech.

    Args:
        root: Folder with the parts.
        train: Parts that together make the set `train_set`.
        valid: Parts for choices, each a set of its own name.
        test: Test parts, each a set of its own name.
        train_set: Name of the training set.
        valid_set: Name of the set that `valid_from_train` cuts off.
        valid_from_train: Share of the training duration to cut off, by whole speakers; 0 cuts nothing.
        min_samples: Shorter clips are left out.
        nj: Processes that read headers.

    Raises:
        UserError: A part is missing or in two sets, a transcript or an audio file is missing or damaged.
    """
    if not 0 <= valid_from_train < 1:
        raise UserError(f"--valid_from_train {valid_from_train}: give a share from 0 to 1, for example 0.05")
    if valid_from_train and not train:
        raise UserError("--valid_from_train: there is nothing to cut from: name --train parts")
    names = [*train, *valid, *test]
    if not names:
        raise UserError("no parts named: give --train, --valid or --test, for example --test test-clean")
    twice = sorted({part for part in names if names.count(part) > 1})
    if twice:
        raise UserError(f"part '{twice[0]}' is named twice: a part belongs to one set")
    sets = {train_set: list(train)} if train else {}
    for part in [*valid, *test]:
        if part in sets or (valid_from_train and part == valid_set):
            raise UserError(f"set '{part}' would be made twice: choose another --train_set or --valid_set")
        sets[part] = [part]

    problems = Problems()
    corpus = Corpus()
    for name, parts in sets.items():
        corpus.sets[name] = {}
        for part in parts:
            _add_part(corpus, name, Path(root) / part, problems, min_samples, nj)
    problems.raise_if_any("nothing was written; get the part again if files are missing")
    if valid_from_train:
        cut = cut_speakers(corpus.sets[train_set], valid_from_train)
        kept = {utt: clip for utt, clip in corpus.sets[train_set].items() if utt not in cut}
        rest = {name: clips for name, clips in corpus.sets.items() if name != train_set}
        corpus.sets = {train_set: kept, valid_set: cut, **rest}
    corpus.licence = "LibriSpeech (Panayotov et al., ICASSP 2015), CC BY 4.0"
    corpus.notes.append(f"licence: {corpus.licence}")
    return corpus


def _add_part(corpus: Corpus, name: str, folder: Path, problems: Problems, min_samples: int, nj: int) -> None:
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such part: set LIBRISPEECH (db.sh) to the folder that holds it, or leave LIBRISPEECH "
            "empty to download it"
        )
    transcripts = sorted(folder.glob("*/*/*.trans.txt"))
    if not transcripts:
        raise UserError(f"{folder}: no <speaker>/<chapter>/*.trans.txt in it: is this a part of LibriSpeech?")
    lines: dict[str, tuple[str, Path, str]] = {}
    for path in transcripts:
        for number, (utterance, text) in enumerate(read_table(path).items(), start=1):
            where = f"{path}:{number}: utterance '{utterance}'"
            if utterance in lines:
                problems.add(f"{where}: is in {lines[utterance][0].split(': ')[0]} too")
            lines[utterance] = (where, path.parent / f"{utterance}.flac", text)
    expected = {path for _, path, _ in lines.values()}
    for path in sorted(folder.glob("*/*/*.flac")):
        if path not in expected:
            problems.add(f"{path}: no transcript in {path.parent}")
    wavs = {utterance: str(path) for utterance, (_, path, _) in lines.items()}
    audio = check_audio_files(wavs, SAMPLE_RATE, 1, nj=nj, desc=f"reading {folder.name}")
    for utterance, (where, path, text) in lines.items():
        samples = audio[utterance].samples
        if audio[utterance].problem:
            problems.add(f"{where}: {audio[utterance].problem}")
        elif not text:
            problems.add(f"{where}: no transcript")
        elif samples < min_samples:
            corpus.leave_out(folder.name, utterance, "shorter than one token")
        else:
            corpus.add(name, utterance, Clip(str(path), text, path.parent.parent.name, samples))


def cut_speakers(clips: Mapping[str, Clip], share: float) -> dict[str, Clip]:
    """Whole speakers with about `share` of the samples, the same at every call.

    Speakers come in the order of a hash of their names; one that would go past the share is passed over.

    Raises:
        UserError: No speaker is small enough, or there is but one.
    """
    samples: dict[str, int] = {}
    for clip in clips.values():
        samples[clip.speaker] = samples.get(clip.speaker, 0) + clip.num_samples
    wanted = share * sum(samples.values())
    chosen: set[str] = set()
    taken = 0
    for speaker in sorted(samples, key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
        # A little over is better than far below it where all speakers are large.
        if taken + samples[speaker] <= 1.1 * wanted:
            chosen.add(speaker)
            taken += samples[speaker]
    if not chosen or len(chosen) == len(samples):
        raise UserError(
            f"--valid_from_train {share}: {len(samples)} speakers cannot be cut that way: "
            "give a larger share, or name --valid parts"
        )
    return {utt: clip for utt, clip in clips.items() if clip.speaker in chosen}
