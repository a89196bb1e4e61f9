# Copyright 2026 The hasrd authors
# Apache-2.0
"""docs/use.md does what it says, from packing to decoding, in the order of the page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from doc_pages import DOCS, ROOT, blocks

import hasrd
from hasrd.errors import UserError


@pytest.fixture(scope="module")
def place(codec_dir, tmp_path_factory):
    """A folder as the page's reader has it, with the command `hasrd` on its path."""
    folder = tmp_path_factory.mktemp("use")
    shutil.copytree(codec_dir, folder / "exp/codec_x")
    wave = 0.1 * np.random.default_rng(0).standard_normal(20000)
    for name in ("speech.wav", "recordings/a.flac", "recordings/more/b.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, wave, 16000)
    (folder / "data/test").mkdir(parents=True)
    (folder / "data/test/wav.scp").write_text("utt1 recordings/a.flac\nutt2 speech.wav\n")
    (folder / "bin").mkdir()
    (folder / "bin/hasrd").write_text(f'#!/bin/sh\nexec {sys.executable} -m hasrd.bin.main "$@"\n')
    (folder / "bin/hasrd").chmod(0o755)
    return folder


def shell(place, commands: str) -> None:
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-e", "-c", commands], cwd=place, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(900)
def test_the_page(place, monkeypatch):
    packing, commands = blocks("use.md", "")
    shell(place, packing)
    assert {path.name for path in (place / "my_model").iterdir()} == {"config.yaml", "model.safetensors", "README.md"}

    monkeypatch.chdir(place)
    names: dict = {}
    for block in blocks("use.md", "python"):
        exec(compile(block, "use.md", "exec"), names)
    model, tokens, wave = names["model"], names["tokens"], names["wave"]
    assert tokens.codes.shape == (1, 38, model.num_codebooks) and names["codes"].shape == (38, model.num_codebooks)
    assert names["speech"].shape == (1, len(wave)) and names["content"].shape == (1, len(wave))
    assert names["batch"].num_samples.tolist() == [len(wave), 160, 8000]
    assert names["one"].num_samples.tolist() == [160] and names["semantic"].stream_names == ("semantic",)
    assert names["rough"].shape == (1, 38 * model.frame_shift)
    assert soundfile.info("decoded.wav").frames == len(wave)
    with np.load("speech.npz") as file:
        keys = set(file.files)
    text = (DOCS / "use.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in text for key in keys)

    shell(place, commands)
    assert soundfile.info("speech2.wav").frames == len(wave)
    for name in ("speech3.wav", "piped.wav"):
        assert (place / name).read_bytes() == (place / "speech2.wav").read_bytes()
    assert (place / "all_tokens/recordings/more/b.npz").is_file() and (place / "recordings/a.npz").is_file()
    assert (place / "decoded/more/b.wav").is_file() and (place / "tokens/a.npz").is_file()
    for name in ("tokens.scp", "codes.scp", "codes.json", "utt2num_samples", "utt2loudness", "utt1.npz"):
        assert (place / "tokens_test" / name).is_file()
    assert soundfile.info(place / "decoded_test/utt2.wav").frames == len(wave)


def test_the_messages_are_those_that_one_gets(codec_dir):
    model = hasrd.load(codec_dir)
    text = (DOCS / "use.md").read_text(encoding="utf-8")
    for arguments in ((torch.zeros(9), 44100), (torch.zeros(2, 48000), 16000), (torch.full((9,), 32767.0), 16000)):
        with pytest.raises(UserError) as error:
            model.encode(*arguments)
        assert str(error.value)[:35] in text
