# Copyright 2026 The hasrd authors
# Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasrd.report.specification import keys_of, row_key, table_specs

# As printed in HASRD (arXiv 2506.00843), a row a line.
TABLE1 = """2.79 0.75 1.55 4.22 76.6
2.79 0.66 1.45 4.45 76.6
2.79 0.66 1.50 4.50 68.0
2.79 0.68 1.52 4.45 48.0"""
TABLE2 = """2.79 0.66 1.45 4.45 76.6
6.0 0.76 1.58 4.26 103.7
3.1 0.64 1.48 4.50 99.5
4.5 0.76 1.57 4.30 131.7"""
TABLE3 = """11.8 35.8 - - -
14.6 43.8 52.6 92.6 76.6
4.9 17.3 12.8 38.3 106.0
3.7 13.2 12.6 37.4 62.0
3.6 12.6 9.3 28.0 62.0
6.5 21.5 7.1 23.0 103.7
3.4 12.0 6.4 21.0 141.6
2.1 7.4 3.3 11.3 131.7"""
TABLE4 = """0.92 24.2
0.67 70.2
0.15 21.0"""
# Of the abstract of HAC (arXiv 2506.15456).
LEVELS = {
    "hac": {"pnmi_value": "0.52", "word_f1_value": "up to 0.8"}, "hac_no_phonetic": {}, "hac_no_lexical": {},
    "hac_no_loss": {}, "dac": {},
}  # fmt: skip
COLUMNS = {
    "table1": ("bitrate", "mel", "stft", "visqol", "parameters"),
    "table2": ("bitrate", "mel", "stft", "visqol", "parameters"),
    "table3": ("latent_cer", "latent_wer", "quantized_cer", "quantized_wer", "parameters"),
    "table4": ("ecapa_similarity", "wer"),
}


@pytest.mark.parametrize("name, text", zip(COLUMNS, (TABLE1, TABLE2, TABLE3, TABLE4)))
def test_numbers_are_the_papers(name, text):
    rows = [row for row in table_specs()[name].rows if row.paper]
    printed = [[row.paper.get(column, "-") for column in COLUMNS[name]] for row in rows]
    assert printed == [line.split() for line in text.splitlines()]
    assert all(set(row.paper) <= set(COLUMNS[name]) for row in rows)
    assert len({row.label for row in rows}) == len(rows)


def test_what_is_published_of_hac():
    assert {key: dict(row.paper) for row in table_specs()["levels"].rows for key in row.keys} == LEVELS


@pytest.mark.parametrize(
    "experiment, key",
    [
        ("codec_dac", "dac"),
        ("codec_dac_04s", "dac_04s"),
        ("codec_train_codec_dac_fbank_sepconv_0123abcd", "dac_fbank_sepconv"),
        ("codec_train_codec_hasrd_10cb_0123abcd", "hasrd_10cb"),
        ("codec_train_codec_hac_no_loss_0123abcd", "hac_no_loss"),
        ("codec_train_codec_0123abcd", "hasrd"),
        ("codec_train_codec_hasrd_0123abcd", "hasrd"),
        ("gpu/exp/codec_hasrd_hubert", "hasrd_hubert"),
        ("ssl_train_ssl_0123abcd", "bestrq_plus"),
        ("ssl_train_ssl_bestrq_plus_global_0123abcd", "bestrq_plus_global"),
        # What an option changed is another model: never silently the paper's row.
        ("codec_train_codec_segment16000_0123abcd", "segment16000"),
        ("codec_train_codec_hasrd_segment16000_0123abcd", "hasrd_segment16000"),
        ("probe_log_mel_train_probe_0123abcd", ""),
        ("layer_train_layer_probe_0123abcd", ""),
    ],
)
def test_row_key(experiment, key):
    assert row_key(experiment) == key


@given(st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters="_"), min_size=1))
def test_row_key_of_any_tag_is_the_tag(tag):
    if not tag.startswith("train_"):
        assert row_key(f"codec_{tag}") == tag


def test_every_configuration_of_the_recipes_has_a_row():
    """A row of the paper that a recipe trains is found by its configuration's name."""
    from pathlib import Path

    known = {key for table in table_specs().values() for key in keys_of(table.rows)}
    folders = sorted((Path(__file__).parents[2] / "egs2").glob("*/h*1/conf/tuning"))
    names = {path.stem for folder in folders for path in folder.glob("train_*.yaml")}
    found = {row_key(f"{name.split('_')[1]}_{name}_0123abcd") for name in names}
    # The rest are variants that the paper does not have.
    assert len(folders) > 1 and found - known <= {"hasrd_istft"}
    assert {"dac", "dac_fbank", "dac_fbank_sepconv", "speechtokenizer", "hasrd", "hasrd_10cb"} <= found
    # What the recipe of HAC trains.
    assert found & {"hac_no_phonetic", "hac_no_lexical", "hac_no_loss"} == {*LEVELS} - {"hac", "dac"}
