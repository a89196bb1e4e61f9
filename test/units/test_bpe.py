# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.units import SPECIAL
from hasrd.units.bpe import MOST_UNITS, UnitBpe, character
from hasrd.units.export import read_export

UNITS = 30


@pytest.fixture(scope="module")
def bpe():
    chance = np.random.default_rng(0)
    words = [chance.integers(0, 12, 4) for _ in range(6)]
    lines = [np.concatenate([words[i] for i in chance.integers(0, 6, 9)]) for _ in range(50)]
    return UnitBpe(UnitBpe.train(lines, UNITS, 60), UNITS)


def test_characters_are_all_different_and_asr2s():
    # The recipe: chr(int('4e00', 16) + i).
    assert [character(unit) for unit in (0, 1, 20991)] == ["\u4e00", "\u4e01", chr(0x4E00 + 20991)]
    assert len({character(unit) for unit in range(MOST_UNITS)}) == MOST_UNITS
    with pytest.raises(ValueError):
        character(MOST_UNITS)


@settings(max_examples=50)
@given(st.lists(st.integers(0, UNITS - 1), max_size=40))
def test_all_units_come_back(bpe, units):
    # Units from 12 on were in no line of the training.
    pieces = bpe.encode(np.array(units, dtype=np.int64))
    assert bpe.decode(pieces).tolist() == units
    assert SPECIAL.index("<unk>") not in pieces


def test_frequent_runs_are_one_piece(bpe):
    assert len(bpe.vocabulary) == 60 and bpe.vocabulary[:4] == list(SPECIAL)
    assert max(map(len, bpe.vocabulary[4:])) >= 4


def test_long_utterances_count():
    # SentencePiece leaves out lines of more than 4192 bytes unless it is told otherwise.
    model = UnitBpe.train([np.tile([0, 1, 2], 3000)], 3, 10)
    assert any(len(word) > 1 for word in UnitBpe(model, 3).vocabulary[4:])


@pytest.mark.parametrize("size, message", [(20, "need that many at least"), (5000, "SentencePiece: .*ocab")])
def test_sizes_that_cannot_be(size, message):
    with pytest.raises(UserError, match=message):
        UnitBpe.train([np.arange(5)], 20, size)


def test_what_is_no_model_of_these_units(bpe):
    with pytest.raises(UserError, match="not a SentencePiece model"):
        UnitBpe(b"no model", UNITS)
    with pytest.raises(UserError, match="none of these units"):
        UnitBpe(bpe.processor.serialized_model_proto(), UNITS - 1)
    with pytest.raises(ValueError, match="stands for no units"):
        bpe.decode(np.array([1]))


@pytest.mark.parametrize("words", [["--streams", "semantic", "--dedup"], []])
def test_export(run_export, token_sets, assert_restored, tmp_path, words):
    folders, _, codes = token_sets
    out = tmp_path / "out"
    run_export(*folders, "--format", "text", "--out", out, "--bpe", "100", *words)
    assert_restored(out, codes, [0] if words else slice(None))
    # Another program encodes the same text to the same pieces.
    processor = sentencepiece.SentencePieceProcessor(model_file=str(out / "bpe.model"))
    for line in read_table(out / "test-clean/text").values():
        assert processor.encode(line.replace(" ", ""), out_type=str) == line.split()
    before = (out / "bpe.model").read_bytes()
    run_export(*folders, "--format", "text", "--out", out, "--bpe", "101", *words)
    run_export(*folders, "--format", "text", "--out", out, "--bpe", "100", *words)
    assert (out / "bpe.model").read_bytes() == before
    (out / "bpe.model").write_bytes(before[:100])
    with pytest.raises(UserError, match="bpe.model"):
        list(read_export(out))


def test_bpe_of_rows_is_refused(run_export, token_sets, tmp_path):
    with pytest.raises(UserError, match="one sequence"):
        run_export(*token_sets[0], "--format", "text", "--out", tmp_path / "out", "--bpe", "100", "--kind", "delay")
