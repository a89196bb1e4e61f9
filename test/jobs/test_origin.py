# Copyright 2026 The hasrd authors
# Apache-2.0
"""A result is up to date if it was made from the same content, by the same model, with the same options."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from hasrd.errors import UserError
from hasrd.jobs import origin as module
from hasrd.jobs.origin import Origin, origin_file, read_record, refuse_stale, table_digest, why_stale, write_record


@pytest.fixture
def made(tmp_path):
    """A result of two files and a table, with its origin."""
    for name in ("a", "b", "wave1", "wave2"):
        (tmp_path / name).write_text(f"content of {name}")
    (tmp_path / "wav.scp").write_text(f"u1 {tmp_path}/wave1\nu2 {tmp_path}/wave2\n")
    (tmp_path / "result").write_text("made")

    def origin(**options):
        files = {"the model": tmp_path / "a", "the text": tmp_path / "b"}
        return Origin({"k": 8, "model": "x"} | options, files, {"train": tmp_path / "wav.scp"})

    write_record(tmp_path / "result", origin().record())
    return tmp_path, origin


def test_the_same_is_up_to_date(made):
    folder, origin = made
    assert why_stale(folder / "result", origin()) == ""


@pytest.mark.parametrize("name", ["a", "b", "wave1", "wave2"])
def test_changed_content_of_equal_size_and_time_is_stale(made, name):
    folder, origin = made
    status = (folder / name).stat()
    (folder / name).write_text((folder / name).read_text()[::-1])
    os.utime(folder / name, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "has changed" in why_stale(folder / "result", origin())


def test_older_files_in_the_place_of_the_inputs_are_seen(made):
    folder, origin = made
    (folder / "old").write_text("older content")
    os.utime(folder / "old", (1, 1))
    os.replace(folder / "old", folder / "b")
    assert why_stale(folder / "result", origin()) == "the text has changed"


def test_touching_and_copying_change_nothing_and_are_hashed_once(made, monkeypatch):
    folder, origin = made
    monkeypatch.setattr(module, "TICK", 0)
    for name in ("a", "wave1"):
        shutil.copy(folder / name, folder / "copy")
        os.replace(folder / "copy", folder / name)
    assert why_stale(folder / "result", origin()) == ""
    monkeypatch.setattr(module, "sha256", lambda path: pytest.fail(f"{path} was hashed again"))
    assert why_stale(folder / "result", origin()) == ""


def test_what_differs_is_said(made):
    folder, origin = made
    result = folder / "result"
    assert why_stale(result, origin(k=9)) == "k was 8 and is 9"
    assert why_stale(result, origin(new=True)) == "new was null and is true"
    (folder / "wav.scp").write_text(f"u1 {folder}/wave1\n")
    assert why_stale(result, origin()) == "the data of train has changed"
    (folder / "b").unlink()
    assert why_stale(result, origin()) == "the text is gone"
    assert why_stale(folder / "none", origin()) == "it is not there"
    for damage in ("", "[]", "{}", "{" * 5000, json.dumps({"format": 0})):
        origin_file(result).write_text(damage)
        assert why_stale(result, origin()) == "it does not say what it was made from"


def test_a_moved_corpus_is_the_same(made):
    folder, origin = made
    before = table_digest(folder / "wav.scp")
    for name in ("wave1", "wave2"):
        (folder / name).rename(folder / f"moved_{name}")
    (folder / "wav.scp").write_text(f"u1 {folder}/moved_wave1\nu2 {folder}/moved_wave2\n")
    assert table_digest(folder / "wav.scp") == before


def test_the_record_of_a_folder_lies_in_it(made):
    folder, origin = made
    (folder / "chunk").mkdir()
    write_record(folder / "chunk", origin().record())
    assert [path.name for path in (folder / "chunk").iterdir()] == [".origin.json"]
    assert read_record(folder / "chunk") == origin().record()


def test_what_was_begun_from_something_else_is_refused_with_the_ways_out(made):
    folder, origin = made
    refuse_stale(folder / "result", origin(), "choose another --tag")
    refuse_stale(folder / "nothing", origin(), "choose another --tag")
    with pytest.raises(UserError, match="k was 8 and is 9: choose another --tag"):
        refuse_stale(folder / "result", origin(k=9), "choose another --tag")
