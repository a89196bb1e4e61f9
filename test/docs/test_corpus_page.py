# Copyright 2026 The hasrd authors
# Apache-2.0
"""docs/corpus.md, command by command, on a small corpus of its form; real speech where LIBRISPEECH names some."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from doc_pages import ROOT, blocks

FOLDER, DATA, FEATURES, DROP_BAD, TRY = blocks("corpus.md", "bash")
LAYOUT, MESSAGES, FORMS = blocks("corpus.md", "text")
SPEAKERS, CLIPS = 6, 2
ALL = ("train", "valid", "test")


def speech_like(seed: int, seconds: float) -> np.ndarray:
    """A gliding voice with syllables and some breath, float32."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16000)) / 16000
    pitch = 120 + 10 * seed + 30 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    formant = 600 + 400 * np.sin(2 * np.pi * 1.3 * time + seed)
    voice = sum(np.exp(-(((k * pitch - formant) / 400) ** 2)) * np.sin(k * phase) for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, None)
    return (0.2 * syllables * (voice + 0.05 * generator.standard_normal(len(time)))).astype(np.float32)


def real_clips(root: Path):
    """Yield speaker, text and wave of the shortest clips of some speakers."""
    folders = sorted(folder for folder in root.glob("*/*") if folder.is_dir() and folder.name.isdecimal())
    for folder in folders[:SPEAKERS]:
        texts = dict(
            line.split(" ", 1) for path in folder.glob("*/*.trans.txt") for line in path.read_text().splitlines()
        )
        for path in sorted(folder.glob("*/*.flac"), key=lambda path: path.stat().st_size)[:CLIPS]:
            yield folder.name, texts[path.stem], soundfile.read(path, dtype="float32")[0]


def made_clips():
    for index in range(SPEAKERS * CLIPS):
        yield f"s{index // CLIPS}", "SOME WORDS THAT NOBODY SAID", speech_like(index, 3 + 0.3 * index)


@pytest.fixture
def home(tmp_path):
    """A home folder with a corpus of the page's form."""
    corpus = tmp_path / "home" / "my_speech"
    (corpus / "clips").mkdir(parents=True)
    assert all(f"~/{corpus.name}/{name}" in LAYOUT for name in ("clips.tsv", "clips/"))
    root = Path(os.environ.get("LIBRISPEECH") or tmp_path / "none")
    rows = ["speaker\tfile\ttext"]
    for index, (speaker, text, wave) in enumerate(real_clips(root) if root.is_dir() else made_clips()):
        name = f"{speaker}-{index}.flac"
        soundfile.write(corpus / "clips" / name, wave, 16000)
        rows.append(f"{speaker}\t{name}\t{text}")
    (corpus / "clips.tsv").write_text("\n".join(rows) + "\n")
    return corpus.parent


