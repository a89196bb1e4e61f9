# Copyright 2026 The hasrd authors
# Apache-2.0
"""Preparation of the corpora, on packages and folders made here."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasrd.data.corpora import asterisk, librispeech
from hasrd.data.deb import read_deb
from hasrd.data.kaldi import DataDir, read_table
from hasrd.errors import UserError

soundfile = pytest.importorskip("soundfile")

COPYRIGHT = "Files: *\nLicense: CC-BY-SA-3.0\n\nFiles: it-*\nLicense: CC-BY-3.0\n\nLicense: CC-BY-SA-3.0\n text\n"


def deb(path: Path, files: dict[str, bytes], compression: str = "xz") -> Path:
    """Write a Debian package with `files`."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", f"data.tar.{compression}": data.getvalue()}
    with open(path, "wb") as file:
        file.write(b"!<arch>\n")
        for name, content in members.items():
            file.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))
    return path


def tone(seconds: float) -> bytes:
    codec = pytest.importorskip("G722")
    time = np.arange(int(seconds * 16000)) / 16000
    wave = (8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    return bytes(codec.G722(16000, 64000).encode(wave))


def packages(folder: Path, language: str = "en", prompts: dict[str, tuple[str, float]] | None = None) -> Path:
    """Write a language's two packages: prompt name to text and seconds."""
    folder.mkdir(exist_ok=True)
    if prompts is None:
        words = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar".split()
        prompts = {f"word/{a}{b}": (f"{a} {b}", 0.5) for a in words for b in words}
    sounds = {name: tone(seconds) for name, (_, seconds) in prompts.items()}
    lines = "".join(f"{name}: {text}\n" for name, (text, _) in prompts.items())
    documents = f"usr/share/doc/asterisk-core-sounds-{language}"
    voice = f"usr/share/asterisk/sounds/{language}_XX_f_Voice"
    deb(folder / f"asterisk-core-sounds-{language}-g722_1_all.deb",
        {f"{voice}/{name}.g722": content for name, content in sounds.items()})  # fmt: skip
    deb(folder / f"asterisk-core-sounds-{language}_1_all.deb", {
        f"{documents}/core-sounds-{language}.txt.gz": gzip.compress(lines.encode()),
        f"{documents}/copyright": COPYRIGHT.encode(),
    })  # fmt: skip
    return folder


def unpack(downloads: Path, tree: Path) -> Path:
    """Write what is in the packages of a folder."""
    for package in downloads.glob("*.deb"):
        for name, content in read_deb(package).items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(content)
    return tree


@pytest.fixture
def apt(tmp_path: Path, monkeypatch):
    """apt(script) -> the program that is called in the place of apt-get."""

    def make(script: str) -> Path:
        program = tmp_path / "bin" / "apt-get"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")
        return program

    return make


def test_packages_become_data_directories(tmp_path: Path):
    downloads = packages(tmp_path / "downloads")
    corpus = asterisk.prepare(["en"], downloads)
    corpus.write(tmp_path / "data")
    sets = {name: DataDir.load(tmp_path / "data" / name) for name in ("train", "valid", "test")}
    count = {name: len(data.wavs) for name, data in sets.items()}
    assert sum(count.values()) == 225 and count["train"] > 180 and min(count.values()) >= 3
    texts = {name: set(data.tables["text"].values()) for name, data in sets.items()}
    assert not texts["train"] & (texts["valid"] | texts["test"]) and not texts["valid"] & texts["test"]
    train = sets["train"]
    utterance = train.utterances[0]
    assert utterance.startswith("en-word_")
    assert train.tables["utt2spk"][utterance] == "en_XX_f_Voice" and train.tables["utt2lang"][utterance] == "en"
    assert train.samples()[utterance] == 8000 == soundfile.info(train.wavs[utterance]).frames
    assert soundfile.info(train.wavs[utterance]).samplerate == 16000
    assert "en: voice en_XX_f_Voice, licence CC-BY-SA-3.0" in corpus.table()


def test_a_second_run_decodes_nothing_again_and_gives_the_same(tmp_path: Path):
    downloads = packages(tmp_path / "downloads", prompts={"hello": ("Hello.", 1.0), "bye": ("Good bye.", 1.0)})
    first = asterisk.prepare(["en"], downloads)
    files = list((downloads / "asterisk-16k").rglob("*.flac"))
    before = [path.stat().st_mtime_ns for path in files]
    assert len(files) == 2
    assert asterisk.prepare(["en"], downloads) == first
    assert [path.stat().st_mtime_ns for path in files] == before
    # Other samples, as many: not what is in the package.
    wanted, _ = soundfile.read(files[0], dtype="int16")
    for damage in (lambda: soundfile.write(files[0], wanted[::-1], 16000), lambda: files[0].write_bytes(b"damaged")):
        damage()
        assert asterisk.prepare(["en"], downloads) == first
        assert (soundfile.read(files[0], dtype="int16")[0] == wanted).all()


def test_what_cannot_be_used_is_left_out_with_the_reason(tmp_path: Path):
    prompts = {
        "hello": ("Hello.", 1.0),
        "short": ("Short.", 0.04),
        "long": ("Long.", 30.5),
        "empty": ("Empty.", 0.0),
        "beep": ("un suono beep", 0.5),
        "silence/1": ("(1 second of silence)", 1.0),
        "number": ("Dial 500", 1.0),
        "textless": ("", 1.0),
    }
    corpus = asterisk.prepare(["en"], packages(tmp_path / "downloads", prompts=prompts))
    assert [utt for clips in corpus.sets.values() for utt in clips] == ["en-hello"]
    assert {name: reason for _, name, reason in corpus.left_out} == {
        "short": "shorter than one token",
        "long": "longer than 30 s",
        "empty": "no audio in the package",
        "beep": "no speech in it",
        "silence/1": "no speech in it",
        "number": "a number that can be read in several ways",
        "textless": "no text in the package",
    }


def test_names_may_differ_in_case_and_languages_share_the_split(tmp_path: Path):
    downloads = packages(tmp_path / "downloads", "en", {"a": ("SIP", 0.5), "b": ("Only English", 0.5)})
    packages(downloads, "it", {"A": ("SIP", 0.5), "c": ("Solo", 0.5)})
    path = downloads / "asterisk-core-sounds-it_1_all.deb"
    files = read_deb(path)
    listing = next(name for name in files if name.endswith(".txt.gz"))
    deb(path, files | {listing: gzip.compress(b"a: SIP\nc: Solo\n")})
    corpus = asterisk.prepare(["en", "it", "it"], downloads)
    where = {utt: name for name, clips in corpus.sets.items() for utt in clips}
    assert set(where) == {"en-a", "en-b", "it-A", "it-c"} and where["en-a"] == where["it-A"]
    assert "it: voice it_XX_f_Voice, licence CC-BY-3.0" in corpus.notes


def test_an_unpacked_package_is_read_too(tmp_path: Path):
    downloads = packages(tmp_path / "downloads", prompts={"hello": ("Hello.", 1.0)})
    corpus = asterisk.prepare(["en"], tmp_path / "other", root=unpack(downloads, tmp_path / "tree"))
    assert corpus.sets == asterisk.prepare(["en"], tmp_path / "other", root=downloads).sets


def test_an_unpacked_package_may_be_linked(tmp_path: Path):
    downloads = packages(tmp_path / "downloads", prompts={"hello": ("Hello.", 1.0), "digits/1": ("One.", 1.0)})
    sounds = tmp_path / "tree/usr/share/asterisk/sounds"
    expected = asterisk.prepare(["en"], tmp_path / "a", root=unpack(downloads, tmp_path / "tree")).table()
    for folder in (sounds / "en_XX_f_Voice" / "digits", sounds / "en_XX_f_Voice", tmp_path / "tree/usr/share"):
        folder.rename(tmp_path / f"{folder.name} elsewhere")
        folder.symlink_to(tmp_path / f"{folder.name} elsewhere")
    (tmp_path / "digits elsewhere" / "loop").symlink_to(sounds / "en_XX_f_Voice")
    corpus = asterisk.prepare(["en"], tmp_path / "b", root=tmp_path / "tree")
    assert corpus.table() == expected and sum(map(len, corpus.sets.values())) == 2


def test_an_unknown_language(tmp_path: Path):
    with pytest.raises(UserError, match="no prompts in 'xx'.*en es fr it ru"):
        asterisk.prepare(["en", "xx"], tmp_path)


def test_without_apt_the_files_to_get_by_hand_are_named(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(asterisk.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=rf"asterisk-core-sounds-en-g722_\*.deb and .*into {tmp_path}/d"):
        asterisk.prepare(["en"], tmp_path / "d")


def test_apt_without_network_is_one_line(tmp_path: Path, apt):
    apt("echo 'W: odd' >&2; echo 'E: Failed to fetch' >&2; touch half.deb; exit 100")
    with pytest.raises(UserError, match="E: Failed to fetch: check the network and run 'apt-get update'"):
        asterisk.prepare(["en"], tmp_path / "d")
    assert not list((tmp_path / "d").iterdir())


def test_apt_downloads_what_is_missing(tmp_path: Path, apt):
    made = packages(tmp_path / "made", prompts={"hello": ("Hello.", 1.0)})
    program = apt(f'shift\nfor name; do cp {made}/"$name"_*.deb .; done')
    corpus = asterisk.prepare(["en"], tmp_path / "d")
    assert sum(len(clips) for clips in corpus.sets.values()) == 1
    # The second time nothing is asked for.
    program.unlink()
    asterisk.prepare(["en"], tmp_path / "d")


def test_a_given_folder_is_never_downloaded_into(tmp_path: Path):
    with pytest.raises(UserError, match=r"no asterisk-core-sounds-en-g722_\*.deb in it"):
        asterisk.prepare(["en"], tmp_path / "d", root=tmp_path)


@pytest.mark.parametrize("compression", ["xz", "gz"])
def test_packages_are_read_whatever_the_compression(tmp_path: Path, compression: str):
    files = {"usr/share/a": b"1", "usr/b": b"2" * 1001}
    assert read_deb(deb(tmp_path / "x.deb", files, compression)) == files


@pytest.mark.parametrize("keep", [0, 5, 70, 150, -1])
def test_a_damaged_package_is_one_line(tmp_path: Path, keep: int):
    path = deb(tmp_path / "x.deb", {"usr/share/a": bytes(range(256)) * 50})
    content = path.read_bytes()
    path.write_bytes(content[: keep if keep >= 0 else len(content) - 40])
    with pytest.raises(UserError, match="x.deb: .*remove it and run the same command again") as caught:
        read_deb(path)
    assert "\n" not in str(caught.value)


@given(st.sampled_from(["xz", "gz", "bz2"]), st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=4))
def test_whatever_a_package_holds_there_are_files_or_one_line(tmp_path_factory, compression: str, changes: list):
    path = deb(tmp_path_factory.mktemp("deb") / "x.deb", {"usr/share/a": bytes(range(256))}, compression)
    content = bytearray(path.read_bytes())
    for place, byte in changes:
        content[int(place * len(content))] = byte
    path.write_bytes(content)
    try:
        read_deb(path)
    except UserError as error:
        assert str(error).startswith(f"{path}: ") and len(str(error).splitlines()) == 1


@pytest.mark.parametrize("name", ["../../evil", "/evil", "usr/../../../evil", "usr/share/../../../evil/x"])
def test_a_package_with_a_path_that_leads_out_of_it_is_refused(tmp_path: Path, name: str):
    with pytest.raises(UserError, match="cannot be the name of a file in"):
        read_deb(deb(tmp_path / "x.deb", {"usr/share/a": b"1", name: b"2"}))


@pytest.mark.parametrize(
    "voice, name", [("en_XX_f_Voice", "a/../../../../evil"), ("en_XX_f_Voice", "/evil"), ("..", "evil"), ("v", ".evil")]
)
def test_no_sound_is_written_outside_of_its_folder(tmp_path: Path, voice: str, name: str):
    package = asterisk.Package("en", voice, {name: tone(0.5)}, {name: "Evil."}, set(), "none")
    with pytest.raises(UserError, match="cannot be the name of a file in"):
        asterisk._add_language(asterisk.Corpus({}), package, tmp_path / "in" / "side", 784)
    assert not list(tmp_path.rglob("*.flac"))


def test_a_sound_whose_name_cannot_be_an_utterance(tmp_path: Path):
    packages(tmp_path, prompts={"two words": ("Two words.", 0.5)})
    with pytest.raises(UserError, match="the utterance's name 'en-two words' has a blank .*: rename the file"):
        asterisk.prepare(["en"], tmp_path)


def part(root: Path, name: str, speakers: dict[str, list[int]]) -> Path:
    """Write a part of LibriSpeech's layout: speaker to samples of each utterance."""
    for speaker, lengths in speakers.items():
        folder = root / name / speaker / "1"
        folder.mkdir(parents=True)
        lines = []
        for index, length in enumerate(lengths):
            utterance = f"{speaker}-1-{index:04d}"
            soundfile.write(folder / f"{utterance}.flac", np.zeros(length), 16000)
            lines.append(f"{utterance} WORDS OF {speaker} {index}\n")
        (folder / f"{speaker}-1.trans.txt").write_text("".join(lines))
    return root / name


PARTS = {"train": ["train-clean-100"], "test": ["test-clean", "test-other"]}


@pytest.fixture
def corpus_root(tmp_path: Path) -> Path:
    root = tmp_path / "LibriSpeech"
    part(root, "train-clean-100", {str(100 + n): [4000 + 10 * n] * 3 for n in range(40)})
    part(root, "test-clean", {"1": [4000, 5000]})
    part(root, "test-other", {"2": [4000, 700], "3": [784]})
    return root


def test_test_parts_keep_their_names_and_short_clips_are_left_out(tmp_path: Path, corpus_root: Path):
    corpus = librispeech.prepare(corpus_root, **PARTS)
    corpus.write(tmp_path / "data")
    assert list(corpus.sets) == ["train", "test-clean", "test-other"]
    other = DataDir.load(tmp_path / "data" / "test-other")
    assert other.tables["utt2spk"] == {"2-1-0000": "2", "3-1-0000": "3"}
    assert other.tables["text"]["2-1-0000"] == "WORDS OF 2 0"
    assert other.samples() == {"2-1-0000": 4000, "3-1-0000": 784}
    assert Path(other.wavs["2-1-0000"]) == corpus_root / "test-other/2/1/2-1-0000.flac"
    assert corpus.left_out == [("test-other", "2-1-0001", "shorter than one token")]
    assert (tmp_path / "data/left_out").read_text() == "test-other 2-1-0001: shorter than one token\n"


def test_valid_is_cut_by_speakers_and_always_the_same(corpus_root: Path):
    first, second = (
        librispeech.prepare(corpus_root, train=["train-clean-100"], valid_from_train=0.1) for _ in range(2)
    )
    assert first == second
    train, valid = first.sets["train"], first.sets["valid"]
    assert not {clip.speaker for clip in train.values()} & {clip.speaker for clip in valid.values()}
    share = sum(clip.num_samples for clip in valid.values()) / sum(
        clip.num_samples for clips in (train, valid) for clip in clips.values()
    )
    assert 0.08 < share < 0.12
    assert len(train) + len(valid) == 120


def test_a_large_speaker_is_passed_over(tmp_path: Path):
    part(tmp_path, "train", {"big": [400000], **{f"s{n}": [1000] for n in range(20)}})
    corpus = librispeech.prepare(tmp_path, train=["train"], valid_from_train=0.01)
    assert all(clip.num_samples == 1000 for clip in corpus.sets["valid"].values())
    assert 1 <= len(corpus.sets["valid"]) <= 4


def test_one_speaker_cannot_be_cut(tmp_path: Path):
    part(tmp_path, "train", {"a": [4000, 4000]})
    with pytest.raises(UserError, match="--valid_from_train 0.5: 1 speakers cannot be cut"):
        librispeech.prepare(tmp_path, train=["train"], valid_from_train=0.5)


def test_missing_files_are_named_with_their_lines(corpus_root: Path):
    (corpus_root / "test-clean/1/1/1-1-0001.flac").unlink()
    (corpus_root / "test-other/2/1/2-1-0000.flac").write_bytes(b"")
    (corpus_root / "test-other/3/1/3-1.trans.txt").write_text("3-1-0009 ODD\n")
    with pytest.raises(UserError) as caught:
        librispeech.prepare(corpus_root, **PARTS)
    message = str(caught.value)
    assert "1-1.trans.txt:2: utterance '1-1-0001': " in message and "1-1-0001.flac: no such audio file" in message
    assert "2-1.trans.txt:1: utterance '2-1-0000': " in message and "empty file" in message
    assert "3-1-0000.flac: no transcript in" in message
    assert "3-1.trans.txt:1: utterance '3-1-0009': " in message


def test_linked_parts_speakers_and_chapters_are_found(tmp_path: Path, corpus_root: Path):
    expected = librispeech.prepare(corpus_root, **PARTS)
    for place in ("test-other", "test-clean/1", "train-clean-100/100/1"):
        (corpus_root / place).rename(tmp_path / place.replace("/", " "))
        (corpus_root / place).symlink_to(tmp_path / place.replace("/", " "))
    (tmp_path / "corpus").symlink_to(corpus_root)
    again = librispeech.prepare(corpus_root, **PARTS)
    assert again == expected
    root = librispeech.root_or_download(str(tmp_path / "corpus"), [], "d")
    linked = librispeech.prepare(root, **PARTS)
    assert {name: [*clips] for name, clips in linked.sets.items()} == {
        name: [*clips] for name, clips in expected.sets.items()
    }


@pytest.mark.parametrize(
    ("line", "what"),
    [
        *((f"{name} B", f"'{name}' cannot be an utterance's name") for name in ("../../../evil", "/evil", "..")),
        ("1-1-0001", "'1-1-0001' has no value"),
    ],
)
def test_a_bad_line_of_a_transcript(corpus_root: Path, line: str, what: str):
    (corpus_root / "test-clean/1/1/1-1.trans.txt").write_text(f"1-1-0000 A\n{line}\n")
    with pytest.raises(UserError, match=f"1-1.trans.txt:2: {what}"):
        librispeech.prepare(corpus_root, train=[], test=["test-clean"])


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"train": ["train-clean-360"]}, "train-clean-360: no such part: set LIBRISPEECH"),
        ({"train": ["test-clean"], "test": ["test-clean"]}, "named twice"),
        ({"train": []}, "no parts named"),
        ({"train": ["test-clean"], "valid_from_train": 1.5}, "give a share"),
        ({"train": [], "test": ["test-clean"], "valid_from_train": 0.1}, "nothing to cut from"),
        ({"train": ["test-clean"], "test": ["test-other"], "train_set": "test-other"}, "made twice"),
    ],
)
def test_arguments_that_cannot_be(corpus_root: Path, arguments: dict, what: str):
    with pytest.raises(UserError, match=what):
        librispeech.prepare(corpus_root, **arguments)


