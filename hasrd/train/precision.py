# Copyright 2026 The hasrd authors
# Apache-2.0
"""bf16 where the machine computes in it, on CPUs and GPUs alike."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager

import torch


def has_bf16(device_type: str) -> bool:
    """Whether `device_type` ("cpu" or "cuda") multiplies in bf16 natively."""
    if device_type == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported()


def autocast_dtype(use_amp: bool, device_type: str) -> torch.dtype | None:
    """The type to compute in under `--use_amp`: bf16 where it is native, fp16 on older GPUs, None for float32."""
    if not use_amp:
        return None
    if has_bf16(device_type):
        return torch.bfloat16
    if device_type == "cuda":
        return torch.float16
    logging.warning("--use_amp true, but this CPU has no bf16: training in float32")
    return None


class Autocast(torch.nn.Module):
    """Run a model's forward, and nothing else of a step, under autocast, whatever contexts there are around it.

    Its `state_dict` is never used: the trainer saves the model itself.
    """

    def __init__(self, model: torch.nn.Module, device_type: str, dtype: torch.dtype | None):
        super().__init__()
        self.model = model
        self.device_type = device_type
        self.dtype = dtype

    def no_sync(self) -> AbstractContextManager:
        """The context of a `DistributedDataParallel` model in which processes keep their gradients to themselves."""
        return self.model.no_sync()

    def forward(self, *args, **kwargs):
        """Call the model with these arguments."""
        enabled = self.dtype is not None
        with torch.autocast(self.device_type, dtype=self.dtype or torch.bfloat16, enabled=enabled):
            return self.model(*args, **kwargs)
