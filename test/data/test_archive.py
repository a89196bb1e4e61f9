# Copyright 2026 The hasrd authors
# Apache-2.0
"""Archives of features and tokens: what other readers find in them, and what ours makes of anything."""

from __future__ import annotations

import importlib.util
import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hasrd.data.archive import read_archives, read_array, read_integers, write_archive
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


def test_codes_are_exact_in_every_reader(tmp_path: Path):
    """What Kaldi's own code (kaldi_native_io), kaldiio and omniio (ESPnet 202611) read is what was written."""
    largest = 2**24
    codes = {"a": np.random.default_rng(0).integers(0, largest, (7, 9)), "b": np.array([[-largest, largest]])}
    write_table(tmp_path / "codes.scp", write_archive(tmp_path / "x.ark", tmp_path / "x.ark", codes.items()))
    readers = {"ours": dict(read_archives(tmp_path / "codes.scp", read_integers))}
    readers["kaldiio"] = kaldiio.load_scp(str(tmp_path / "codes.scp"))
    if importlib.util.find_spec("omniio"):
        from omniio import kaldi

        readers["omniio"] = kaldi.load_scp(str(tmp_path / "codes.scp"))
    if importlib.util.find_spec("kaldi_native_io"):
        import kaldi_native_io

        readers["Kaldi"] = kaldi_native_io.RandomAccessFloatMatrixReader(f"scp:{tmp_path / 'codes.scp'}")
    for name, arrays in readers.items():
        for utterance, array in codes.items():
            np.testing.assert_array_equal(arrays[utterance], array, err_msg=name)
    assert readers["ours"]["a"].dtype == np.int32
    with pytest.raises(ValueError, match="c: an integer above"):
        write_archive(tmp_path / "x.ark", tmp_path / "x.ark", [("c", np.array([[2**24 + 1]]))])


def test_integers_without_columns(tmp_path: Path):
    """A vector is Kaldi's vector of int32; of no rows there is Kaldi's one empty matrix."""
    arrays = {"vector": np.array([-(2**31), 2**31 - 1, 0]), "empty": np.zeros((0, 4), dtype=np.int64)}
    entries = write_archive(tmp_path / "x.ark", tmp_path / "x.ark", arrays.items())
    np.testing.assert_array_equal(read_integers(entries["vector"]), arrays["vector"])
    np.testing.assert_array_equal(kaldiio.load_mat(entries["vector"]), arrays["vector"])
    assert read_integers(entries["empty"]).shape == kaldiio.load_mat(entries["empty"]).shape == (0, 0)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 2.0**24 + 2])
def test_other_numbers_are_no_integers(tmp_path: Path, value: float):
    (entry,) = write_archive(tmp_path / "x.ark", tmp_path / "x.ark", [("a", np.full((2, 2), value))]).values()
    with pytest.raises(UserError, match="x.ark:2: its numbers are not whole"):
        read_integers(entry)


ARRAYS = {
    "matrix": random(3, 4), "double": random(3, 4).astype(np.float64), "vector": random(5),
    "doubles": random(5).astype(np.float64), "integers": np.arange(4, dtype=np.int32),
}  # fmt: skip


@pytest.mark.parametrize("name", [*ARRAYS, 2, 3, 5])
def test_all_types_are_read_as_kaldiio_reads_them(tmp_path: Path, name: str | int):
    array = ARRAYS.get(name, random(20, 4))
    kaldiio.save_ark(str(tmp_path / "x.ark"), {"a": array}, compression_method=name if isinstance(name, int) else None)
    ours, theirs = (read(f"{tmp_path}/x.ark:2") for read in (read_array, kaldiio.load_mat))
    assert ours.dtype == theirs.dtype and ours.flags.writeable
    np.testing.assert_array_equal(ours, theirs)