def test_a_folder_that_is_no_part(tmp_path: Path):
    (tmp_path / "test-clean").mkdir()
    with pytest.raises(UserError, match="is this a part of LibriSpeech"):
        librispeech.prepare(tmp_path, train=[], test=["test-clean"])


def test_the_folder_around_the_corpus_will_do(corpus_root: Path):
    assert librispeech.root_or_download(str(corpus_root.parent), [], "d") == corpus_root
    assert librispeech.root_or_download(str(corpus_root), [], "d") == corpus_root
    with pytest.raises(UserError, match="no such folder: set LIBRISPEECH"):
        librispeech.root_or_download(str(corpus_root / "nowhere"), [], "d")
    with pytest.raises(UserError, match="part 'train-clean-5' is not in librispeech"):
        librispeech.root_or_download("", ["train-clean-5"], "d")


def test_real_librispeech_gives_its_own_transcripts(librispeech: Path):
    from hasrd.data.corpora.librispeech import prepare

    if not (librispeech / "test-other").is_dir():
        pytest.skip("no test-other in LIBRISPEECH")
    corpus = prepare(librispeech, train=[], test=["test-other"])
    clips = corpus.sets["test-other"]
    path = next((librispeech / "test-other").glob("*/*/*.trans.txt"))
    for utterance, text in read_table(path).items():
        assert clips[utterance].text == text and clips[utterance].speaker == utterance.split("-")[0]
