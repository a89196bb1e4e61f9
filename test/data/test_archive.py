# Copyright 2026 The hasrd authors
# Apache-2.0
"""Archives of features and tokens, read back by kaldiio itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hasrd.data.archive import read_archives, read_array, write_archive
from hasrd.data.kaldi import write_table
from hasrd.errors import UserError

kaldiio = pytest.importorskip("kaldiio")


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_features_are_read_back_exactly_also_under_names_beyond_ascii(tmp_path: Path):
    matrices = {"a": random(5, 80), "ü-1": random(1, 80), "z": random(700, 80)}
    entries = write_archive(tmp_path / "x.ark", tmp_path / "x.ark", matrices.items())
    write_table(tmp_path / "feats.scp", entries)
    by_kaldiio = kaldiio.load_scp(str(tmp_path / "feats.scp"))
    ours = dict(read_archives(tmp_path / "feats.scp"))
    for utterance, matrix in matrices.items():
        np.testing.assert_array_equal(by_kaldiio[utterance], matrix)
        np.testing.assert_array_equal(ours[utterance], matrix)
    # The archive is also readable from its start, as Kaldi's pipes do.
    assert [name for name, _ in kaldiio.load_ark(str(tmp_path / "x.ark"))] == list(matrices)


@pytest.mark.parametrize("shape", [(7, 9), (1, 1), (4,)])
def test_codes_keep_shape_and_type(tmp_path: Path, shape: tuple[int, ...]):
    codes = np.random.default_rng(0).integers(0, 1024, shape)
    entries = write_archive(tmp_path / "x.ark", tmp_path / "x.ark", [("a", codes), ("b", codes)])
    write_table(tmp_path / "codes.scp", entries)
    for table in (kaldiio.load_scp(str(tmp_path / "codes.scp")), dict(read_archives(tmp_path / "codes.scp"))):
        for utterance in ("a", "b"):
            assert table[utterance].dtype == np.int32
            np.testing.assert_array_equal(table[utterance], codes)


def test_compression_method_3_halves_the_size_at_a_small_error(tmp_path: Path):
    matrix = random(1000, 80)
    (entry,) = write_archive(tmp_path / "x.ark", tmp_path / "x.ark", [("a", matrix)], compression_method=3).values()
    assert (tmp_path / "x.ark").stat().st_size < 0.51 * matrix.nbytes
    assert np.abs(read_array(entry) - matrix).max() < 3e-4


def test_entries_point_to_where_the_archive_will_lie(tmp_path: Path):
    entries = write_archive(tmp_path / "now.ark", tmp_path / "later.ark", [("a", random(2, 3))])
    (tmp_path / "now.ark").rename(tmp_path / "later.ark")
    np.testing.assert_array_equal(read_array(entries["a"]), random(2, 3))


def test_a_damaged_archive_is_one_line(tmp_path: Path):
    (entry,) = write_archive(tmp_path / "x.ark", tmp_path / "x.ark", [("a", random(100, 80))]).values()
    (tmp_path / "x.ark").write_bytes((tmp_path / "x.ark").read_bytes()[:5000])
    with pytest.raises(UserError, match="x.ark:2: damaged archive"):
        read_array(entry)
    (tmp_path / "x.ark").unlink()
    with pytest.raises(UserError, match="no such archive"):
        read_array(entry)