class Evil:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("kind", ["pickle", "numpy", "text", "flac"])
def test_other_entries_are_refused(tmp_path: Path, kind: str):
    if kind == "pickle":
        kaldiio.save_ark(str(tmp_path / "x.ark"), {"a": Evil(tmp_path / "made")}, write_function="pickle")
    elif kind == "numpy":
        kaldiio.save_ark(str(tmp_path / "x.ark"), {"a": np.array([Evil(tmp_path / "made")])}, write_function="numpy")
    elif kind == "text":
        kaldiio.save_ark(str(tmp_path / "x.ark"), {"a": random(2, 2)}, text=True)
    else:
        soundfile.write(tmp_path / "x.flac", random(100), 16000)
        (tmp_path / "x.ark").write_bytes(b"a " + (tmp_path / "x.flac").read_bytes())
    with pytest.raises(UserError, match="x.ark:2: damaged archive"):
        read_array(f"{tmp_path}/x.ark:2")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "entry",
    ["touch made |", "touch made; cat x.ark:2 |", "| touch made:2", "x.ark", "x.ark:-1", "x.ark:2[0:1]", ":2", "-:0"],
)
def test_commands_and_other_values_are_refused(tmp_path: Path, monkeypatch, entry: str):
    monkeypatch.chdir(tmp_path)
    write_archive("x.ark", "x.ark", [("a", random(2, 2))])
    with pytest.raises(UserError):
        read_array(entry)
    assert not Path("made").exists()


def test_what_is_no_file_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        with pytest.raises(UserError, match="not a file"):
            read_array(f"{name}:0")


@pytest.mark.parametrize(
    "header",
    [
        b"\0BFM \4\xff\xff\xff\x7f\4\xff\xff\xff\x7f",
        b"\0BDV \4\xff\xff\xff\x7f",
        b"\0B\4\xff\xff\xff\x7f",
        b"\0BCM \0\0\0\0\0\0\x80\x3f\xff\xff\xff\x7f\1\0\0\0",
        b"\0BCM2 \0\0\0\0\0\0\x80\x3f\xff\xff\xff\x7f\xff\xff\xff\x7f",
        # Rows of nothing, as many as can be said.
        b"\0BFM \4\xff\xff\xff\x7f\4\0\0\0\0",
        b"\0BFM \4\xff\xff\xff\xff\4\1\0\0\0",
        b"\0BFM \5\1\0\0\0\4\1\0\0\0",
        b"\0BFM",
        b"",
    ],
)
def test_sizes_are_not_believed(tmp_path: Path, header: bytes):
    (tmp_path / "x.ark").write_bytes(header)
    tracemalloc.start()
    with pytest.raises(UserError, match="x.ark:0: damaged archive"):
        read_array(f"{tmp_path}/x.ark:0")
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("archive") / "x.ark"


def entries_of_all_types() -> list[bytes]:
    contents = []
    for name in (*ARRAYS, 2, 3, 5):
        file = io.BytesIO()
        method = name if isinstance(name, int) else None
        kaldiio.save_mat(file, ARRAYS.get(name, random(8, 2)), compression_method=method)
        contents.append(file.getvalue())
    return contents


@st.composite
def mutated(draw) -> bytes:
    """A valid entry with some bytes changed, cut off or put in."""
    content = bytearray(draw(st.sampled_from(entries_of_all_types())))
    for _ in range(draw(st.integers(0, 4))):
        # Most of the faults that matter are in the header.
        place = draw(st.integers(0, 25) | st.integers(0, len(content)))
        content[place : place + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(content)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=mutated() | st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\0B" + tail))
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_any_bytes_give_an_array_or_one_line(archive: Path, content: bytes):
    archive.write_bytes(content)
    for read in (read_array, read_integers):
        try:
            array = read(f"{archive}:0")
        except UserError as error:
            assert "\n" not in str(error) and str(archive) in str(error)
        else:
            assert array.dtype in (np.float32, np.float64, np.int32) and array.nbytes <= 8 * len(content)


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
