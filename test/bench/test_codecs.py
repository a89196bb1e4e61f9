# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codecs side by side."""

from __future__ import annotations

import dataclasses
import re

import pytest

from hasrd.bench import codecs, table
from hasrd.bench.peers import PEERS
from hasrd.bench.subject import Unavailable
from hasrd.errors import UserError
from hasrd.peers.peer import package

KEYS = {
    "model", "mode", "encode_rtf", "decode_rtf", "total_rtf", "ratio_to_dac", "parameters", "device", "threads",
    "torch", "audio",
}  # fmt: skip


def missing(**_):
    raise Unavailable("x is not installed")


@pytest.fixture
def small_dac(monkeypatch):
    pytest.importorskip("dac")
    from hasrd.bench.peers import official_dac

    monkeypatch.setitem(PEERS, codecs.BASELINE, lambda **given: official_dac(**given, encoder_dim=4, decoder_dim=32))


def test_rows(config, arguments, small_dac):
    rows = codecs.bench_codecs(arguments(models=[config("dac"), config("hasrd")], modes=["bf16", "float32"]))
    found = {(row["model"], row["mode"]): row for row in rows}
    assert len(found) == len(rows) == 6
    for row in rows:
        assert KEYS <= set(row) and "note" not in row, row
        assert row["total_rtf"] >= max(row["encode_rtf"], row["decode_rtf"]) > 0
        assert (row["audio"], row["device"]) == ("noise, no speech", "cpu")
    base = found[codecs.BASELINE, "float32"]
    assert base["ratio_to_dac"] == 1 and base["ratio_quartiles"] == [1, 1]
    for (_, mode), row in found.items():
        assert ("code_agreement" in row) == ("snr_db" in row) == (mode == "bf16")
    text = table.render(rows, markdown=True)
    assert text.count("\n| ") == 6 and "noise, no speech" in text and text.startswith("| model")
    assert table.render(rows).splitlines()[0].split() == text.replace("|", "").split("\n")[0].split()


def test_the_ratio_is_of_times_in_the_same_round():
    first, second = object(), object()
    times = {
        (first, "encode"): [1.0, 2.0, 1.0], (first, "decode"): [3.0, 6.0, 3.0],
        (second, "encode"): [0.5, 1.0, 0.5], (second, "decode"): [0.5, 1.0, 1.5],
    }  # fmt: skip
    row = codecs._figures(times, second, first, seconds=2.0)
    assert (row["encode_rtf"], row["decode_rtf"], row["total_rtf"]) == (0.25, 0.5, 1.0)
    assert (row["ratio_to_dac"], row["encode_ratio_to_dac"], row["decode_ratio_to_dac"]) == (4, 2, 6)
    assert codecs._figures(times, second, None, seconds=2.0)["ratio_to_dac"] is None


def test_only_the_modes_asked_for_are_timed(config, arguments, small_dac):
    rows = codecs.bench_codecs(arguments(models=[config("dac")], modes=["bf16"]))
    assert [(row["model"], row["mode"]) for row in rows] == [
        (codecs.BASELINE, "float32"), (codecs.BASELINE, "bf16"), ("dac", "bf16"),
    ]  # fmt: skip
    assert rows[2]["code_agreement"] > 0


def test_what_cannot_be_measured_is_a_line(config, arguments, monkeypatch):
    monkeypatch.setitem(PEERS, codecs.BASELINE, missing)
    monkeypatch.setitem(PEERS, "snac", missing)
    rows = codecs.bench_codecs(arguments(models=["snac", "nothing", config("dac")]))
    assert [row.get("note", "")[:18] for row in rows] == ["x is not installed"] * 2 + ["no train_codec_not", ""]
    assert rows[-1]["ratio_to_dac"] is None and rows[-1]["total_rtf"] > 0
    text = table.render(rows)
    assert "snac: x is not installed" in text and "\ndac" in text


def test_a_package_that_is_not_there_is_a_line(config, arguments, monkeypatch):
    monkeypatch.setitem(PEERS, codecs.BASELINE, missing)
    monkeypatch.setitem(PEERS, "snac", lambda **_: package("no_such_codec", "some-codec"))
    _, row = codecs.bench_codecs(arguments(models=["snac"]))
    assert re.match("some-codec is not installed .*no_such_codec.*--extras bench", row["note"])


def test_a_mode_that_fails_is_a_line(config, arguments, monkeypatch):
    monkeypatch.setitem(PEERS, codecs.BASELINE, missing)
    subjects = codecs.ours.subjects

    def broken(*given):
        def encode(_):
            raise RuntimeError("no compiler\nmore")

        first, second = subjects(*given)
        return [first, dataclasses.replace(second, encode=encode)]

    monkeypatch.setattr(codecs.ours, "subjects", broken)
    _, good, bad = codecs.bench_codecs(arguments(models=[config("dac")], modes=["float32", "bf16"]))
    assert "note" not in good
    assert bad["note"].endswith("RuntimeError: no compiler") and "total_rtf" not in bad and bad["mode"] == "bf16"


def test_a_wrong_configuration_ends_it(config, arguments, monkeypatch):
    monkeypatch.setitem(PEERS, codecs.BASELINE, missing)
    with pytest.raises(UserError, match="unknown class 'nothing'"):
        codecs.bench_codecs(arguments(models=[config("dac", quantizer="nothing")]))
    monkeypatch.setattr(codecs, "in_turn", lambda *_: pytest.fail("timed before all names were looked up"))
    with pytest.raises(UserError, match="no such configuration"):
        codecs.bench_codecs(arguments(models=[config("dac"), "missing.yaml"]))
