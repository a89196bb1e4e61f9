# Copyright 2026 The hasrd authors
# Apache-2.0
"""The weights of a probe's mix of layers."""

from __future__ import annotations

import pytest
import torch

from hasrd.errors import UserError
from hasrd.espnet.layer_choice import layer_weights


def test_choose_layer_needs_a_mix(tmp_path):
    with pytest.raises(UserError, match="train the probe of stage 4"):
        layer_weights(tmp_path, "x.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="no mix of layers"):
        layer_weights(tmp_path, "x.pth")
    torch.save({"frontend.layer_logits": torch.tensor([0.0, 1.0, 2.0])}, tmp_path / "x.pth")
    assert layer_weights(tmp_path, "x.pth") == pytest.approx(torch.tensor([0.0, 1.0, 2.0]).softmax(0).tolist())
