# Copyright 2026 The hasrd authors
# Apache-2.0
import shutil
from pathlib import Path

import pytest
from exp_tree import put, put_probe, put_rate

from hasrd.report.builder import build, tables_of
from hasrd.report.collect import Results, collect

KEYS = ["table1", "table2", "table3", "table4"]


def make_paper_tables(results, test_sets, all_rows=True):
    return [table for key in KEYS for table in tables_of(key, results, test_sets, all_rows=all_rows)]


@pytest.fixture(scope="module")
def tables(papers):
    return {table.key: table for table in make_paper_tables(collect([papers]), ["test-clean"])}


def texts(table, label):
    return [cell.value for cell in dict(table.rows)[label]]


def test_every_row_of_the_paper_is_there_ours_above_it(tables):
    for key, number in (("table1", 4), ("table2", 4), ("table3", 8), ("table4", 3)):
        labels = [label for label, _ in tables[key].rows]
        assert len(set(labels)) == len(labels)
        papers = [index for index, label in enumerate(labels) if label.endswith(" (paper)")]
        assert len(papers) == number
        for index in papers:
            assert all(cell.paper and not cell.source for cell in tables[key].rows[index][1])
            assert labels[index - 1].startswith(labels[index].removesuffix(" (paper)"))
        for label, cells in tables[key].rows:
            assert len(cells) == len(tables[key].columns) - 1
            if not label.endswith(" (paper)"):
                assert not any(cell.paper for cell in cells)


def test_rows_are_found_by_the_experiments_names(tables):
    assert texts(tables["table1"], "DAC, 0.4 s segments") == ["2.81", "0.90", "1.60", "4.00", "76.7"]
    assert texts(tables["table1"], "DAC, 5 s segments")[1] == "0.80"
    assert texts(tables["table1"], "DAC+fbank") == ["missing"] * 5
    assert texts(tables["table2"], "HASRD (BestRQ+), 1 + 8 codebooks") == ["2.78", "0.70", "1.50", "4.10", "141.3"]
    assert texts(tables["table2"], "HASRD (BestRQ+) (paper)") == ["3.1", "0.64", "1.48", "4.50", "99.5"]


def test_peers_and_unknown_names_are_rows_below(tables):
    labels = [label for label, _ in tables["table2"].rows]
    assert labels[-3:] == ["codec_dac_44khz (peer)", "codec_encodec (peer)", "codec_mine"]
    # The paper compares with the published SpeechTokenizer; a model of Table 1 is not shown again.
    assert texts(tables["table2"], "codec_encodec (peer)")[1:] == ["1.00", "1.70", "3.50", "1.5"]
    assert "SpeechTokenizer, peer" in labels and not any("codec_dac_04s" in label for label in labels)


def test_a_peer_is_no_row_of_a_model_of_ours(tmp_path):
    put(tmp_path / "codec_dac", "test", "combined", mel=1.0)
    (tmp_path / "codec_dac" / "config.yaml").write_text("peer: {family: dac}\n")
    one, two, *_ = make_paper_tables(collect([tmp_path]), ["test"])
    assert texts(one, "DAC, 5 s segments") == ["missing"] * 5
    assert texts(two, "codec_dac (peer)")[1] == "1.00"


def test_what_a_probe_reads(tables):
    table = tables["table3"]
    assert texts(table, "Fbank") == ["40.0", "80.0", "–", "–", "–"]
    # One stream: all tokens. Two: the semantic ones, not all (24.0).
    assert texts(table, "DAC") == ["30.0", "70.0", "60.0", "99.0", "76.7"]
    hasrd = texts(table, "HASRD (BestRQ+), sentence norm, 1 + 8 codebooks")
    assert hasrd == ["4.0", "12.0", "7.0", "21.0", "141.3"]
    assert texts(table, "BestRQ+, sentence norm") == ["5.0", "15.0", "12.0", "35.0", "missing"]
    assert texts(table, "BestRQ+, global norm") == ["missing"] * 5
    assert texts(table, "Learned mix of all layers") == ["3.7", "11.0", "–", "–", "–"]
    assert texts(table, "Frontend s3prl") == ["4.0", "13.0", "–", "–", "–"]


def test_streams(tables):
    table = tables["table4"]
    labels = [label for label, _ in table.rows]
    assert labels[::2] == ["Combined", "Acoustic only", "Semantic only", "Original speech"]
    assert texts(table, "Combined") == ["0.80", "0.90", "8.0", "24.0", "missing", "12.0"]
    assert texts(table, "Semantic only") == ["0.20", "0.50", "7.0", "21.0", "22.0 ± 1.0 (3 runs)", "30.0"]
    assert texts(table, "Original speech") == ["–"] * 5 + ["5.0"]
    spread = dict(table.rows)["Semantic only"][4]
    assert len({spread.source, *spread.others}) == 3
    # The paper's similarity is ECAPA-TDNN's, not Resemblyzer's.
    assert texts(table, "Semantic only (paper)") == ["0.15", "–", "–", "21.0", "–", "–"]


