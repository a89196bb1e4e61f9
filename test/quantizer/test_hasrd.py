# Copyright 2026 The hasrd authors
# Apache-2.0
"""HASRD's factorisation, against its equations."""

from __future__ import annotations

import copy

import pytest
import torch

from hasrd.quantizer.hasrd import HASRDQuantizer

D, L, LENGTHS = 12, 4, torch.tensor([8, 3])


def make(**conf):
    torch.manual_seed(0)
    conf = {"num_clusters": 6, "num_codebooks": 3, "codebook_size": 16, "codebook_dim": 4, **conf}
    quantizer = HASRDQuantizer(D, L, semantic_layer=2, **conf)
    quantizer.set_centroids(torch.randn(6, D))
    with torch.no_grad():
        quantizer.layer_logits.copy_(torch.randn(L))
        quantizer.mix.weight.add_(0.1 * torch.randn(D, D))
    return quantizer.eval(), tuple(torch.randn(2, 8, D) for _ in range(L))


def test_equations():
    quantizer, layers = make()
    output = quantizer(layers, LENGTHS)
    alpha = torch.tensor([float(x.exp()) for x in quantizer.layer_logits])
    alpha = alpha / alpha.sum()
    assert torch.allclose(quantizer.layer_weights, alpha)
    for b, length in enumerate(LENGTHS):
        for u in range(length):
            distance = (layers[2][b, u] - quantizer.centroids).norm(dim=1)
            code = int(distance.argmin())
            assert output.codes[b, u, 0] == code
            mixed = sum(a * layer[b, u] for a, layer in zip(alpha, layers))
            residual = mixed @ quantizer.mix.weight.T - quantizer.centroids[code]
            total = quantizer.centroids[code].clone()
            for m, book in enumerate(quantizer.acoustic.books):
                latent = book.in_proj(residual)
                cosine = torch.cosine_similarity(latent[None], book.codebook.weight)
                assert output.codes[b, u, m + 1] == cosine.argmax()
                part = book.out_proj(book.codebook.weight[cosine.argmax()])
                residual = residual - part
                total = total + part
            assert torch.allclose(output.latent[b, u], total, atol=1e-5)
    assert torch.equal(quantizer.encode(layers, LENGTHS), output.codes)


def test_starts_as_an_even_mix_and_the_identity():
    quantizer = HASRDQuantizer(D, L, semantic_layer=0)
    assert torch.allclose(quantizer.layer_weights, torch.full((L,), 1 / L))
    assert torch.equal(quantizer.mix.weight, torch.eye(D))
    assert quantizer.codebook_sizes == (1024,) * 9
    assert quantizer.stream_names == ("semantic",) + ("acoustic",) * 8


def test_equation_2_before_quantization():
    """Ha = H W - Hs_bar for an alpha that picks one layer and a W that is not symmetric: whose W, and which way round.

    W is the transpose of the linear layer's weight.
    """
    quantizer, layers = make()
    with torch.no_grad():
        quantizer.layer_logits.copy_(torch.tensor([-200.0, 200.0, -200.0, -200.0]))
        quantizer.mix.weight.copy_(torch.randn(D, D))
    seen = []
    quantizer.acoustic.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    output = quantizer(layers, LENGTHS)
    semantic = quantizer.centroids[output.codes[..., 0]]
    for b, length in enumerate(LENGTHS):
        expected = layers[1][b, :length] @ quantizer.mix.weight.T - semantic[b, :length]
        assert torch.allclose(seen[0][b, :length], expected, atol=1e-5)


def test_equation_3_decodes_to_what_training_saw():
    """The decoder's input in training is, with all codebooks, the sum of the streams that the codes stand for."""
    quantizer, layers = make(quantizer_dropout=0.0)
    quantizer.train()
    output = quantizer(layers, LENGTHS)
    parts = [quantizer.centroids[output.codes[..., 0]]]
    for m, book in enumerate(quantizer.acoustic.books):
        parts.append(book.out_proj(book.codebook(output.codes[..., m + 1])))
    for b, length in enumerate(LENGTHS):
        assert torch.allclose(output.latent[b, :length], sum(parts)[b, :length], atol=1e-5)
    assert torch.equal(quantizer.decode(output.codes, streams=[]), torch.zeros(2, 8, D))


