# Copyright 2026 The hasrd authors
# Apache-2.0
"""Compare full-size networks with their forms for inference, in CPU time of one core: inference_forms.py [seconds]."""

from __future__ import annotations

import copy
import statistics
import sys
import time
from typing import Sequence

import torch
from torch import nn

from hasrd.codec.inference import fold_weight_norm, inference_form
from hasrd.decoder.dac import DACDecoder
from hasrd.encoder.cnn import LogMelCNN

ROUNDS = 7


def compare(plain: nn.Module, form: nn.Module, inputs: Sequence[torch.Tensor]) -> tuple[float, float, float]:
    """Return the median CPU seconds of both and the median of their ratios, round by round, after one to warm up."""
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS + 1):
        for candidate, measured in zip((plain, form), times):
            start = time.process_time()
            candidate(*inputs)
            measured.append(time.process_time() - start)
    one, other = (measured[1:] for measured in times)
    return statistics.median(one), statistics.median(other), statistics.median(a / b for a, b in zip(one, other))


@torch.inference_mode()
def main() -> None:
    """Print seconds of both forms of each network and the ratio, in float32 and in bfloat16."""
    torch.set_num_threads(1)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    feats, lengths = torch.randn(1, int(seconds * 125), 80), torch.tensor([int(seconds * 125)])
    for separable in (True, False):
        cnn = LogMelCNN(80, [256, 512, 1024], 768, separable).eval()
        decoder = DACDecoder(512, separable=separable).eval()
        latent = torch.randn(1, int(seconds * 16000 / decoder.hop), 512)
        networks: list[tuple[str, nn.Module, tuple[torch.Tensor, ...]]] = [
            ("CNN over log-mel", cnn, (feats, lengths)),
            ("DAC decoder", decoder, (latent,)),
        ]
        for name, network, inputs in networks:
            for dtype in (torch.float32, torch.bfloat16):
                plain = fold_weight_norm(copy.deepcopy(network)).to(dtype)
                form = inference_form(copy.deepcopy(network), dtype)
                given = [x.to(dtype) if x.is_floating_point() else x for x in inputs]
                one, other, gain = compare(plain, form, given)
                kind = f"{name}, {'separable' if separable else 'dense'}, {str(dtype).removeprefix('torch.')}"
                print(f"{kind:40}{one:.3f} s plain, {other:.3f} s its form, ratio {gain:.2f}")


if __name__ == "__main__":
    main()
