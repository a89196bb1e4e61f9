# Copyright 2026 The hasrd authors
# Apache-2.0
"""BEST-RQ's masks, labels and loss, against loops."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.loss.best_rq import BestRQLoss


def make(**conf):
    torch.manual_seed(0)
    return BestRQLoss(**{"input_size": 5, "encoder_size": 8, "codebook_size": 32, **conf})


LOSS = make()


@given(lengths=st.lists(st.integers(0, 300), min_size=1, max_size=5), seed=st.integers(0, 999))
@settings(deadline=None)
def test_exact_number_of_own_tokens(lengths, seed):
    torch.manual_seed(seed)
    lengths = torch.tensor(lengths)
    feats = torch.randn(len(lengths), int(lengths.max()), 5)
    before = feats.clone()
    masked, mask = LOSS.mask(feats, lengths)
    assert torch.equal(feats, before)
    assert mask.shape == (len(lengths), feats.shape[1] // 4) and mask.dtype == torch.bool
    for b, length in enumerate(lengths.tolist()):
        tokens = length // 4
        assert mask[b].sum() == (max(1, round(0.6 * tokens)) if tokens else 0)
        assert not mask[b, tokens:].any()
        for t in range(feats.shape[1]):
            hidden = t // 4 < tokens and bool(mask[b, t // 4])
            assert (masked[b, t] == feats[b, t]).all() != hidden


def test_masks_are_drawn_evenly_and_for_each_utterance():
    torch.manual_seed(0)
    lengths = torch.tensor([40, 80])
    draws = torch.stack([LOSS.mask(torch.zeros(2, 80, 5), lengths)[1] for _ in range(2000)]).float()
    assert (draws[:, 0, :10].mean(0) - 0.6).abs().max() < 0.05
    assert (draws[:, 1].mean(0) - 0.6).abs().max() < 0.05
    assert not torch.equal(draws[:, 0, :10], draws[:, 1, :10])


def test_noise():
    masked, mask = LOSS.mask(torch.full((4, 4000, 5), 9.0), torch.full((4,), 4000))
    noise = masked[mask.repeat_interleave(4, dim=1)]
    assert abs(noise.mean()) < 0.005 and abs(noise.std() - 0.1) < 0.005


def test_loss_and_stats_are_those_of_the_masked_tokens():
    lengths = torch.tensor([41, 24])
    feats, hidden = torch.randn(2, 41, 5), torch.randn(2, 10, 8)
    _, mask = LOSS.mask(feats, lengths)
    targets = LOSS.targets(feats)
    loss, stats = LOSS(hidden, targets, mask)

    # An independent reference: labels of flattened (N, 320), one token after the other.
    quantizer, labels, nats, hits = LOSS.quantizer, [], [], []
    for b, length in enumerate(lengths.tolist()):
        flat = feats[b, : length // 4 * 4].reshape(-1, 20) @ quantizer.projection
        for u in range(len(flat)):
            if not mask[b, u]:
                continue
            code = flat[u] / flat[u].norm()
            label = min(range(32), key=lambda k: float((quantizer.codebook[k] - code).norm()))
            scores = (LOSS.head.weight @ hidden[b, u] + LOSS.head.bias).tolist()
            nats.append(math.log(sum(math.exp(s) for s in scores)) - scores[label])
            hits.append(max(range(32), key=scores.__getitem__) == label)
            labels.append(label)
    assert len(labels) == 6 + 4
    assert math.isclose(loss.item(), sum(nats) / len(nats), rel_tol=1e-5)
    assert math.isclose(stats["accuracy"].item(), sum(hits) / len(hits), rel_tol=1e-6)
    shares = [labels.count(label) / len(labels) for label in set(labels)]
    assert math.isclose(stats["majority"].item(), max(shares), rel_tol=1e-6)
    assert stats["targets_used"] == len(shares)
    entropy = -sum(s * math.log(s) for s in shares)
    assert math.isclose(stats["target_perplexity"].item(), math.exp(entropy), rel_tol=1e-5)


def test_padding_never_counts():
    lengths = torch.tensor([40, 12])
    feats, hidden = torch.randn(2, 40, 5), torch.randn(2, 10, 8)
    _, mask = LOSS.mask(feats, lengths)
    loss, stats = LOSS(hidden, LOSS.targets(feats), mask)
    feats[1, 12:] = 7.0
    hidden[1, 3:] = -5.0
    again, stats_again = LOSS(hidden, LOSS.targets(feats), mask)
    assert torch.equal(loss, again)
    assert all(torch.equal(stats[k], stats_again[k]) for k in stats)


def test_gradients_and_autocast():
    loss_fn = make()
    hidden = torch.randn(2, 10, 8, requires_grad=True)
    feats = torch.randn(2, 40, 5, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        masked, mask = loss_fn.mask(feats, torch.tensor([40, 20]))
        loss, _ = loss_fn(hidden, loss_fn.targets(feats), mask)
    loss.backward()
    assert loss.dtype == torch.float32 and masked.dtype == torch.float32
    assert feats.grad is None
    assert (hidden.grad.abs().sum(-1) > 0).eq(mask).all()
    assert loss_fn.head.weight.grad.abs().sum() > 0
    assert [name for name, _ in loss_fn.named_parameters()] == ["head.weight", "head.bias"]


def test_nothing_to_predict():
    loss, stats = LOSS(torch.randn(1, 0, 8), torch.zeros(1, 0, dtype=torch.long), torch.zeros(1, 0, dtype=bool))
    assert loss == 0 and all(torch.isfinite(value) for value in stats.values())


@given(
    lengths=st.lists(st.integers(0, 200), min_size=1, max_size=4),
    mask_prob=st.sampled_from([0.01, 0.3, 0.5, 0.6, 0.65, 0.9, 1.0]),
    seed=st.integers(0, 999),
)
@settings(deadline=None)
def test_gathering_rows_is_the_plain_formula(lengths, mask_prob, seed):
    """Loss, gradients and numbers are those of `hidden[mask]`, and hardly more logits are made than it has rows."""
    loss_fn = make(mask_prob=mask_prob)
    torch.manual_seed(seed)
    lengths = torch.tensor(lengths)
    feats = torch.randn(len(lengths), int(lengths.max()), 5)
    _, mask = loss_fn.mask(feats, lengths)
    targets = loss_fn.targets(feats)
    hidden = torch.randn(*mask.shape, 8, requires_grad=True)
    rows = []
    loss_fn.head.register_forward_hook(lambda _, args, output: rows.append(len(args[0])))
    loss, stats = loss_fn(hidden, targets, mask)
    parts = (hidden, loss_fn.head.weight, loss_fn.head.bias)
    grads = torch.autograd.grad(loss, parts)
    assert rows == [len(lengths) * min(mask.shape[1], int(mask.shape[1] * mask_prob) + 1)]

    logits, labels = loss_fn.head(hidden[mask]), targets[mask]
    number = max(1, len(labels))
    plain = torch.nn.functional.cross_entropy(logits, labels, reduction="sum") / number
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(grads, torch.autograd.grad(plain, parts))
    assert math.isclose(stats["accuracy"], (logits.argmax(-1) == labels).sum() / number, rel_tol=1e-6)
    counts = torch.bincount(labels, minlength=32)
    assert torch.allclose(stats["majority"], counts.max() / number) and stats["targets_used"] == (counts > 0).sum()
    assert loss_fn.usage.take()[0].total == len(labels)
