# Copyright 2026 The hasrd authors
# Apache-2.0
"""Asterisk's telephone prompts: one professional voice a language, 24-31 minutes each, free to use.

The Debian packages asterisk-core-sounds-<language>-g722 carry the audio (G.722 at 16 kHz) and the packages without
`-g722` the texts. Licence: CC BY-SA 3.0 (en, es, fr) and CC BY 3.0 (it, ru).
"""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import subprocess
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping

import numpy as np

from hasrd.data.audio import write_audio
from hasrd.data.corpora.common import Clip, Corpus, holds
from hasrd.data.deb import read_deb
from hasrd.data.prompt_text import DIGITS, Unclear, parse_prompts, transcript
from hasrd.data.walk import walk_files
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path
from hasrd.jobs.names import inside
from hasrd.progress import progress

SAMPLE_RATE = 16000
G722_BITS = 64000  # bit/s; the packages' files are all of G.722's full rate
MAX_SECONDS = 30.0
VALID_SHARE = 0.05
TEST_SHARE = 0.05
# Which text goes into which set is a hash of the text; of the salts tried, this one gives English sets of nearly the
# intended size. Changing it would mix test sentences into models trained before.
SALT = "hasrd-56"
# Tones and noises; some languages' texts don't say so.
NOT_SPEECH = re.compile(
    r"(ascending-2tone|descending-2tone|beep|beeperr|confbridge-join|confbridge-leave|tt-monkeys|silence/.*)"
)


@dataclass
class Package:
    """One language as the packages hold it.

    Attributes:
        language: Two letters.
        voice: Name of the voice's folder, for example `en_US_f_Allison`.
        audio: Prompt name to its G.722 bytes.
        prompts: Prompt name to text.
        ambiguous: Names with two different texts.
        licence: Short name of the licence.
    """

    language: str
    voice: str
    audio: dict[str, bytes] = field(repr=False)
    prompts: dict[str, str] = field(repr=False)
    ambiguous: set[str]
    licence: str


def prepare(languages: list[str], download_dir: str | Path, min_samples: int = 784, root: str | Path = "") -> Corpus:
    """Fetch (where needed), decode and split the prompts of some languages.

    The packages and the decoded FLAC files lie in `download_dir`; what is there is not made again. `root` is a folder
    with the packages, or with what is in them (`usr/share/...`), that takes the place of the download.

    Returns:
        The clips with their sets `train`, `valid` and `test`, and what was left out.

    Raises:
        UserError: Unknown language, no way to fetch the packages, a damaged package.
    """
    unknown = [language for language in languages if language not in DIGITS]
    if unknown:
        raise UserError(f"--langs: no prompts in '{unknown[0]}': choose from {' '.join(DIGITS)}")
    if not languages:
        raise UserError(f"--langs: name at least one of {' '.join(DIGITS)}")
    download_dir = Path(download_dir)
    corpus = Corpus({"train": {}, "valid": {}, "test": {}})
    for language in dict.fromkeys(languages):
        if root and (Path(root) / "usr/share/asterisk/sounds").is_dir():
            package = make_package(language, _read_tree(language, Path(root)), str(root))
        else:
            audio, texts = fetch(language, Path(root) if root else download_dir, not root)
            package = make_package(language, {**read_deb(audio), **read_deb(texts)}, f"{audio} and {texts}")
        corpus.notes.append(f"{language}: voice {package.voice}, licence {package.licence}")
        _add_language(corpus, package, download_dir / "asterisk-16k", min_samples)
    corpus.licence = "Debian's asterisk-core-sounds: " + "; ".join(corpus.notes)
    return corpus


def fetch(language: str, folder: Path, may_download: bool = True) -> tuple[Path, Path]:
    """The package files with audio and with texts, downloaded by apt-get where they are not in `folder`.

    Raises:
        UserError: They are not there and apt-get may not run, is missing or fails; says which files to put where.
    """
    names = (f"asterisk-core-sounds-{language}-g722", f"asterisk-core-sounds-{language}")
    missing = [name for name in names if not _packages(name, folder)]
    if missing and not may_download:
        raise UserError(
            f"{folder}: no {missing[0]}_*.deb in it: put the package files there, or leave ASTERISK (db.sh) empty to "
            "download them"
        )
    if missing:
        _download(missing, folder)
    audio, texts = (_packages(name, folder)[-1] for name in names)
    return audio, texts


def _packages(name: str, folder: Path) -> list[Path]:
    """The files of a package, in the order of their names."""
    return sorted(folder.glob(f"{name}_*.deb"))


def _download(names: list[str], download_dir: Path) -> None:
    by_hand = (
        f"get the package files {' and '.join(name + '_*.deb' for name in names)} on another machine "
        f"(Debian, component main) and put them into {download_dir}"
    )
    if shutil.which("apt-get") is None:
        raise UserError(f"no apt-get here to download the speech: {by_hand}")
    download_dir.mkdir(parents=True, exist_ok=True)
    print(f"downloading {' '.join(names)} (about 10 MB a language)", flush=True)
    # In a folder of its own, so that a file appears under its name only when it is whole. As root, apt-get reads there
    # as another user and warns where that one may not write; the download works all the same.
    with tempfile.TemporaryDirectory(dir=download_dir) as folder:
        result = subprocess.run(["apt-get", "download", *names], cwd=folder, capture_output=True, text=True)
        packages = list(Path(folder).glob("*.deb"))
        if result.returncode or len(packages) != len(names):
            errors = [line for line in result.stderr.splitlines() if line.startswith("E:")]
            reason = errors[0] if errors else f"exit status {result.returncode}"
            raise UserError(
                f"apt-get download {' '.join(names)}: {reason}: check the network and run 'apt-get update' (as root), "
                f"or {by_hand}"
            )
        for package in packages:
            package.replace(download_dir / package.name)


