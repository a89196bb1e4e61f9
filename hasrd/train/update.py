# Copyright 2026 The hasrd authors
# Apache-2.0
"""One update of the weights, without waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor

# AdamW is an Adam in some versions of torch and a class of its own in others.
ADAM = (torch.optim.Adam, torch.optim.AdamW)


def fuse(optimizer: torch.optim.Optimizer) -> None:
    """Make Adam and AdamW step in one kernel, which also takes the news that a gradient is not finite on the device.

    Call it after a state was loaded. Others stay: SGD's fused kernel leaves the momentum uninitialised when the first
    step is skipped.
    """
    if not isinstance(optimizer, ADAM):
        return
    for group in optimizer.param_groups:
        if group["foreach"] or group["capturable"] or group["differentiable"] or group["fused"] is not None:
            continue
        group["fused"] = True
        # The kernel counts on the device; the state may come from a checkpoint written without it.
        for parameter in group["params"]:
            state = optimizer.state.get(parameter)
            if state:
                state["step"] = state["step"].to(parameter.device, torch.float32)


def update(
    optimizer: torch.optim.Optimizer,
    max_norm: float,
    norm_type: float = 2.0,
    scaler: torch.amp.GradScaler | None = None,
) -> Tensor:
    """Clip and step; a NaN or infinite gradient changes nothing, neither weights nor the optimiser's state.

    Args:
        optimizer: Its parameters have gradients.
        max_norm: Clip to this norm; 0 or less: don't clip.
        norm_type: p of the norm.
        scaler: Scaled the loss, or None.

    Returns:
        The norm before clipping, a scalar on the device.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if scaler is not None:
        scaler.unscale_(optimizer)
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm if max_norm > 0 else torch.inf, norm_type)
    if isinstance(optimizer, ADAM) and all(group["fused"] for group in optimizer.param_groups):
        # How torch.amp.GradScaler tells a fused optimiser to skip a step.
        optimizer.grad_scale, optimizer.found_inf = None, (~torch.isfinite(norm)).float()
        optimizer.step()
        del optimizer.grad_scale, optimizer.found_inf
    elif torch.isfinite(norm):
        optimizer.step()
    if scaler is not None:
        scaler.update()
    return norm
