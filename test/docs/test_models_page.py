# Copyright 2026 The hasrd authors
# Apache-2.0
"""docs/models.md says what `hasrd info` says of every YAML of the paper."""

from __future__ import annotations

import functools
import re

import pytest
import yaml
from doc_pages import DOCS, ROOT

from hasrd.codec.describe import describe

TUNING = ROOT / "egs2/librispeech/hasrd1/conf/tuning"
CONFIGS = {path.stem.removeprefix("train_"): path for path in sorted(TUNING.glob("train_*.yaml"))}
TEXT = (DOCS / "models.md").read_text(encoding="utf-8")
# model, table, YAML, parameters, paper, Hz, kbps, codebooks
ROWS = {
    cells[2].strip("`"): cells
    for line in re.findall(r"^\| (.*) \|$", TEXT, re.M)
    if len(cells := [cell.strip() for cell in line.split("|")]) == 8 and re.fullmatch("`[a-z0-9_]+`", cells[2])
}


@functools.cache
def found(name: str):
    return describe(yaml.safe_load(CONFIGS[name].read_text(encoding="utf-8")))


def test_every_yaml_has_a_row():
    assert set(ROWS) == set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_row_is_what_is_built(name):
    _, _, _, parameters, paper, rate, kbps, books = ROWS[name]
    model = found(name)
    assert parameters == f"{model.parameters['total']:,}"
    assert float(rate) == model.frame_rate
    if model.kind == "codec":
        assert kbps == f"{model.bitrate_bps / 1000:.2f}"
        assert [int(number) for number in books.split(" + ")] == list(model.streams.values())
    else:
        assert kbps == books == ""
    # The paper's number where it is resolved.
    if paper and name != "codec_hasrd_10cb":
        assert model.parameters["total"] == pytest.approx(float(paper.removesuffix(" M")) * 1e6, rel=0.005)


def test_fields_of_the_text():
    rows = re.findall(r"^\| [^|]+ \| (\d+) samples \((\d+) ms\)[^|]* \| (\d+) samples \((\d+) ms\) \|$", TEXT, re.M)
    wanted = []
    for name in ("codec_dac", "codec_dac_fbank"):
        field = found(name).receptive_field
        wanted.append(tuple(f"{field[part][key]:.0f}" for part in ("encoder", "decoder") for key in ("samples", "ms")))
    assert rows == wanted
    assert found("codec_dac_fbank_sepconv").receptive_field == found("codec_dac_fbank").receptive_field
    assert found("codec_hasrd").receptive_field["decoder"] == found("codec_dac").receptive_field["decoder"]
    for name in ("codec_hasrd_hubert", "codec_hasrd_istft"):
        field = found(name).receptive_field["decoder"]
        assert f"| the whole utterance | {field['samples']} samples ({field['ms']:.0f} ms) |" in TEXT
    judges = {round(found(name).parameters["discriminator"] / 1e6, 1) for name in CONFIGS if name[0] == "c"}
    assert judges == {42.5, 59.4} and "(42.5 M; 59.4 M" in TEXT


def test_readings_of_the_text():
    """The numbers in "Where a reading was needed"."""

    def total(name, **changes):
        config = yaml.safe_load(CONFIGS[name].read_text(encoding="utf-8"))
        config.pop("discriminator", None)
        for part, conf in changes.items():
            config[part] |= conf
        return describe(config).parameters["total"]

    head = 516 * 8192 + 8192
    wide = 3 * 1024 * (1024 - 516) + 2 * (1024 - 516) + 516 * (1024 - 516)  # the CNN's last layer, linear layer
    small = total("codec_hasrd_10cb", encoder_conf={"attention_dim": 516}) + head
    assert f"{small / 1e6:.1f} M, or {(small + wide) / 1e6:.1f} M if" in " ".join(TEXT.split())
    assert f"BestRQ+ has {(found('ssl_bestrq_plus').parameters['total'] + wide) / 1e6:.1f} M" in TEXT
    deep = total("ssl_bestrq_baseline", encoder_conf={"attention_dim": 768, "linear_units": 2048})
    assert f"24 layers of 768/2048 would have {deep / 1e6:.0f} M" in " ".join(TEXT.split())
    other = total("codec_hasrd_hubert", decoder_conf={"strides": [8, 4, 5, 2]})
    assert f"[8, 4, 5, 2] gives {other / 1e6:.1f} M" in TEXT
