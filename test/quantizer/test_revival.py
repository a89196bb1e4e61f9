# Copyright 2026 The hasrd authors
# Apache-2.0
"""Entries that are hardly used get a new place, the others stay."""

from __future__ import annotations

import pytest
import torch

from hasrd.quantizer.hac import HACQuantizer, unit_rms
from hasrd.quantizer.hasrd import HASRDQuantizer
from hasrd.quantizer.residual_vq import ResidualVQ
from hasrd.quantizer.revival import Revival


def test_what_is_unused_moves_to_vectors_of_the_batch():
    torch.manual_seed(0)
    revival = Revival(4, share=0.1, decay=0.5)
    codebook = torch.randn(4, 3)
    before = codebook.clone()
    x, mask = torch.randn(2, 5, 3), torch.tensor([[True] * 5, [True, True, False, False, False]])
    x[1, 2:] = torch.nan
    codes = torch.where(mask, torch.arange(5) % 3, 0)
    replaced = [int(revival(codebook, x, codes, mask)) for _ in range(6)]
    assert sum(replaced) == 1, "entry 3, once: it counts as an average one from there on"
    assert torch.equal(codebook[:3], before[:3])
    assert any(torch.equal(codebook[3], vector) for vector in x[mask])


def test_share_0_replaces_nothing():
    revival = Revival(4, share=0.0, decay=0.0)
    codebook = torch.randn(4, 3)
    before = codebook.clone()
    assert not revival(codebook, torch.randn(1, 5, 3), torch.zeros(1, 5, dtype=torch.long), torch.ones(1, 5).bool())
    assert torch.equal(codebook, before)


def test_a_level_that_started_as_a_constant_comes_to_use_its_codebook():
    """Every frame has the same nearest entry; without a new place for the others that would stay so."""
    used = {}
    for share in (0.0, 0.1):
        torch.manual_seed(0)
        conf = {"attention_dim": 8, "attention_heads": 2, "linear_units": 8, "num_blocks": 1, "dropout_rate": 0.0}
        quantizer = HACQuantizer(8, levels=["a"], num_codebooks=0, codebook_size=16, dead_share=share, **conf)
        with torch.no_grad():
            quantizer.levels["a"].leave.bias.fill_(30.0)
        quantizer.train().levels["a"].revival.decay = 0.9
        z, lengths = torch.randn(4, 20, 8), torch.full((4,), 20)
        for _ in range(60):
            output = quantizer((z,), lengths)
        used[share] = len(output.codes.unique())
    assert used[0.0] <= 3 and used[0.1] >= 8, used


def test_gradients_of_small_latents_are_not_amplified():
    z = (1e-3 * torch.randn(2, 3, 8)).requires_grad_()
    scaled = unit_rms(z)
    torch.testing.assert_close(scaled.square().mean(-1).sqrt(), torch.ones(2, 3), atol=1e-3, rtol=0)
    weight = torch.randn(2, 3, 8)
    (scaled * weight).sum().backward()
    assert torch.equal(z.grad, weight)


@pytest.mark.parametrize("kind", ["residual_vq", "hasrd"])
def test_codebooks_of_a_residual_stack_come_to_be_used(kind):
    """An encoder that moved away leaves one entry the nearest of all; without new places that would stay so."""
    used = {}
    for share in (0.0, 0.1):
        torch.manual_seed(0)
        if kind == "hasrd":
            quantizer = HASRDQuantizer(
                8, 2, 1, num_clusters=4, num_codebooks=2, codebook_size=16, codebook_dim=4, dead_share=share
            )
            quantizer.set_centroids(torch.zeros(4, 8))
        else:
            quantizer = ResidualVQ(8, num_codebooks=2, codebook_size=16, codebook_dim=4, dead_share=share)
        for revival in quantizer.acoustic.revivals:
            if revival is not None:
                revival.decay = 0.9
        names = set(quantizer.state_dict())
        assert any("revivals" in name for name in names) == bool(share), "files without it stay what they are"
        z, lengths = torch.randn(4, 20, 8) + 30.0, torch.full((4,), 20)
        start = {name: value.clone() for name, value in quantizer.state_dict().items()}
        quantizer.eval()((z, z), lengths)
        assert all(torch.equal(value, start[name]) for name, value in quantizer.state_dict().items()), "in training"
        quantizer.train()
        for _ in range(60):
            output = quantizer((z, z), lengths)
            (output.latent.sum() + output.commitment_loss + output.codebook_loss).backward()
        used[share] = min(len(codes.unique()) for codes in output.codes[..., -2:].unbind(-1))
    assert used[0.0] < used[0.1] and used[0.1] >= 8, used
