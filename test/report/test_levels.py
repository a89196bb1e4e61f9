# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a report shows of a codec with HAC's streams."""

from __future__ import annotations

import json

import pytest
from exp_tree import HAC, level_tree, put, put_books, put_probe, put_rate, report

from hasrd.data.kaldi import write_table
from hasrd.report.audio import examples
from hasrd.report.builder import build, tables_of
from hasrd.report.card import card_scores
from hasrd.report.cells import MISSING
from hasrd.report.claims import claims
from hasrd.report.collect import collect

SET = "test-clean"
MADE = "codec_train_codec_hac_01234567"


@pytest.fixture
def root(tmp_path):
    level_tree(tmp_path)
    return tmp_path


def level_tables(results, data):
    return [table for table in build(results, [], data, all_rows=True) if table.key == "levels"]


def levels(root):
    return {table.test_set: table for table in level_tables(collect([root / "exp"]), root / "data")}


def values(table, label):
    return [cell.value for cell in dict(table.rows)[label]]


def verdicts(root):
    return {claim.text: claim for claim in claims(collect([root / "exp"]), [SET], only_codecs=True, all_rows=True)}


def test_a_row_a_codec_and_stream_beside_the_papers(root):
    table = levels(root)[SET]
    assert [label for label, _ in table.rows] == [
        "HAC, phonetic", "HAC, lexical", "HAC, acoustic", "HAC (paper)", "HAC without the losses, phonetic",
        "HAC without the losses, lexical", "HAC without the losses, acoustic", "DAC, acoustic", "codec_mine, prosodic",
        "codec_mine, acoustic",
    ]  # fmt: skip
    assert values(table, "HAC, phonetic") == ["1024", "0.500", "0.050", "0.500", "0.300", "0.050", "212", "40"]
    assert values(table, "HAC, lexical") == ["1024", "0.300", "0.050", "0.300", "0.500", "0.050", "212", "39"]
    assert values(table, "HAC (paper)") == ["–", "0.52", "–", "–", "up to 0.8", "–", "–", "–"]
    cell = dict(table.rows)["HAC, acoustic"][1]
    assert (cell.value, cell.interval, cell.field) == ("0.400", "0.390, 0.410", "details.codebooks.2.value"), "the best"
    assert cell.source.endswith(f"{MADE}/scores/{SET}/combined/pnmi.json")
    assert "eight languages" in table.note and all(len(cells) == 8 for _, cells in table.rows)


def test_only_where_there_are_levels(papers, tmp_path):
    assert level_tables(collect([papers]), tmp_path) == []
    put_rate(tmp_path / "codec_dac", SET, [8] * 2, ["acoustic"] * 2)
    assert level_tables(collect([tmp_path]), tmp_path) == []


def test_without_alignments_it_says_so(root):
    """Neither of the set nor of a language; what could have been scored is missing."""
    put_rate(root / "exp/codec_hac_no_loss", "prompts", [1024] * 4, HAC)
    tables = levels(root)
    assert values(tables["prompts"], "HAC without the losses, phonetic") == ["missing"] * 8, "no such data directory"
    (root / "data/prompts").mkdir()
    write_table(root / "data/prompts/utt2lang", {"a": "en", "b": "it"})
    table = levels(root)["prompts"]
    for of in ("phonetic", "lexical: en", "acoustic: it"):
        assert values(table, f"HAC without the losses, {of}") == ["n/a"] * 8
    assert "PNMI: n/a, there is no alignment of phones. Phone purity: n/a" in table.note
    assert "Word detection F1: n/a, there is no alignment of words." in table.note
    (root / "data/prompts/phones.ctm").write_text("")
    assert values(levels(root)["prompts"], "HAC without the losses, phonetic")[1:4] == ["missing"] * 3
    assert "of phones" not in levels(root)["prompts"].note


