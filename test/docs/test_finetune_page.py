# Copyright 2026 The hasrd authors
# Apache-2.0
"""docs/finetune.md does what it says: its configuration and its commands train from a packed model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import yaml
from doc_pages import blocks

import hasrd
from hasrd.models.package import pack


@pytest.mark.timeout(900)
def test_the_page(codec_dir, tmp_path):
    pack(codec_dir, tmp_path / "my_model")
    generator = np.random.default_rng(0)
    for name in ("train", "valid"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        soundfile.write(folder / "a.wav", 0.1 * generator.standard_normal(40000), 16000)
        (folder / "wav.scp").write_text(f"a {folder}/a.wav\n")
        (folder / "utt2num_samples").write_text("a 40000\n")
    (configuration,) = blocks("finetune.md", "yaml")
    (tmp_path / "finetune.yaml").write_text(configuration)
    (commands,) = blocks("finetune.md", "")
    run = f'hasrd() {{ {sys.executable} -m hasrd.bin.main "$@"; }}\nset -e\n{commands}'
    done = subprocess.run(["bash", "-c", run], cwd=tmp_path, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    old, new = hasrd.load(tmp_path / "my_model"), hasrd.load(tmp_path / "tuned_model")
    wave = 0.1 * generator.standard_normal(20000).astype(np.float32)
    assert (old.encode(wave, 16000).codes[..., 0] == new.encode(wave, 16000).codes[..., 0]).all()
    config = yaml.safe_load((tmp_path / "exp/codec_tuned/config.yaml").read_text())
    assert config["max_epoch"] == 10 and config["init_model"] == "my_model"
    # It does not need the model any more that it came from.
    shutil.rmtree(tmp_path / "my_model")
    assert hasrd.load(tmp_path / "exp/codec_tuned").num_codebooks == old.num_codebooks