def make_package(language: str, files: Mapping[str, bytes], where: str) -> Package:
    """Find a language's sounds, texts and licence among the files of its packages (`usr/share/...` to content).

    Raises:
        UserError: No sounds or no texts of that language.
    """
    audio: dict[str, bytes] = {}
    voices: set[str] = set()
    for path, content in files.items():
        match = re.fullmatch(r"usr/share/asterisk/sounds/([^/]+)/(.+)\.g722", path)
        if match:
            voices.add(match.group(1))
            audio[match.group(2)] = content
    documents = f"usr/share/doc/asterisk-core-sounds-{language}"
    listing = files.get(f"{documents}/core-sounds-{language}.txt.gz")
    if len(voices) != 1 or listing is None:
        what = "texts" if listing is None else "G.722 sounds of one voice"
        raise UserError(f"{where}: no {what} for '{language}' in it: remove it and get it again")
    try:
        prompts, ambiguous = parse_prompts(gzip.decompress(listing))
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise UserError(f"{where}: damaged texts ({error}): remove it and get it again") from None
    licence = licence_of(files.get(f"{documents}/copyright", b"").decode("utf-8", "replace"), language)
    return Package(language, voices.pop(), audio, prompts, ambiguous, licence)


def _read_tree(language: str, root: Path) -> dict[str, bytes]:
    folders = [*root.glob(f"usr/share/asterisk/sounds/{language}_*"), *root.glob(f"usr/share/doc/*-sounds-{language}")]
    paths = (path for folder in folders for path in walk_files(folder) if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def licence_of(copyright_file: str, language: str) -> str:
    """Short name of the licence of a language's sounds, from the package's machine-readable copyright file."""
    found = "see the package's copyright file"
    applies = False
    for line in copyright_file.splitlines():
        if line.startswith("Files:"):
            applies = line.split()[1] in ("*", f"{language}-*")
        match = re.match(r"License:\s*(\S+)", line)
        if match and applies:
            # Later paragraphs are the more special ones.
            found = match.group(1)
            applies = False
    return found


def _add_language(corpus: Corpus, package: Package, audio_dir: Path, min_samples: int) -> None:
    by_lower = {name.lower(): name for name in package.prompts}
    names = sorted(package.audio)
    for name in progress(names, len(names), f"decoding {package.voice}", "clip"):
        # A few audio files differ from their text's name in upper and lower case alone.
        key = name if name in package.prompts else by_lower.get(name.lower(), name)
        try:
            text = _text_of(package, name, key)
        except Unclear as reason:
            corpus.leave_out(package.language, name, str(reason))
            continue
        wave = decode_g722(package.audio[name])
        if len(wave) < min_samples:
            what = "no audio in the package" if not len(wave) else "shorter than one token"
            corpus.leave_out(package.language, name, what)
            continue
        if len(wave) > MAX_SECONDS * SAMPLE_RATE:
            corpus.leave_out(package.language, name, f"longer than {MAX_SECONDS:.0f} s")
            continue
        path = inside(inside(audio_dir, package.voice), name, ".flac", folders=True)
        if not holds(path, wave):
            with atomic_path(path) as temporary:
                write_audio(temporary, wave, SAMPLE_RATE)
        utterance = f"{package.language}-{name.replace('/', '_')}"
        clip = Clip(str(path), text, package.voice, len(wave), package.language)
        corpus.add(set_of(text), utterance, clip)


def _text_of(package: Package, name: str, key: str) -> str:
    if NOT_SPEECH.fullmatch(name):
        raise Unclear("no speech in it")
    if not package.prompts.get(key):
        raise Unclear("no text in the package")
    if key in package.ambiguous:
        raise Unclear("two different texts in the package")
    return transcript(package.prompts[key], package.language, package.audio)


def decode_g722(content: bytes) -> np.ndarray:
    """Decode G.722 at 64 kbit/s to int16 (N,) at 16 kHz; UserError where the decoder is not installed."""
    try:
        from G722 import G722
    except ImportError:
        raise UserError("the G.722 decoder is missing: pip install 'g722[numpy]'") from None
    if not content:
        return np.zeros(0, dtype=np.int16)
    return np.asarray(G722(SAMPLE_RATE, G722_BITS).decode(content), dtype=np.int16)


def set_of(text: str) -> str:
    """The set of a transcript: by a hash of it, so that clips with one text share a set, whatever else is prepared."""
    digest = hashlib.sha256(f"{SALT} {text}".encode("utf-8")).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < TEST_SHARE:
        return "test"
    return "valid" if position < TEST_SHARE + VALID_SHARE else "train"
