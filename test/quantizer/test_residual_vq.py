# Copyright 2026 The hasrd authors
# Apache-2.0
"""Residual VQ: DAC's on equal weights, and the properties that training relies on."""

from __future__ import annotations

import pytest
import torch

from hasrd.encoder.layers import length_mask
from hasrd.quantizer.output import QuantizerOutput
from hasrd.quantizer.quantizer import draw_kept
from hasrd.quantizer.residual_vq import ResidualVQ


@pytest.fixture
def small():
    torch.manual_seed(0)
    quantizer = ResidualVQ(16, num_codebooks=4, codebook_size=32, codebook_dim=4).eval()
    return quantizer, (torch.randn(3, 9, 16),), torch.tensor([9, 5, 7])


def test_number_of_parameters():
    quantizer = ResidualVQ(1024)
    assert sum(p.numel() for p in quantizer.parameters()) == 239_760


@pytest.fixture(scope="module")
def with_official():
    """DAC's quantizer and ours with its weights."""
    official_module = pytest.importorskip(
        "dac.nn.quantize", reason="the official DAC is not installed: it comes with the extra dev"
    )
    torch.manual_seed(0)
    official = official_module.ResidualVectorQuantize(
        64, n_codebooks=9, codebook_size=256, codebook_dim=8, quantizer_dropout=0.5
    ).eval()
    ours = ResidualVQ(64, num_codebooks=9, codebook_size=256).eval()
    with torch.no_grad():
        for book, other in zip(ours.acoustic.books, official.quantizers):
            book.codebook.weight.copy_(other.codebook.weight)
            for name in ("in_proj", "out_proj"):
                mine, theirs = getattr(book, name), getattr(other, name)
                weight = mine.parametrizations.weight
                weight.original0.copy_(theirs.weight_g.squeeze(-1))
                weight.original1.copy_(theirs.weight_v.squeeze(-1))
                mine.bias.copy_(theirs.bias)
    return official, ours


@pytest.mark.parametrize("number", [None, 3])
def test_equals_dac(with_official, number):
    official, ours = with_official
    x = torch.randn(4, 50, 64)
    latent, codes, _, commitment, codebook = official(x.mT, number)
    lengths = torch.full((4,), 50)
    if number is None:
        output = ours((x,), lengths)
    else:
        output = QuantizerOutput(*ours.acoustic(x, length_mask(lengths, 50), torch.full((4,), number)))
    assert torch.equal(output.codes[..., :number], codes.mT)
    assert torch.equal(ours.encode((x,), lengths)[..., :number], codes.mT)
    assert torch.allclose(output.latent, latent.mT, atol=1e-6)
    assert torch.allclose(output.commitment_loss, commitment, rtol=1e-5)
    assert torch.allclose(output.codebook_loss, codebook, rtol=1e-5)
    decoded = ours.decode(codes.mT)
    assert torch.allclose(decoded, official.from_codes(codes)[0].mT, atol=1e-6)


def test_equals_dac_in_training_with_dropout_and_gradients(with_official):
    official, ours = with_official
    x = torch.randn(4, 50, 64)
    results = []
    for module in (official, ours):
        module.train()
        value = x.clone().requires_grad_()
        torch.manual_seed(5)
        if module is ours:
            output = module((value,), torch.full((4,), 50))
            result = [output.latent, output.commitment_loss, output.codebook_loss]
        else:
            latent, _, _, commitment, codebook = module(value.mT)
            result = [latent.mT, commitment, codebook]
        (result[0].square().mean() + result[1] + result[2]).backward()
        results.append([*result, value.grad])
        module.eval()
    for a, b in zip(*results):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-6)


def test_encode_decode_and_forward_agree(small):
    quantizer, layers, lengths = small
    output = quantizer(layers, lengths)
    codes = quantizer.encode(layers, lengths)
    assert torch.equal(output.codes, codes)
    for b, length in enumerate(lengths):
        decoded = quantizer.decode(codes)[b, :length]
        assert torch.allclose(output.latent[b, :length], decoded, atol=1e-5)
    assert codes[1, 5:].eq(0).all()


def test_streams_and_prefixes(small):
    quantizer, layers, lengths = small
    codes = quantizer.encode(layers, lengths)
    first = sum(quantizer.acoustic.books[m].decode(codes[..., m]) for m in range(2))
    assert torch.equal(quantizer.decode(codes[..., :2]), first)
    assert quantizer.decode(codes, streams=[]).eq(0).all()
    assert quantizer.decode(codes[..., :0]).shape == (3, 9, 16)
    with pytest.raises(ValueError, match="no stream named semantic"):
        quantizer.decode(codes, streams=["semantic"])
    with pytest.raises(ValueError, match="not the string"):
        quantizer.decode(codes, streams="acoustic")


def test_padding_counts_nowhere(small):
    quantizer, layers, lengths = small
    output = quantizer(layers, lengths)
    noisy = layers[0].clone()
    noisy[1, 5:] = 100.0
    other = quantizer((noisy,), lengths)
    for key in ("commitment_loss", "codebook_loss"):
        assert torch.equal(getattr(output, key), getattr(other, key))
    assert torch.equal(output.codes, other.codes)
    assert all(torch.equal(output.stats[k], other.stats[k]) for k in output.stats)
    assert output.stats["used_0"] == len({int(c) for b, n in enumerate(lengths) for c in output.codes[b, :n, 0]})


def test_dropout_is_per_item(small):
    quantizer, layers, lengths = small
    quantizer.train()
    quantizer.quantizer_dropout = 1.0
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        output = quantizer(layers, lengths)
        for b, length in enumerate(lengths):
            options = [quantizer.decode(output.codes[..., :n])[b, :length] for n in range(5)]
            error = torch.stack([(o - output.latent[b, :length]).abs().max() for o in options])
            assert error.min() < 1e-5
            seen.add(int(error.argmin()))
    assert seen == {1, 2, 3, 4}
    quantizer.quantizer_dropout = 0.0
    output = quantizer(layers, lengths)
    assert torch.allclose(output.latent[0], quantizer.decode(output.codes)[0], atol=1e-5)


def test_draw_kept_counts():
    torch.manual_seed(0)
    assert draw_kept(6, 0, 0, 0.5, "cpu").tolist() == [0] * 6
    drawn = torch.stack([draw_kept(3, 1, 2, 0.5, "cpu") for _ in range(2000)])
    # Half of the items draw, and half of these keep 1 of 2.
    assert abs((drawn == 1).float().mean() - 0.25) < 0.03
    assert (draw_kept(8, 0, 9, 0.5, "cpu")[4:] == 9).all()


def test_autocast_changes_nothing(small):
    quantizer, layers, lengths = small
    output = quantizer(layers, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = quantizer(layers, lengths)
        codes = quantizer.encode(layers, lengths)
        latent = quantizer.decode(codes)
    assert torch.equal(under.latent, output.latent) and torch.equal(codes, output.codes)
    assert latent.dtype == torch.float32
