# Copyright 2026 The hasrd authors
# Apache-2.0
"""Our torch-only encoders behind ESPnet's `AbsEncoder`, for its ASR task."""

from __future__ import annotations

from typing import Optional

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder


def adapt_encoder(encoder_class: type[torch.nn.Module]) -> type[AbsEncoder]:
    """Wrap a class of `hasrd.encoder` (or one of that interface) as an ESPnet encoder that gives its last layer."""

    class Adapted(AbsEncoder):
        def __init__(self, input_size: int, **conf):
            super().__init__()
            self.encoder = encoder_class(input_size=input_size, **conf)

        def output_size(self) -> int:
            return self.encoder.output_size

        def forward(
            self, xs_pad: torch.Tensor, ilens: torch.Tensor, prev_states: torch.Tensor = None
        ) -> tuple[torch.Tensor, torch.Tensor, Optional[torch.Tensor]]:
            output = self.encoder(xs_pad, ilens)
            return output.last, output.lengths, None

    Adapted.__name__ = Adapted.__qualname__ = f"{encoder_class.__name__}AsESPnetEncoder"
    return Adapted