@pytest.fixture
def shell(tmp_path, home):
    """Runs commands one after the other in a copy of the tree, as typed into one terminal."""
    tree = tmp_path / "tree"
    for name in ("hasrd", "tools"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).symlink_to(ROOT / name)
    for name in ("TEMPLATE", "asterisk"):
        shutil.copytree(
            ROOT / "egs2" / name, tree / "egs2" / name, symlinks=True,
            ignore=shutil.ignore_patterns("data", "dump", "exp", "downloads"),
        )  # fmt: skip
    environment = {**os.environ, "HOME": str(home), "HASRD_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    folder = tree

    def run(commands: str) -> subprocess.CompletedProcess:
        nonlocal folder
        result = subprocess.run(
            ["bash", "-c", f"set -e\n{commands}\npwd >{tmp_path}/pwd"], cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=840,
        )  # fmt: skip
        if result.returncode == 0:
            folder = Path((tmp_path / "pwd").read_text().strip())
        return result

    run.cwd = lambda: folder
    return run


def ok(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    return result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page(shell, home):
    ok(shell(FOLDER))
    recipe = shell.cwd()
    assert recipe.parts[-3:] == ("egs2", "mycorpus", "hasrd1")
    ok(shell(DATA))
    ok(shell(FEATURES))
    speakers = {}
    for name in ("train", "valid", "test"):
        speakers[name] = {line.split()[1] for line in (recipe / f"data/{name}/utt2spk").read_text().splitlines()}
        wavs = (recipe / f"data/{name}/wav.scp").read_text().splitlines()
        assert len(wavs) == CLIPS * len(speakers[name])
        assert len((recipe / f"dump/fbank/{name}/feats.scp").read_text().splitlines()) == len(wavs)
    assert [len(names) for names in speakers.values()] == [SPEAKERS - 2, 1, 1]
    assert len(set.union(*speakers.values())) == SPEAKERS

    # A file that is of no use is told, and left out where the user says so.
    table = home / "my_speech/clips.tsv"
    last = table.read_text().splitlines()[-1].split("\t")[0]
    table.write_text(table.read_text() + f"{last}\tbroken.flac\tWORDS\n")
    (home / "my_speech/clips/broken.flac").touch()
    result = shell("./run.sh --stop_stage 1")
    assert result.returncode and "broken.flac: empty file (0 bytes)" in result.stderr
    ok(shell(DROP_BAD))
    assert (recipe / "data/train/rejected").read_text().startswith("broken ")
    assert "broken" not in (recipe / "dump/fbank/train/feats.scp").read_text()

    output = ok(shell(TRY))
    assert "Masked accuracy" in output
    experiment = recipe / "exp/ssl_try"
    for name in ("train.log", "config.yaml", "encoder.safetensors", "scores/valid/masked_accuracy.json"):
        assert (experiment / name).is_file()


def test_the_messages_are_those_that_one_gets(tmp_path):
    """The page's example of messages, word for word."""
    clips = tmp_path / "my_speech" / "clips"
    clips.mkdir(parents=True)
    tables = {"train": ["anna-1", "anna-2", "anna-3", "anna-4"], "valid": ["ben-1"], "test": ["anna-5"]}
    for name, utterances in tables.items():
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for utterance in utterances:
            path = clips / f"{utterance}.flac"
            if utterance == "anna-2":
                path.touch()
            else:
                soundfile.write(path, speech_like(0, 1), 8000 if utterance == "anna-1" else 16000)
        for table, value in (("wav.scp", f"{clips}/{{}}.flac"), ("text", "WORDS OF {}")):
            (folder / table).write_text("".join(f"{u} {value.format(u)}\n" for u in utterances))
        (folder / "utt2spk").write_text("".join(f"{u} {u.split('-')[0]}\n" for u in utterances))
    result = subprocess.run(
        [sys.executable, "-m", "hasrd.bin.validate_data", "data/train", "data/valid", "data/test"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    shown = result.stderr[result.stderr.index("error: ") :].replace(str(tmp_path), "/home/me")
    assert result.returncode == 1 and shown == MESSAGES


RUSSIAN = {"ru_1": "Она завела, прядь волнистых вол+ос за ухо.", "ru_2": "Их было 7.", "ru_3": "Да!", "ru_4": "Нет..."}


@pytest.mark.parametrize("dry", [True, False])
def test_a_corpus_of_another_language_and_form(tmp_path, dry):
    """The page's command; on Debian's festvox-ru, real Russian speech, where FESTVOX_RU names its voice's folder."""
    pytest.importorskip("num2words")
    corpus = tmp_path / "russian"
    if os.environ.get("FESTVOX_RU"):
        corpus.symlink_to(os.environ["FESTVOX_RU"])
    else:
        (corpus / "wav").mkdir(parents=True)
        (corpus / "etc").mkdir()
        for index, name in enumerate(RUSSIAN):
            soundfile.write(corpus / f"wav/{name}.wav", speech_like(index, 2 + index), 16000)
        (corpus / "etc/txt.done.data").write_text("".join(f'( {name} "{text}" )\n' for name, text in RUSSIAN.items()))
    command = FORMS if dry else FORMS.replace("--dry_run", "")
    command = command.replace("hasrd prepare", f"{sys.executable} -m hasrd.bin.prepare").strip()
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=250,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PYTHONUTF8": "1"},
    )  # fmt: skip
    output = ok(result)
    assert "add --single_speaker true to run.sh" in output
    assert (tmp_path / "data").exists() != dry
    if not dry:
        sets = [(tmp_path / f"data/{name}/text").read_text(encoding="utf-8").splitlines() for name in ALL]
        texts = dict(line.split(" ", 1) for lines in sets for line in lines)
        assert all(set(text) <= set("АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ' ") for text in texts.values()) and all(sets)
        if not os.environ.get("FESTVOX_RU"):
            assert texts["ru_1"] == "ОНА ЗАВЕЛА ПРЯДЬ ВОЛНИСТЫХ ВОЛОС ЗА УХО" and texts["ru_2"] == "ИХ БЫЛО СЕМЬ"
