# Copyright 2026 The hasrd authors
# Apache-2.0
"""Residual VQ with running means: k-means at the start, entries that die, padding, streams.

Its equality with SpeechTokenizer's is in test/codec/test_speechtokenizer.py.
"""

from __future__ import annotations

import pytest
import torch

from hasrd.quantizer.euclidean_rvq import EuclideanRVQ, draw


def clusters(number: int, spread: float = 0.01) -> torch.Tensor:
    """(2, 40, 8) vectors around `number` points."""
    points = torch.randn(number, 8)
    return points[torch.arange(80) % number].view(2, 40, 8) + spread * torch.randn(2, 40, 8)


LENGTHS = torch.tensor([40, 40])


@pytest.fixture
def trained():
    torch.manual_seed(0)
    quantizer = EuclideanRVQ(8, num_codebooks=3, codebook_size=16)
    quantizer((torch.randn(2, 40, 8),), LENGTHS)
    return quantizer.eval()


def test_the_first_batch_sets_the_codebooks_by_kmeans():
    torch.manual_seed(0)
    quantizer = EuclideanRVQ(8, num_codebooks=2, codebook_size=20)
    x = clusters(5)
    output = quantizer((x,), LENGTHS)
    # 20 entries for 5 points: what is left over is at most the points' spread.
    assert (output.latent - x).square().mean().sqrt() < 0.01
    assert quantizer.counts.sum(1).tolist() == pytest.approx([80, 80])
    assert set(output.stats) == {"used_0", "used_1", "perplexity_0", "perplexity_1", "replaced"}
    # The running means start at k-means' counts: the same batch moves them only where it is assigned anew.
    before = quantizer.codebooks.clone()
    quantizer((x,), LENGTHS)
    torch.testing.assert_close(quantizer.codebooks[0], before[0], atol=1e-3, rtol=0)


def test_a_first_batch_with_fewer_vectors_than_entries_sets_all_codebooks():
    """If each vector were its own mean, nothing would be left for the second codebook, and all of it zero."""
    torch.manual_seed(0)
    quantizer = EuclideanRVQ(8, num_codebooks=4, codebook_size=128)
    quantizer((torch.randn(2, 40, 8),), LENGTHS)
    sizes = quantizer.codebooks.square().mean((1, 2)).sqrt()
    assert (sizes[1:] < sizes[:-1]).all() and (sizes[1:] > 0.3 * sizes[:-1]).all()
    # Another batch: 80 vectors.
    assert min(quantizer((torch.randn(2, 40, 8),), LENGTHS).stats[f"used_{m}"] for m in range(4)) > 20


def test_running_means_follow_the_data():
    torch.manual_seed(0)
    quantizer = EuclideanRVQ(8, num_codebooks=1, codebook_size=4, decay=0.9)
    x = clusters(4, 0)
    quantizer((x,), LENGTHS)
    for _ in range(60):
        quantizer((x + 0.1,), LENGTHS)
    error = (quantizer((x + 0.1,), LENGTHS).latent - x - 0.1).abs().max()
    assert error < 1e-2, "0.1 * 0.9 ** 60 is 2e-4"


def test_an_entry_that_dies_is_replaced_by_a_vector_of_the_batch():
    torch.manual_seed(0)
    quantizer = EuclideanRVQ(8, num_codebooks=1, codebook_size=16, decay=0.9)
    quantizer((torch.randn(2, 40, 8),), LENGTHS)
    far = 100 + torch.randn(2, 40, 8)
    replaced = sum(quantizer((far,), LENGTHS).stats["replaced"] for _ in range(45))
    assert replaced >= 15, "0.9 ** 45 is less than 0.1"
    assert quantizer.codebooks.min() > 50
    assert quantizer((far,), LENGTHS).stats["used_0"] >= 12
    quantizer.dead_share = 0.0
    assert sum(quantizer((far - 200,), LENGTHS).stats["replaced"] for _ in range(45)) == 0


def test_a_new_entry_has_time_to_be_used(trained):
    trained.codebooks[0, 3], trained.counts[0, 3] = 1000.0, 0.0
    x = torch.randn(2, 40, 8)
    output = trained.train()((x,), LENGTHS)
    assert output.stats["replaced"] >= 1 and not output.codes[..., 0].eq(3).any()
    assert x.flatten(0, 1).eq(trained.codebooks[0, 3]).all(1).any()
    assert trained.counts[0, 3] > 0.9 * trained.counts[0].mean()


def test_frames_are_drawn_from_the_valid_ones():
    x = torch.arange(12.0).view(2, 6, 1)
    mask = torch.tensor([[1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]]).bool()
    drawn = draw(x, mask, 8).squeeze(1).tolist()
    assert sorted(drawn) == [0, 0, 1, 1, 2, 2, 6, 6]
    assert len(set(draw(x, mask, 3).squeeze(1).tolist())) == 3


