# Copyright 2026 The hasrd authors
# Apache-2.0
"""Our lines of docs/conventions.md, on speech of another rate; those of `hasrd info` and README, too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from doc_pages import ROOT, blocks

from hasrd.models.package import pack


@pytest.fixture
def place(codec_dir, tmp_path, monkeypatch):
    """A folder as a reader has it: a model, speech of 44.1 kHz, the command `hasrd`."""
    pack(codec_dir, tmp_path / "my_model")
    shutil.copytree(codec_dir, tmp_path / "exp/codec_x")
    wave = 0.1 * np.random.default_rng(0).standard_normal(44100)
    for name in ("speech.wav", "speech/a.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, wave, 44100)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(commands: str) -> None:
    run = f'hasrd() {{ {sys.executable} -m hasrd.bin.main "$@"; }}\nset -e\n{commands}'
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", run], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_calls(place):
    (code,), (commands,) = blocks("conventions.md", "python"), blocks("conventions.md", "bash")
    names: dict = {}
    exec(compile(code, "conventions.md", "exec"), names)
    tokens, books = names["tokens"], names["model"].num_codebooks
    assert names["bkt"].shape == (1, books, tokens.codes.shape[1]) and names["kbt"].shape[:2] == (books, 1)
    assert names["speech"].shape == names["words"].shape == names["rough"].shape == (1, 16000)
    assert names["semantic"].stream_names == ("semantic",) and names["again"].shape == (1, 1, 16000)
    shell(commands)
    with np.load("two.npz") as file:
        assert file["codes"].shape[1] == 2
    assert (place / "decoded.wav").read_bytes() == (place / "resynthesised.wav").read_bytes()


def test_readme(place):
    shutil.rmtree("my_model")
    (use,) = [block for block in blocks("../README.md", "") if "hasrd pack" in block]
    shutil.copy("speech.wav", "any.mp3")  # what matters is the content
    shell("\n".join(line for line in use.splitlines() if "activate" not in line))
    assert soundfile.info("content/a.wav").samplerate == 16000 and (place / "heard.wav").is_file()
    soundfile.write("speech.wav", np.zeros(8000), 16000)
    for code in blocks("../README.md", "python"):
        exec(compile(code, "README.md", "exec"), {})


def test_a_measure_of_ones_own(place):
    (place / "my_measures.py").write_text(blocks("measures.md", "python")[0])
    noise = np.random.default_rng(1).standard_normal((2, 16000))
    for name, wave in (("ref", 0.1 * noise[0]), ("hyp", 0.1 * noise[0] + 0.01 * noise[1])):
        (place / name).mkdir()
        soundfile.write(place / name / "a.wav", wave, 16000)
        (place / name / "wav.scp").write_text(f"a {place / name}/a.wav\n")
    shell(f"export PYTHONPATH=$PYTHONPATH:{place}\n{blocks('measures.md', '')[0]}")
    score = json.loads((place / "scores/mine/snr.json").read_text())
    assert 19 < score["mean"] < 21


def test_info(place):
    (place / "egs2").symlink_to(ROOT / "egs2")
    shell(blocks("models.md", "")[0])
