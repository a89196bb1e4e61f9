# Copyright 2026 The hasrd authors
# Apache-2.0
"""Compare our Conformer with ESPnet's on one core: python benchmarks/conformer.py [seconds]."""

from __future__ import annotations

import contextlib
import sys

import torch
from espnet2.asr.encoder.conformer_encoder import ConformerEncoder
from measure import measure

from hasrd.encoder.conformer import Conformer

FRAME_RATE = 31.25  # latent frames a second
SIZE, HEADS, UNITS, BLOCKS = 512, 8, 2048, 12


def main() -> None:
    """Print the seconds of a forward pass of both, and the ratios, in float32 and bfloat16."""
    torch.set_num_threads(1)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 15.0
    x = torch.randn(4, int(seconds * FRAME_RATE), SIZE)
    lengths = torch.full((4,), x.shape[1])
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
    contexts = {
        "float32": contextlib.nullcontext(),
        "bfloat16": torch.autocast("cpu", torch.bfloat16),
    }
    for name, context in contexts.items():
        with torch.inference_mode(), context:
            times = measure(
                {"espnet": lambda: theirs(x, lengths), "hasrd": lambda: ours(x, lengths)}, rounds=7
            )
        ratio = times["espnet"] / times["hasrd"]
        print(f"{name}: " + ", ".join(f"{key} {value:.3f} s" for key, value in times.items()))
        print(f"ratio: {ratio:.2f}")


if __name__ == "__main__":
    main()
