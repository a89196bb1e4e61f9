# Copyright 2026 The hasrd authors
# Apache-2.0
"""What epochs use of codebooks, in the training's log."""

from __future__ import annotations

import sys

import torch
from espnet2.train.reporter import Reporter

from hasrd.quantizer.usage import CodebookUsage


class UsageReport:
    """Notes each epoch's use of a model's codebooks; the first time that one is hardly used it says so on stderr.

    Args:
        model: Its `CodebookUsage` modules count.
        distributed: Whether other processes count as well.
    """

    def __init__(self, model: torch.nn.Module, distributed: bool):
        self.counters = [module for module in model.modules() if isinstance(module, CodebookUsage)]
        self.distributed = distributed
        self.said: set[str] = set()

    def note(self, reporter: Reporter, phase: str, complain: bool = False) -> None:
        """Add what was counted since the last time to the numbers of this epoch's `phase`, which is over.

        As "epoch_used_<codebook>", the number of different codes, and "epoch_perplexity_<codebook>".
        """
        for counter in self.counters:
            if self.distributed:
                torch.distributed.all_reduce(counter.counts)
            usages = [usage for usage in counter.take() if usage.total]
            numbers = reporter.stats[reporter.get_epoch()][phase]
            for usage in usages:
                numbers[f"epoch_used_{usage.name}"] = float(usage.used)
                numbers[f"epoch_perplexity_{usage.name}"] = usage.perplexity
            complaint = counter.complaint([usage for usage in usages if usage.name not in self.said])
            if complain and complaint:
                self.said.update(usage.name for usage in usages if usage.is_dead)
                print(f"warning: epoch {reporter.get_epoch()}: {complaint}", file=sys.stderr, flush=True)
