# Copyright 2026 The hasrd authors
# Apache-2.0
"""A codec's frozen encoder during its training: in eval mode throughout, without gradients, bit-identical after it."""

from __future__ import annotations

import copy

import torch
from waits import adamw, batches, codec_model, train

from hasrd.train.gan_trainer import GANTrainer


def test_the_encoder_stays_as_it_is():
    model = codec_model("hasrd")
    encoder = model.codec.encoder.module
    modes, outputs = [], []

    def note(module, args, output) -> None:
        modes.append({part.training for part in encoder.modules()})
        outputs.extend(layer.requires_grad for layer in output.layers)

    encoder.register_forward_hook(note)
    before = copy.deepcopy(encoder.state_dict())
    quantizer = copy.deepcopy(model.codec.quantizer.state_dict())
    optimizers = adamw(model)
    for _ in range(2):
        train(GANTrainer, model, optimizers, batches("audio", 2))
        model.eval()
        model(**batches("audio", 1)[0][1], adversarial=False)
        model.train()
        assert not encoder.training
    assert modes == [{False}] * 6 and not any(outputs)
    after = encoder.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert all(p.grad is None and not p.requires_grad for p in encoder.parameters())
    held = {id(p) for p in encoder.parameters()}
    assert not any(id(p) in held for o in optimizers for group in o.param_groups for p in group["params"])
    # What stands on it has learned, but not the centroids.
    now = model.codec.quantizer.state_dict()
    assert torch.equal(now["centroids"], quantizer["centroids"])
    for key in ("layer_logits", "mix.weight"):
        assert not torch.equal(now[key], quantizer[key]), key