def test_the_first_codebooks(monkeypatch):
    quantizer, layers = make()
    quantizer.train()
    codes = quantizer.encode(layers, LENGTHS)
    total = quantizer.centroids[codes[..., 0]]
    for number in range(1, 5):
        if number > 1:
            book = quantizer.acoustic.books[number - 2]
            total = total + book.out_proj(book.codebook(codes[..., number - 1]))
        assert torch.allclose(quantizer.decode(codes[..., :number]), total, atol=1e-5)
        kept = torch.full((2,), number - 1)
        monkeypatch.setattr("hasrd.quantizer.quantizer.draw_kept", lambda *_, kept=kept: kept)
        trained = quantizer(layers, LENGTHS).latent
        assert torch.allclose(trained[0], total[0], atol=1e-5)


def test_a_stream_left_out_adds_nothing_whatever_its_codes():
    quantizer, layers = make()
    codes = quantizer.encode(layers, LENGTHS)
    other = torch.randint(0, 6, codes.shape)
    one, two = codes.clone(), codes.clone()
    one[..., 0], two[..., 1:] = other[..., 0], other[..., 1:]
    assert torch.equal(quantizer.decode(one, ["acoustic"]), quantizer.decode(codes, ["acoustic"]))
    assert torch.equal(quantizer.decode(two, ["semantic"]), quantizer.decode(codes, ["semantic"]))
    assert torch.equal(quantizer.decode(codes, ["acoustic", "semantic"]), quantizer.decode(codes))


def test_alpha_is_a_softmax():
    """A convex combination, whatever the logits."""
    quantizer, _ = make()
    for logits in (torch.zeros(L), 50 * torch.randn(L), torch.tensor([1e4, 0.0, -1e4, 3.0])):
        with torch.no_grad():
            quantizer.layer_logits.copy_(logits)
        alpha = quantizer.layer_weights
        assert (alpha >= 0).all() and torch.allclose(alpha.sum(), torch.ones(()))
        assert torch.allclose(alpha, torch.softmax(logits.double(), 0).float())


@pytest.mark.parametrize("part", ["latent", "commitment_loss"])
def test_gradients_reach_the_mix_and_the_layer_weights(part):
    quantizer, layers = make()
    quantizer.train()
    quantizer.quantizer_dropout = 0.0
    output = quantizer(layers, LENGTHS)
    value = getattr(output, part)
    (value[:, :3].square().sum() if value.dim() else value).backward()
    for parameter in (quantizer.layer_logits, quantizer.mix.weight):
        assert parameter.grad.abs().sum() > 0
    assert not quantizer.centroids.requires_grad


def test_streams_add_up(monkeypatch):
    quantizer, layers = make()
    codes = quantizer.encode(layers, LENGTHS)
    semantic = quantizer.decode(codes, streams=["semantic"])
    acoustic = quantizer.decode(codes, streams=("acoustic",))
    assert torch.equal(semantic, quantizer.centroids[codes[..., 0]])
    assert torch.allclose(quantizer.decode(codes), semantic + acoustic, atol=1e-6)
    assert torch.allclose(quantizer.decode(codes)[0], quantizer(layers, LENGTHS).latent[0], atol=1e-5)
    assert torch.equal(quantizer.decode(codes[..., :1]), semantic)
    assert torch.equal(quantizer.decode(codes[..., :2]), quantizer.acoustic.books[0].decode(codes[..., 1]) + semantic)
    monkeypatch.setattr("hasrd.quantizer.quantizer.draw_kept", lambda batch, *_: torch.zeros(batch))
    first = quantizer.train()(layers, LENGTHS).latent
    assert torch.equal(first[0], semantic[0])
    with pytest.raises(ValueError, match="no stream named lexical"):
        quantizer.decode(codes, streams=["lexical"])


