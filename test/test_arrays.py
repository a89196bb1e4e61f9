# Copyright 2026 The hasrd authors
# Apache-2.0
"""NumPy files of others: arrays of the form that is needed, or one line; no memory for what a header only promises."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as any_array

from hasrd.arrays import Array, read_npy, read_npz
from hasrd.errors import UserError

FORMS = {"a": Array("f", ("N", "D")), "b": Array("iu", ("N",)), "note": Array("U", optional=True)}


def read(path):
    return read_npz(path, FORMS, "file of things", "make it again")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_was_written_is_read(tmp_path, save, dtype, order):
    a = np.asarray(np.random.default_rng(0).standard_normal((3, 4)), dtype, order=order)
    save(tmp_path / "x.npz", a=a, b=np.arange(3), other=np.array([1], object))
    found = read(tmp_path / "x.npz")
    assert set(found) == {"a", "b"} and found["a"].flags.writeable and found["a"].dtype.isnative
    assert np.array_equal(found["a"], a) and found["b"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"a": np.zeros((3, 4))}, "no array 'b'"),
        ({"a": np.zeros((3, 4)), "b": np.zeros(3)}, "b is of type float64"),
        ({"a": np.zeros((3, 4)), "b": np.zeros(4, int)}, "b is of shape"),
        ({"a": np.zeros(3), "b": np.zeros(3, int)}, "a is of shape"),
        ({"a": np.full((3, 4), np.nan), "b": np.zeros(3, int)}, "not finite"),
        ({"a": np.array([[object()]]), "b": np.zeros(1, int)}, "a is of type object"),
    ],
)
def test_another_form_is_one_line(tmp_path, content, reason):
    np.savez(tmp_path / "x.npz", **content)
    with pytest.raises(UserError, match=f"x.npz: not a file of things .*{reason}.*: make it again"):
        read(tmp_path / "x.npz")


def npy_bytes(header: str, data: bytes = b"") -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 1024)}\n",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 4)}\n",
        "{'descr': '|V99999999999', 'fortran_order': False, 'shape': (1, 1)}\n",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807)}\n",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1)}\n",
        "{" * 9000,
        "__import__('os').system('true')",
    ],
)
def test_headers_that_promise_too_much(tmp_path, header):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("a.npy", npy_bytes(header, b"x" * 16))
    (tmp_path / "x.npy").write_bytes(npy_bytes(header, b"x" * 16))
    with pytest.raises(UserError, match="x.npz"):
        read(tmp_path / "x.npz")
    for mapped in (False, True):
        with pytest.raises(UserError, match="x.npy"):
            read_npy(tmp_path / "x.npy", FORMS["a"], "file of things", "make it again", mapped)


def test_a_bomb_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("a.npy", "w") as member:
            member.write(npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (67108864, 1)}\n"))
            for _ in range(512):
                member.write(bytes(2**20))
    with pytest.raises(UserError, match="promises 536870912 bytes"):
        read(tmp_path / "x.npz")


@given(data=st.data())
def test_any_damage_is_one_line_or_the_arrays(data, tmp_path_factory):
    buffer = io.BytesIO()
    array = data.draw(any_array(np.float32, (2, 3), elements=st.floats(-1, 1, width=32)))
    np.savez(buffer, a=array, b=np.arange(2))
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "any.npz"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        found = read(path)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert found["a"].shape[0] == len(found["b"]) and np.isfinite(found["a"]).all()


def test_mapped_arrays(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((5, 2), np.float32))
    np.save(tmp_path / "empty.npy", np.ones((0, 2), np.float32))
    form = Array("f", ("N", 2))
    assert isinstance(read_npy(tmp_path / "x.npy", form, "file", "again", mapped=True), np.memmap)
    assert read_npy(tmp_path / "empty.npy", form, "file", "again", mapped=True).shape == (0, 2)
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-1])
    with pytest.raises(UserError, match="cut off"):
        read_npy(tmp_path / "x.npy", form, "file", "again", mapped=True)
