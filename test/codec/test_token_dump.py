# Copyright 2026 The hasrd authors
# Apache-2.0
"""Crops of stage 6: what their ends have an effect on."""

from __future__ import annotations

import numpy as np
import torch

from hasrd.codec.codec import Codec
from hasrd.codec.token_dump import margin_of
from hasrd.metrics.crop_agreement import agreement, inner
from hasrd.models.load import load_codec


def test_the_ends_of_a_crop(hac_dir):
    """Where levels look at the whole of it, none of its tokens is beyond what its ends have an effect on."""
    codec = load_codec(hac_dir)
    assert margin_of(codec) is None
    codec.quantizer.levels = torch.nn.ModuleDict()
    assert margin_of(codec) >= 1


def test_the_margin_is_what_the_encoder_sees():
    """Without a normalisation over the utterance, the tokens beyond the margin are the same to the last bit."""
    torch.manual_seed(0)
    codec = Codec.from_config(
        {
            "frontend": "raw",
            "encoder": "dac",
            "encoder_conf": {"channels": 4, "strides": [2, 4], "output_size": 8},
            "quantizer": "residual_vq",
            "quantizer_conf": {"num_codebooks": 3, "codebook_size": 64, "codebook_dim": 4},
            "decoder": "dac",
            "decoder_conf": {"channels": 8, "strides": [4, 2]},
        }
    ).eval()
    wave = torch.randn(1, 4000) * 0.1
    margin, start, length = margin_of(codec), 100, 250
    cut = wave[:, start * 8 : (start + length) * 8]
    whole, crop = codec.encode(wave).codes[0].numpy(), codec.encode(cut).codes[0].numpy()
    same = agreement(crop, np.arange(start, start + len(crop)), whole)
    assert same[inner(len(crop), margin)].all() and not same.all()
    # Of what is quantized, more can be said: inside nothing changes, and just outside something does.
    codec.double().encoder_dtype = torch.float64
    with torch.no_grad():
        latents = [codec.features(x.double(), torch.tensor([x.shape[1]])).last[0] for x in (wave, cut)]
    changed = (latents[0][start : start + length] - latents[1]).abs().amax(dim=1).numpy() > 1e-12
    index = np.flatnonzero(changed)
    left, right = index[index < length // 2].max() + 1, length - index[index >= length // 2].min()
    assert max(left, right) <= margin <= max(left, right) + 2