def test_probes_of_two_configurations_are_not_mixed(tmp_path):
    codec = tmp_path / "codec_hasrd"
    put_rate(codec, "test", [512, 1024], ["semantic", "acoustic"])
    for system in ("tokens_semantic", "tokens_all"):
        put_probe(codec, "test", system, wer=20.0, recipe="train_probe_bbbbbbbb")
    put_probe(codec, "test", "tokens_acoustic", wer=10.0, recipe="train_probe_aaaaaaaa")
    put_probe(codec, "test", "tokens_semantic", wer=10.0, recipe="train_probe_aaaaaaaa", run="seed1")
    put_probe(codec, "test", "tokens_semantic", wer=30.0, recipe="train_probe_bbbbbbbb", run="seed1")
    table = make_paper_tables(collect([tmp_path]), ["test"])[3]
    assert texts(table, "Acoustic only")[3] == "missing" and texts(table, "Combined")[3] == "20.0"
    assert texts(table, "Semantic only")[4] == "25.0 ± 7.1 (2 runs)"


def test_a_probe_with_another_seed_is_no_row_of_its_own(paper_exp):
    """That of log-mel lies in a folder of its own beside the main run's."""
    put_probe(paper_exp, "test-clean", "log_mel", "seed1", cer=41.0, wer=81.0)
    table = make_paper_tables(collect([paper_exp]), ["test-clean"])[2]
    assert [label for label, _ in table.rows][:2] == ["Fbank", "Fbank (paper)"]
    assert texts(table, "Fbank")[:2] == ["40.0", "80.0"]


def test_all_tokens_never_stand_for_semantic_ones(paper_exp):
    codec = paper_exp / "codec_train_codec_89abcdef"
    for folder in codec.glob("probe_tokens_semantic*"):
        shutil.rmtree(folder)
    table = make_paper_tables(collect([codec]), ["test-clean"])[2]
    row = "HASRD (BestRQ+), sentence norm, 1 + 8 codebooks"
    assert texts(table, row) == ["4.0", "12.0", "missing", "missing", "141.3"]


def test_two_experiments_of_one_row(paper_exp):
    shutil.copytree(paper_exp / "codec_train_codec_89abcdef", paper_exp / "codec_train_codec_11111111")
    _, two, three, four = make_paper_tables(collect([paper_exp]), ["test-clean"])
    label = "HASRD (BestRQ+), 1 + 8 codebooks: codec_train_codec_"
    assert texts(two, f"{label}11111111") == texts(two, f"{label}89abcdef")
    assert sum(label.startswith("Learned mix") for label, _ in three.rows) == 2
    assert [label for label, _ in four.rows][:3] == [
        "Combined: codec_train_codec_11111111",
        "Combined: codec_train_codec_89abcdef",
        "Combined (paper)",
    ]


def test_the_papers_numbers_stand_beside_no_other_set_than_its_own(paper_exp):
    put(paper_exp / "codec_dac_04s", "test-other", "combined", mel=1.5)
    both = [t for t in make_paper_tables(collect([paper_exp]), []) if t.key == "table1"]
    assert [table.test_set for table in both] == ["test-clean", "test-other"]
    assert any(cell.paper for _, cells in both[0].rows for cell in cells) and both[0].note
    assert not any(cell.paper for _, cells in both[1].rows for cell in cells) and not both[1].note
    # Without that set, beside the set that there is.
    shutil.rmtree(paper_exp)
    put(paper_exp / "codec_dac_04s", "test", "combined", mel=1.5)
    table = make_paper_tables(collect([paper_exp]), [])[0]
    assert any(cell.paper for _, cells in table.rows for cell in cells)


def test_nothing_scored_is_missing_where_all_is_shown():
    tables = make_paper_tables(Results(), ["test-clean", "test-other"])
    assert [table.key for table in tables] == KEYS
    for table in tables:
        own = [cell for _, cells in table.rows for cell in cells if not cell.paper]
        assert {cell.value for cell in own} <= {"missing", "–"} and any(cell.missing for cell in own)
    of_codecs = build(Results(), ["test"], Path("data"), only_codecs=True, all_rows=True)
    assert [table.key for table in of_codecs if table.key in KEYS] == ["table1", "table2"]
    assert make_paper_tables(Results(), ["test-clean"], all_rows=False) == []