def test_languages(root):
    """Those of the scores; of a level whose teacher knows but some, these alone."""
    write_table(root / f"data/{SET}/utt2lang", {"a": "en", "b": "it", "c": "ru"})
    teacher = root / "dump/teacher/text_1/train"
    teacher.mkdir(parents=True)
    facts = {"kind": "text", "identity": "x", "size": 8, "languages": ["en", "it"]}
    (teacher / "teacher.json").write_text(json.dumps(facts))
    book = {"codebook": 0, "size": 1024, "ci95": [0.1, 0.2], "shuffled": 0.01, "words": 9, "good_words": 1}
    per = {"codebooks": [{**book, "stream": stream, "value": 0.15} for stream in HAC], "utterances": 1}
    more = {
        "languages": {"en": per, "it": {"left_out": "no word occurs 5 times", "utterances": 1}, "ru": per},
        "mean_of_languages": {"codebooks": [{**book, "stream": stream, "value": 0.25} for stream in HAC]},
    }
    put_books(root / "exp" / MADE, SET, HAC, (0.5,) * 4, (0.4,) * 4, **more)
    (root / "exp" / MADE / "config.yaml").write_text(
        "quantizer: hac\ndistillation:\n    lexical:\n        loss: text\n        targets:\n"
        f"        - {teacher}\n    phonetic: {{loss: frames}}\nother: 1\n"
    )
    table = levels(root)[SET]
    assert values(table, "HAC, phonetic: en") == ["1024", "0.150", "0.010", "0.150", "0.150", "0.010", "9", "1"]
    assert values(table, "HAC, phonetic: it") == ["n/a"] * 8
    assert "Word detection F1, it: n/a, no word occurs 5 times." in table.note
    assert values(table, "HAC, phonetic: mean of languages")[1] == "0.250"
    assert values(table, "HAC, lexical: ru") == ["n/a"] * 8
    assert values(table, "HAC, lexical: en")[1] == "0.150"
    assert "lexical, ru: n/a, its teacher knows en, it alone." in table.note
    assert "HAC, lexical: mean of languages" not in dict(table.rows)
    assert values(table, "HAC without the losses, lexical: ru") == ["missing"] * 8


def test_claims_on_levels(root):
    found = verdicts(root)
    phonetic = f"{MADE}: the phonetic codebook says more about phones than when it is shuffled, and than any other one"
    lexical = f"{MADE}: the lexical codebook detects words better than when it is shuffled, and than any other one"
    for text, name in ((phonetic, "PNMI"), (lexical, "word F1")):
        claim = found[f"{text} ({name})"]
        assert claim.verdict == "holds" and claim.evidence.startswith("0.500; shuffled 0.050; best acoustic 0.400")
    taught = found[f"{MADE}: the phonetic codebook says more about phones than without the losses (PNMI)"]
    assert taught.verdict == "holds" and taught.evidence == "0.500 against 0.250 of codec_hac_no_loss"
    control = found[f"{lexical.replace(MADE, 'codec_hac_no_loss')} (word F1)"]
    assert control.verdict == "does not hold" and "best phonetic 0.250" in control.evidence
    voice = found[f"{MADE}: the lexical stream alone keeps less of the voice than the acoustic ones alone"]
    assert voice.verdict == "holds" and "the paper" not in voice.evidence
    assert not any("semantic" in text for text in found)
    assert not any("prosodic codebook" in text for text in found), "nothing is claimed of a stream that nobody taught"


@pytest.mark.parametrize(
    "values, words",
    [((0.405, 0.3, 0.4, 0.2), "intervals overlap"), ((0.055, 0.02, 0.01, 0.01), "shuffled within the interval")],
)
def test_no_claim_holds_by_a_difference_within_the_intervals(tmp_path, values, words):
    level_tree(tmp_path, values=values)
    (claim,) = [c for text, c in verdicts(tmp_path).items() if f"{MADE}: the phonetic" in text and "shuffled" in text]
    assert claim.verdict == "in order, not separated" and claim.evidence.endswith(words)


def test_words_of_some_codebooks_are_not_those_of_all(root):
    (found,) = collect([root / "exp" / MADE]).find("word_f1", SET)
    facts = {"codebooks": found.score.details["codebooks"][:3], "codebook_sizes": [1024] * 4}
    put(root / "exp" / MADE, SET, "combined", word_f1=(0.3, facts))
    (claim,) = [c for text, c in verdicts(root).items() if f"{MADE}: the lexical" in text and "shuffled" in text]
    assert claim.verdict == "missing" and "the other codebooks were not scored" in claim.evidence


