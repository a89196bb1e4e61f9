# Copyright 2026 The hasrd authors
# Apache-2.0
"""A result is up to date if it was made from the same content, by the same model, with the same options."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.errors import UserError
from hasrd.jobs import origin as module
from hasrd.jobs.origin import (
    Origin,
    check_record,
    content_sha256,
    difference,
    forget,
    is_current,
    origin_file,
    read_record,
    refuse_stale,
    renew,
    table_facts,
    why_stale,
    write_record,
)


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
    assert why_stale(result, origin()) == "the data of train has changed (2 utterances before, 1 now)"
    (folder / "wav.scp").write_text(f"u1 {folder}/wave1\nu2 {folder}/wave2\n")
    (folder / "b").unlink()
    assert why_stale(result, origin()) == "the text is gone"
    assert why_stale(folder / "none", origin()) == "it is not there"
    for damage in ("", "[]", "{}", "{" * 5000, json.dumps({"format": 0})):
        origin_file(result).write_text(damage)
        assert why_stale(result, origin()) == "it does not say what it was made from"


def test_a_moved_corpus_is_the_same(made):
    folder, origin = made
    before = table_facts(folder / "wav.scp")
    for name in ("wave1", "wave2"):
        (folder / name).rename(folder / f"moved_{name}")
    (folder / "wav.scp").write_text(f"u1 {folder}/moved_wave1\nu2 {folder}/moved_wave2\n")
    assert table_facts(folder / "wav.scp") == before


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


def test_the_order_of_a_table_does_not_matter_and_what_stands_where_does(made):
    folder, origin = made
    before = table_facts(folder / "wav.scp")
    (folder / "wav.scp").write_text(f"u2 {folder}/wave2\nu1 {folder}/wave1\n")
    assert table_facts(folder / "wav.scp") == before
    (folder / "wav.scp").write_text(f"u1 {folder}/wave2\nu2 {folder}/wave1\n")
    assert table_facts(folder / "wav.scp") != before


def test_entries_of_archives_count_by_place_and_content(tmp_path):
    def facts(content: bytes, places: str) -> list:
        (tmp_path / "a.ark").unlink(missing_ok=True)
        (tmp_path / "a.ark").write_bytes(content)
        (tmp_path / "feats.scp").write_text("".join(f"u{i} {tmp_path}/a.ark:{at}\n" for i, at in enumerate(places)))
        return table_facts(tmp_path / "feats.scp")

    first = facts(b"content", "14")
    assert facts(b"content", "14") == first, "made again with the same bytes"
    assert facts(b"content", "13") != first and facts(b"kontent", "14") != first and facts(b"content", "1") != first


def test_what_is_no_file_counts_as_it_stands_there(tmp_path):
    def facts(value: str) -> list:
        (tmp_path / "table").write_text(f"u1 {value}\n")
        return table_facts(tmp_path / "table")

    assert facts("one: two") == facts("one: two") != facts("one: three")
    assert facts("x" * 5000) != facts("x" * 5001), "longer than a file's name can be"


def test_only_changed_files_of_a_table_are_read_again(made, monkeypatch):
    folder, origin = made
    monkeypatch.setattr(module, "TICK", 0)
    table_facts(folder / "wav.scp")
    (folder / "wave1").write_text("other")
    read = []
    monkeypatch.setattr(module, "sha256", lambda path: read.append(Path(path).name) or "0")
    table_facts(folder / "wav.scp")
    assert read == ["wave1"]


def test_a_table_that_nothing_can_be_kept_beside(made, capsys):
    folder, origin = made
    before = table_facts(folder / "wav.scp")
    (folder / ".wav.scp.facts").unlink()
    (folder / ".wav.scp.facts").mkdir()
    assert table_facts(folder / "wav.scp") == before
    line = capsys.readouterr().err
    assert "all files that" in line and line.count("\n") == 1


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(("a", "options", "files")), inner),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.fixed_dictionaries({"format": st.just(1), "options": JSON, "files": JSON, "tables": JSON}) | JSON)
def test_any_record_is_read_or_counts_as_none(value):
    record = check_record(value)
    now = Origin({"k": 1}, {"a": "no such file"}).record(record)
    assert difference(record, now) or record


def test_facts_that_are_damaged_are_found_out_again(made):
    folder, origin = made
    before = table_facts(folder / "wav.scp")
    for damage in ("", "[]", "{", '{"a": 1}', json.dumps({f"{folder}/wave1": [1]})):
        (folder / ".wav.scp.facts").write_text(damage)
        assert table_facts(folder / "wav.scp") == before


def test_options_inside_of_others_are_named(made):
    folder, origin = made
    write_record(folder / "result", origin(conf={"a": 1, "b": {"c": [1]}}).record())
    assert why_stale(folder / "result", origin(conf={"a": 1, "b": {"c": [2]}})) == "conf.b.c was [1] and is [2]"
    assert why_stale(folder / "result", origin(conf={"b": {"c": [1]}})) == "conf.a was 1 and is null"


def test_a_forgotten_result_is_stale_whatever_is_written_there(made):
    folder, origin = made
    forget(folder / "result")
    (folder / "result").write_text("of a process that was killed before it wrote the record")
    assert why_stale(folder / "result", origin()) == "it does not say what it was made from"


def test_why_a_result_is_made_again_is_printed_and_it_is_removed(made, capsys):
    folder, origin = made
    result, other = folder / "result", folder / "other"
    assert is_current(result, origin(), again="result: made again") and capsys.readouterr().out == ""
    assert not is_current(result, origin(), other, again="result: made again"), "what is made with it is missing"
    assert capsys.readouterr().out == "", "nothing has changed"
    other.touch()
    assert is_current(result, origin(), other, again="result: made again")
    assert not is_current(result, origin(k=9), other, again="result: made again")
    assert capsys.readouterr().out == "result: made again: k was 8 and is 9\n"
    record = renew(result, origin(k=9))
    assert not result.exists() and read_record(result) is None
    assert not is_current(result, origin(k=9), again="result: made again")
    assert capsys.readouterr().out == "", "there was no older one"
    result.write_text("made")
    write_record(result, record)
    assert is_current(result, origin(k=9), again="result: made again")


def test_the_hash_of_a_record_has_no_times_in_it(made):
    folder, origin = made
    before = content_sha256(origin().record())
    os.utime(folder / "a", (1, 1))
    assert content_sha256(origin().record()) == before != content_sha256(origin(k=9).record())
