# Copyright 2026 The hasrd authors
# Apache-2.0
"""Compare our Conformer with ESPnet's on one core: python benchmarks/conformer.py [seconds [batch]]."""

from __future__ import annotations

import copy
import sys
from functools import partial

import torch
from espnet2.asr.encoder.conformer_encoder import ConformerEncoder

from hasrd.bench.timing import measure
from hasrd.encoder.conformer import Conformer

FRAME_RATE = 31.25  # latent frames a second
SIZE, HEADS, UNITS, BLOCKS = 768, 12, 1024, 12  # HASRD's


def main() -> None:
    """Print the real-time factors of a forward pass of both, and the ratios, in float32 and bfloat16."""
    torch.set_num_threads(1)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    batch = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    x = torch.randn(batch, int(seconds * FRAME_RATE), SIZE)
    lengths = torch.full((batch,), x.shape[1])
    ours = Conformer(SIZE, HEADS, UNITS, BLOCKS).eval()
    theirs = ConformerEncoder(
        input_size=SIZE,
        output_size=SIZE,
        attention_heads=HEADS,
        linear_units=UNITS,
        num_blocks=BLOCKS,
        input_layer=None,
        macaron_style=True,
        rel_pos_type="latest",
        cnn_module_kernel=31,
    ).eval()
    for dtype in (torch.float32, torch.bfloat16):
        x = x.to(dtype)
        models = {"espnet": theirs.to(dtype), "hasrd": ours.to(dtype)}
        models["hasrd, prepared"] = copy.deepcopy(models["hasrd"]).inference_form(dtype)
        with torch.inference_mode():
            times = measure({name: partial(model, x, lengths) for name, model in models.items()}, rounds=7)
        for name, time in times.items():
            factor, ratio = time / batch / seconds, times["espnet"] / time
            print(f"{dtype} {name}: real-time factor {factor:.4f}, {ratio:.2f} times as fast as ESPnet's")


if __name__ == "__main__":
    main()
