# Copyright 2026 The hasrd authors
# Apache-2.0
"""docs/language_models.md does what it says."""

from __future__ import annotations

import importlib.util
import shlex
import shutil

import pytest
from doc_pages import DOCS, blocks

from hasrd.bin import export_units
from hasrd.units.formats import CHOICES


def test_the_page(codec_dir, make_data_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(codec_dir, "exp/codec_x")
    shutil.copytree(codec_dir, "my_model")
    for name in ("train", "test"):
        make_data_dir(name)
    shutil.copy("audio/test/test-0001.wav", "speech.wav")
    of_codec, of_tokens = blocks("language_models.md", "")[0].strip().splitlines()
    export_units.main(shlex.split(of_codec)[2:])
    if importlib.util.find_spec("pyarrow"):
        shutil.copytree("exp/codec_x/tokens", "tokens")
        export_units.main(shlex.split(of_tokens)[2:])
    for block in blocks("language_models.md", "python"):
        names: dict = {}
        exec(block, names)
    assert names["codec"].model.meta_info()["num_streams"] > 1


@pytest.mark.parametrize("name", CHOICES)
def test_every_format_is_on_the_page(name):
    assert f"| `{name}` |" in (DOCS / "language_models.md").read_text(encoding="utf-8")