def test_codebooks_that_are_not_set_are_an_error(trained):
    quantizer = EuclideanRVQ(8, num_codebooks=3, codebook_size=16).eval()
    x = (torch.randn(2, 40, 8),)
    for use in (
        lambda: quantizer(x, LENGTHS),
        lambda: quantizer.encode(x, LENGTHS),
        lambda: quantizer.decode(torch.zeros(1, 2, 3, dtype=torch.long)),
    ):
        with pytest.raises(RuntimeError, match="codebooks are not set"):
            use()
    quantizer.load_state_dict(trained.state_dict())
    assert torch.equal(quantizer.encode(x, LENGTHS), trained.encode(x, LENGTHS))


def test_a_loaded_state_goes_on_exactly(trained):
    """Codebooks and counts are the whole state: no k-means again, and equal steps."""
    x = (torch.randn(2, 40, 8),)
    other = EuclideanRVQ(8, num_codebooks=3, codebook_size=16)
    other.load_state_dict(trained.state_dict())
    for quantizer in (trained.train(), other.train()):
        torch.manual_seed(3)
        quantizer(x, LENGTHS)
    for key, value in trained.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])


def test_eval_mode_changes_nothing(trained):
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    trained((torch.randn(2, 40, 8),), LENGTHS)
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())


def test_encode_decode_and_forward_agree(trained):
    layers, lengths = (torch.randn(3, 9, 8),), torch.tensor([9, 5, 7])
    output, codes = trained(layers, lengths), trained.encode(layers, lengths)
    assert torch.equal(output.codes, codes) and codes[1, 5:].eq(0).all()
    for b, length in enumerate(lengths):
        torch.testing.assert_close(output.latent[b, :length], trained.decode(codes)[b, :length])
    assert output.codebook_loss == 0
    error = (layers[0] - trained.decode(codes)).square().mean(2)
    assert output.commitment_loss > (error * (torch.arange(9) < lengths[:, None])).sum() / lengths.sum()


def test_streams_and_prefixes(trained):
    codes = trained.encode((torch.randn(3, 9, 8),), torch.tensor([9, 5, 7]))
    decode = trained.decode
    first = [trained.codebooks[m][codes[..., m]] for m in range(2)]
    assert torch.equal(decode(codes[..., :2]), first[0] + first[1])
    assert torch.equal(decode(codes, streams=["semantic"]), decode(codes[..., :1]))
    assert torch.equal(decode(codes[..., :1]), first[0])
    parts = decode(codes, streams=["semantic"]) + decode(codes, streams=["acoustic"])
    torch.testing.assert_close(parts, decode(codes))
    assert decode(codes, streams=[]).eq(0).all() and decode(codes[..., :0]).shape == (3, 9, 8)
    with pytest.raises(ValueError, match="no stream named lexical"):
        decode(codes, streams=["lexical"])


def test_padding_counts_nowhere(trained):
    lengths = torch.tensor([40, 25])
    x = torch.randn(2, 40, 8)
    noisy = x.clone()
    noisy[1, 25:] = 100.0
    results, start = [], {key: value.clone() for key, value in trained.state_dict().items()}
    for value in (x, noisy):
        trained.load_state_dict(start)
        torch.manual_seed(1)
        output = trained.train()((value,), lengths)
        results.append([output.codes, output.commitment_loss, trained.codebooks.clone(), trained.counts.clone()])
    for a, b in zip(*results):
        assert torch.equal(a, b)
    fresh = EuclideanRVQ(8, num_codebooks=2, codebook_size=16)
    fresh((noisy,), lengths)
    assert fresh.codebooks.abs().max() < 10


def test_gradients_go_straight_through(trained):
    x = torch.randn(2, 40, 8, requires_grad=True)
    output = trained((x,), LENGTHS)
    weight = torch.randn_like(x)
    (output.latent * weight).sum().backward()
    torch.testing.assert_close(x.grad, weight)
    x.grad = None
    trained((x,), LENGTHS).commitment_loss.backward()
    first = trained.decode(output.codes[..., :1])
    torch.testing.assert_close(x.grad, 2 * (x - first).detach() / 8 / 80)
    # The first codebook's part, for a teacher.
    x.grad = None
    level = trained((x,), LENGTHS).levels["semantic"]
    torch.testing.assert_close(level, first)
    (level * weight).sum().backward()
    torch.testing.assert_close(x.grad, weight)


def test_autocast_changes_nothing(trained):
    layers, lengths = (torch.randn(3, 9, 8),), torch.tensor([9, 5, 7])
    output = trained(layers, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under, codes = trained(layers, lengths), trained.encode(layers, lengths)
    assert torch.equal(under.latent, output.latent) and torch.equal(codes, output.codes)


def test_a_frame_that_is_not_finite_moves_no_codebook():
    torch.manual_seed(0)
    quantizer = EuclideanRVQ(6, num_codebooks=2, codebook_size=4).train()
    x, lengths = torch.randn(3, 20, 6), torch.tensor([20, 20, 20])
    quantizer((x,), lengths)
    x[1, 7] = torch.nan
    quantizer((x,), lengths)
    assert quantizer.codebooks.isfinite().all() and quantizer.counts.isfinite().all()
