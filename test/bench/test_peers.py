# Copyright 2026 The hasrd authors
# Apache-2.0
"""The codecs of others: their published sizes, and a way through each."""

from __future__ import annotations

import math

import pytest
import torch

from hasrd.bench import peers
from hasrd.bench.agreement import code_agreement, snr_db

PACKAGES = {
    "official-dac": "dac", "encodec": "transformers", "mimi": "transformers",
    "official-speechtokenizer": "speechtokenizer", "snac": "snac",
}  # fmt: skip
# Codebooks, tokens a second of each, samples a second.
FACTS = {
    "official-dac": (9, [31.25], 16000),
    "encodec": (8, [75], 24000),
    "mimi": (8, [12.5], 24000),
    "official-speechtokenizer": (8, [50], 16000),
    "snac": (3, [24000 / 2048, 24000 / 1024, 24000 / 512], 24000),
}
PARAMETERS = {
    "official-dac": 76_651_890, "official-speechtokenizer": 103_675_586, "encodec": 14_851_810, "mimi": 79_308_609,
    "snac": 19_842_914,
}  # fmt: skip
SMALL = {
    "official-dac": {"encoder_dim": 16, "decoder_dim": 128},
    "encodec": {"num_filters": 2, "hidden_size": 16, "codebook_dim": 16},
    "mimi": {
        "num_filters": 2, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
        "head_dim": 16, "intermediate_size": 32, "codebook_dim": 16, "vector_quantization_hidden_dimension": 16,
        "codebook_size": 64, "upsample_groups": 32,
    },
    "official-speechtokenizer": {"n_filters": 2, "dimension": 32, "semantic_dimension": 8},
    "snac": {"encoder_dim": 4, "decoder_dim": 32},
}  # fmt: skip


@pytest.fixture(params=PACKAGES)
def name(request):
    pytest.importorskip(PACKAGES[request.param])
    return request.param


def test_full_size_is_the_published_one(name):
    with torch.device("meta"):
        subject = peers.PEERS[name](device="meta")
    assert subject.parameters == PARAMETERS[name]
    assert (subject.name, subject.mode) == (name, "float32")


def test_a_small_one_encodes_and_decodes(name):
    torch.manual_seed(0)
    subject = peers.PEERS[name](**SMALL[name])
    books, rates, sample_rate = FACTS[name]
    assert subject.sample_rate == sample_rate
    seconds = 2.048
    wave = torch.randn(2, round(seconds * sample_rate)) * 0.1
    with torch.inference_mode():
        codes = subject.encode(wave)
        found = subject.books(codes)
        decoded = subject.decode(codes)
    assert len(found) == books
    for index, book in enumerate(found):
        rate = rates[min(index, len(rates) - 1)]
        assert book.dtype == torch.long and book.shape == (2, math.ceil(seconds * rate))
    assert any(book.any() for book in found)  # not always the first entry, as of a codebook of zeros
    assert decoded.shape[0] == 2 and abs(decoded.shape[1] - wave.shape[1]) < sample_rate / 5
    assert decoded.isfinite().all()


def test_dac_in_bf16_takes_and_gives_float32():
    pytest.importorskip("dac")
    wave = torch.randn(1, 8192) * 0.1
    found = {}
    for mode in ("float32", "bf16"):
        torch.manual_seed(0)
        subject = peers.official_dac(mode, **SMALL["official-dac"])
        with torch.inference_mode():
            codes = subject.encode(wave)
            found[mode] = codes, subject.decode(found["float32"][0] if found else codes)
    assert next(subject.module.decoder.parameters()).dtype == torch.bfloat16
    assert next(subject.module.quantizer.parameters()).dtype == torch.float32
    agreement = code_agreement(found["bf16"][0], found["float32"][0])
    assert 0.5 < agreement <= 1
    assert found["bf16"][1].dtype == torch.float32 and 20 < snr_db(found["bf16"][1], found["float32"][1]) < 80
