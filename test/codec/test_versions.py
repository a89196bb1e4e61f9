# Copyright 2026 The hasrd authors
# Apache-2.0
"""Versions of speech: which there are, and the control of shuffled tokens."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.codec.tokens import Tokens
from hasrd.codec.versions import choose_versions, shuffle_acoustic
from hasrd.errors import UserError
from hasrd.models.load import load_codec


def test_choosing_versions(codec_dir):
    codec = load_codec(codec_dir)
    choose = choose_versions
    assert choose(codec) == ["combined", "semantic", "acoustic", "shuffled"]
    assert choose(codec, "semantic", "9 2 3 1 2") == ["semantic", "books_1", "books_2"], "three are all"
    with pytest.raises(UserError, match="'lexical': this codec has combined, semantic"):
        choose(codec, "combined lexical")
    for wrong in ("0", "two", "1,2"):
        with pytest.raises(UserError, match="no number of codebooks"):
            choose(codec, "auto", wrong)


@given(frames=st.integers(1, 30), seed=st.integers(0, 99))
@settings(deadline=None)
def test_shuffling_the_acoustic_codes(frames, seed):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 50, (1, frames, 3), generator=generator)
    names = ("semantic", "acoustic", "acoustic")
    tokens = Tokens(codes, torch.tensor([frames]), torch.tensor([frames * 512]), 31.25, names, (50, 50, 50))
    shuffled = shuffle_acoustic(tokens, f"utt{seed}")
    assert torch.equal(shuffled.codes[..., 0], codes[..., 0]), "semantic codes keep their places"
    pairs, moved = (sorted(map(tuple, x[0, :, 1:].tolist())) for x in (codes, shuffled.codes))
    assert pairs == moved, "acoustic codes move together"
    assert torch.equal(shuffled.codes, shuffle_acoustic(tokens, f"utt{seed}").codes)
    assert torch.equal(tokens.codes, codes), "the tokens given are left as they are"
