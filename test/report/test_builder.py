# Copyright 2026 The hasrd authors
# Apache-2.0
import pytest
from exp_tree import put

from hasrd.report.builder import tables_of
from hasrd.report.collect import Results, collect

KEYS = ["quality", "recogniser", "conversion", "rate_quality", "alignment", "words", "crops", "spread"]


def make(results):
    return [table for key in KEYS for table in tables_of(key, results, ["test"], all_rows=True)]


@pytest.fixture(scope="module")
def tables(papers):
    return {table.key: table for table in make(collect([papers]))}


def texts(table, label):
    return [cell.value for cell in dict(table.rows)[label]]


def test_one_table_of_each_kind(tables):
    assert [*tables] == KEYS
    for table in tables.values():
        assert table.test_set == "test-clean" and len({label for label, _ in table.rows}) == len(table.rows)
        assert all(len(cells) == len(table.columns) - 1 for _, cells in table.rows)
    assert make(Results()) == []


def test_quality_of_every_system(tables):
    table = tables["quality"]
    assert texts(table, "Original speech") == ["–", "–", "–", "3.40", "–", "–"]
    hasrd = "codec_train_codec_89abcdef: "
    assert texts(table, hasrd + "all streams") == ["4.10", "2.50", "0.950", "3.00", "0.90", "0.80"]
    assert texts(table, hasrd + "acoustic streams only")[4:] == ["0.70", "0.60"]
    assert not any("books_" in label for label, _ in table.rows)
    assert texts(tables["recogniser"], "Converted to another voice") == ["missing", "25.0"]
    assert texts(tables["recogniser"], "Original speech") == ["2.0", "5.0"]


def test_conversion(tables):
    assert texts(tables["conversion"], "Converted") == ["0.60", "0.70", "25.0"]
    assert texts(tables["conversion"], "Not converted: all streams") == ["missing", "0.50", "12.0"]
    assert texts(tables["conversion"], "Recording of the source") == ["–", "0.45", "5.0"]


def test_tokens_of_crops(tables):
    assert texts(tables["crops"], "1: semantic") == ["80.0", "90.0", "1.5"]


def test_rates(tables):
    """31.25 Hz x (9, 9 + 10, 9 + 30, 9 + 80 bit)."""
    rows = tables["rate_quality"].rows
    assert [label for label, _ in rows] == ["1", "2", "4", "All"]
    assert [cells[0].value for _, cells in rows] == ["0.28", "0.59", "1.22", "2.78"]
    assert [cells[1].value for _, cells in rows] == ["2.00", "1.00", "0.50", "0.70"]
    assert [cells[3].value for _, cells in rows] == ["3.00"] * 3 + ["4.10"]


def test_phones_and_words(tables):
    table = tables["alignment"]
    semantic = ["512", "0.500", "0.050", "0.400", "0.500", "0.500", "0.400", "0.050", "212", "40"]
    assert texts(table, "1: semantic") == semantic
    assert dict(table.rows)["1: semantic"][1].interval == "0.490, 0.510"
    # Words were scored for the first codebook alone.
    assert texts(table, "3: acoustic") == ["1024", "0.200", "0.050", "0.100", "0.200", "0.200"] + ["missing"] * 4
    assert texts(tables["words"], "the") == ["0.85", "0.80", "0.90", "31", "7"]
    assert "counts of frames" in table.note and "codes chosen on train" in table.note


def test_spread(tables):
    ((label, cells),) = tables["spread"].rows
    assert label == "Semantic tokens (codec_train_codec_89abcdef)"
    assert [cell.value for cell in cells] == ["7.3 ± 0.3 (3 runs)", "22.0 ± 1.0 (3 runs)", "0.55 ± 0.02 (3 runs)"]


def test_a_recogniser_is_named_without_its_path(tmp_path):
    facts = {"recogniser": {"model": "/models/tiny.en", "language": "en"}, "normalisation": "whisper's"}
    put(tmp_path / "codec_hasrd", "test", "combined", recogniser_wer=(10.0, facts))
    (table,) = make(collect([tmp_path]))
    assert table.note == "Recogniser's WER: tiny.en (en), whisper's."