def test_dropout_keeps_the_semantic_book_and_draws_all_numbers():
    quantizer, layers = make(quantizer_dropout=1.0)
    quantizer.train()
    lengths = torch.tensor([8, 8])
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        output = quantizer(layers, lengths)
        for b in range(2):
            options = [quantizer.decode(output.codes[..., :n])[b] for n in range(1, 5)]
            error = torch.stack([(o - output.latent[b]).abs().max() for o in options])
            assert error.min() < 1e-5
            seen.add(int(error.argmin()))
    assert seen == {0, 1, 2, 3}


def test_centroids_must_be_set():
    quantizer = HASRDQuantizer(D, L, semantic_layer=2, num_clusters=6)
    layers = tuple(torch.randn(1, 4, D) for _ in range(L))
    lengths = torch.tensor([4])
    for call in (
        lambda: quantizer(layers, lengths),
        lambda: quantizer.encode(layers, lengths),
        lambda: quantizer.decode(torch.zeros(1, 4, 9, dtype=torch.long)),
    ):
        with pytest.raises(RuntimeError, match="centroids are not set"):
            call()
    with pytest.raises(ValueError, match="shape"):
        quantizer.set_centroids(torch.randn(5, D))
    with pytest.raises(ValueError, match="finite"):
        quantizer.set_centroids(torch.full((6, D), torch.inf))
    other = copy.deepcopy(quantizer)
    quantizer.set_centroids(torch.randn(6, D))
    quantizer(layers, lengths)
    other.load_state_dict(quantizer.state_dict())
    assert torch.equal(other.encode(layers, lengths), quantizer.encode(layers, lengths))


def test_residual_error_is_what_the_acoustic_codes_miss_of_the_residual():
    plain, layers = make()
    a = plain(layers, LENGTHS)
    error = energy = 0.0
    for i, length in enumerate(LENGTHS):
        semantic = plain.decode(a.codes, streams=["semantic"])[i, :length]
        mixed = sum(w * layer[i, :length] for w, layer in zip(plain.layer_weights, layers))
        target = plain.mix(mixed) - semantic
        error = error + (a.latent[i, :length] - semantic - target).square().sum()
        energy = energy + target.square().sum()
    assert torch.allclose(a.stats["residual_error"], error / energy, rtol=1e-4)
    assert 0 < a.stats["residual_error"] and not a.stats["residual_error"].requires_grad


def test_padding_counts_nowhere():
    quantizer, layers = make()
    output = quantizer(layers, LENGTHS)
    noisy = tuple(layer.clone() for layer in layers)
    for layer in noisy:
        layer[1, 3:] = 50.0
    other = quantizer(noisy, LENGTHS)
    assert torch.equal(output.codes, other.codes) and output.codes[1, 3:].eq(0).all()
    assert torch.equal(output.codebook_loss, other.codebook_loss)
    assert torch.equal(output.commitment_loss, other.commitment_loss)
    assert all(torch.equal(output.stats[k], other.stats[k]) for k in output.stats)


def test_autocast_changes_nothing():
    quantizer, layers = make()
    output = quantizer(layers, LENGTHS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = quantizer(layers, LENGTHS)
        codes = quantizer.encode(tuple(layer.bfloat16() for layer in layers), LENGTHS)
        assert quantizer.decode(codes).dtype == torch.float32
    assert torch.equal(under.latent, output.latent) and torch.equal(under.codes, output.codes)


def test_wrong_layers():
    quantizer, layers = make()
    with pytest.raises(ValueError, match="mixes 4"):
        quantizer(layers[:3], LENGTHS)
    with pytest.raises(ValueError, match="there are 4 layers"):
        HASRDQuantizer(D, L, semantic_layer=4)