def test_each_level_has_its_best_words(root):
    made = tables_of("words", collect([root / "exp"]), [])
    tables = [table for table in made if table.experiment == MADE]
    assert [(table.columns[0], [label for label, _ in table.rows]) for table in tables] == [
        ("Word, by codebook 1: phonetic", ["word0"]),
        ("Word, by codebook 2: lexical", ["word1"]),
    ]
    assert [cell.value for cell in tables[1].rows[0][1]] == ["0.85", "0.80", "0.90", "31", "1"]
    assert tables[1].rows[0][1][0].field == "details.codebooks.1.best_words.0.f1"
    (dac,) = [table for table in made if table.experiment == "codec_dac"]
    assert dac.columns[0] == "Word, by codebook 1: acoustic"


def test_other_tables_have_rows_of_its_streams(root):
    put_probe(root / "exp" / MADE, SET, "tokens_lexical", wer=30.0, cer=10.0, ctc_loss=1.0)
    results = collect([root / "exp"])
    rows = {t.experiment: dict(t.rows) for t in tables_of("reconstruction", results, [SET], all_rows=True)}[MADE]
    assert [*rows] == [
        "Combined: all streams", "Phonetic stream only", "Lexical stream only", "Acoustic streams only",
        "Combined, acoustic tokens shuffled in time", "Constant mean spectrum",
    ]  # fmt: skip
    assert [cell.value for cell in rows["Lexical stream only"]] == ["1.50", "missing", "0.30", "0.31"]
    assert rows["Acoustic streams only"][3].value == "0.62" and rows["Combined: all streams"][3].value == "1.25"
    (probes,) = tables_of("probes", results, [SET], all_rows=True)
    labels = [label for label, _ in probes.rows]
    assert labels[3:] == ["Phonetic tokens", "Lexical tokens", "Prosodic tokens", "Acoustic tokens", "All tokens"]
    (quality,) = tables_of("quality", results, [SET]) or [None]
    assert quality is None or f"{MADE}: lexical stream only" in dict(quality.rows)
    (table4,) = tables_of("table4", results, [SET], all_rows=True)
    rows = dict(table4.rows)
    assert [label for label in rows if label.startswith("Semantic")] == ["Semantic only (paper)"]
    assert rows[f"Lexical only: {MADE}"][1].value == "0.30" and rows[f"Lexical only: {MADE}"][3].value == "30.0"
    assert f"Prosodic only: {MADE}" not in rows and rows["Prosodic only: codec_mine"][2] is MISSING
    shown = card_scores(root / "exp" / MADE, "").section
    assert "Lexical stream only" in shown and "Lexical tokens" in shown


def test_it_can_be_heard(exp):
    """In the order of the streams, missing or not."""
    codec = exp / "exp/codec_small"
    put_rate(codec, "test", [16] * 3, ["phonetic", "lexical", "acoustic"])
    (codec / "scores/test/bitrate.json").unlink()
    (codec / "decode/test/semantic").rename(codec / "decode/test/lexical")
    first = examples([exp / "exp"], exp / "data", collect([exp / "exp"]), ["test"], 1)[0]
    labels = ["Original", "Combined", "Phonetic only", "Lexical only", "Acoustic only"]
    assert [clip.label for clip in first.groups[0].clips] == labels
    assert [bool(clip.audio) for clip in first.groups[0].clips] == [True, True, False, True, True]


def test_the_whole_report(root):
    report(root, out_md=root / "R.md", out_html=root / "index.html")
    text = (root / "R.md").read_text()
    assert "## Levels: test-clean" in text and "*HAC (paper)*" in text and "## Table 1" not in text
    assert "arXiv 2506.15456" in text
    html = (root / "index.html").read_text()
    assert 'id="levels"' in html and "Phonetic stream only" in html and "on LibriSpeech test-clean" not in html
    (row,) = [t for t in json.loads((root / "R.json").read_text())["tables"] if t["key"] == "levels"]
    assert row["rows"][0]["cells"][1]["field"] == "details.codebooks.0.value"
    # HASRD beside it: its tables are there too.
    put_rate(root / "exp/codec_hasrd", SET, [1024] * 2, ["semantic", "acoustic"])
    report(root, out_md=root / "R.md")
    assert "## Table 1" in (root / "R.md").read_text()
