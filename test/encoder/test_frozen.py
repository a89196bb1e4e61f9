# Copyright 2026 The hasrd authors
# Apache-2.0
"""A frozen module inside a model that trains."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from hasrd.encoder.cnn_conformer import CNNConformer
from hasrd.encoder.frozen import Frozen

LENGTHS = torch.tensor([40, 23])


class Model(nn.Module):
    """A trainable layer on a frozen encoder."""

    def __init__(self):
        super().__init__()
        self.encoder = Frozen(
            CNNConformer(
                10,
                (8, 12, 16),
                attention_dim=24,
                attention_heads=3,
                linear_units=32,
                num_blocks=2,
                dropout_rate=0.5,
            )
        )
        self.linear = nn.Linear(24, 2)

    def forward(self, feats):
        return self.linear(self.encoder(feats, LENGTHS).last)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model()


def tensors(model):
    return {name: value.clone() for name, value in model.encoder.module.state_dict().items()}


def test_state_dict_leaves_it_out_and_loads_strictly(model):
    state = model.state_dict()
    assert set(state) == {"linear.weight", "linear.bias"}
    other = Model()
    other.load_state_dict(state, strict=True)
    assert torch.equal(other.linear.weight, model.linear.weight)


def test_state_dict_that_holds_it_is_refused(model):
    state = model.state_dict()
    state["encoder.module.linear.bias"] = torch.zeros(24)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        model.load_state_dict(state, strict=True)


def test_training_changes_nothing(model):
    before, feats = tensors(model), torch.randn(2, 40, 10)
    latent = model.encoder(feats, LENGTHS).last
    model.train()
    model.requires_grad_(True)
    for parameter in model.parameters():
        nn.init.normal_(parameter)  # as a trainer's initialisation
    optimiser = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0.5)
    for _ in range(2):
        optimiser.zero_grad()
        model(feats).square().sum().backward()
        optimiser.step()
    assert not any(part.training for part in model.encoder.module.modules())
    for parameter in model.encoder.module.parameters():
        assert parameter.grad is None and not parameter.requires_grad
    after = tensors(model)
    assert all(torch.equal(before[name], after[name]) for name in before)
    again = model.encoder(feats, LENGTHS).last
    assert torch.equal(latent, again) and not again.requires_grad


def test_it_follows_to(model):
    model.to(torch.float64)
    assert model(torch.randn(2, 40, 10, dtype=torch.float64)).dtype == torch.float64
    assert model.to("meta").encoder.module.linear.weight.is_meta


def test_copies_are_whole_and_apart(model):
    other = copy.deepcopy(model)
    feats = torch.randn(2, 40, 10)
    assert torch.equal(other(feats), model(feats))
    other.encoder.module.linear.weight.zero_()
    assert model.encoder.module.linear.weight.any()


def test_pickling():
    frozen = Frozen(nn.Linear(3, 2))
    x = torch.randn(1, 3)
    assert torch.equal(pickle.loads(pickle.dumps(frozen))(x), frozen(x))


def test_attributes_are_the_modules(model):
    assert (model.encoder.stride, model.encoder.num_layers, model.encoder.output_size) == (4, 3, 24)
    with pytest.raises(AttributeError, match="no_such"):
        _ = model.encoder.no_such
