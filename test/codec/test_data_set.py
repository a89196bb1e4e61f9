# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a codec is, for the origin of what it makes."""

from __future__ import annotations

import pytest
import yaml

from hasrd.codec.data_set import model_facts
from hasrd.codec.window_plan import WINDOW_SECONDS


@pytest.mark.parametrize(
    "stated, same",
    [({}, True), ({"window": WINDOW_SECONDS}, True), ({"window": 10.0}, False), ({"window": None}, False)],
)
def test_the_window_is_a_part_of_it_also_where_the_configuration_is_silent(tmp_path, stated, same):
    facts = []
    for config in ({"loudness": -16.0}, {"loudness": -16.0, **stated}):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        (tmp_path / "weights.pth").write_bytes(b"weights")
        facts.append(model_facts(tmp_path, "weights.pth"))
    assert (facts[0] == facts[1]) == same
    assert facts[0]["configuration"]["window"] == WINDOW_SECONDS
