# Copyright 2026 The hasrd authors
# Apache-2.0
"""What all trainings share: the schedulers that ESPnet lacks, and batches that are stated for one process."""

from __future__ import annotations

import argparse
import sys

import torch
from espnet2.tasks import abs_task

from hasrd.train.schedule import SCHEDULERS

# ESPnet's tasks read their choices of --scheduler here.
abs_task.scheduler_classes.update(SCHEDULERS)


class TrainingTask:
    """Mixin for ESPnet's tasks: put it before them in the bases.

    ESPnet makes one batch of `--batch_size` or `--batch_bins` for all processes and deals its utterances out in turn
    (`batch[rank::world_size]`): with 8 GPUs each has an eighth. Here the options state what one process has, and the
    batch that is dealt out is as many times as large as there are processes. What fits into a GPU's memory then
    depends on no number of GPUs; what one update learns from does, and is said at the start.
    """

    @classmethod
    def build_iter_options(cls, args: argparse.Namespace, distributed_option, mode: str):
        """ESPnet's options of the iterator for `mode`, with the batch of all processes."""
        options = super().build_iter_options(args, distributed_option, mode)
        processes = torch.distributed.get_world_size() if options.distributed else 1
        options.batch_size *= processes
        options.batch_bins *= processes
        if mode == "train" and (not options.distributed or torch.distributed.get_rank() == 0):
            print(f"note: {global_batch(args, options.batch_type, processes)}", file=sys.stderr, flush=True)
        return options


def global_batch(args: argparse.Namespace, batch_type: str, processes: int) -> str:
    """Say from how much one update learns.

    Args:
        args: With batch_size, batch_bins, accum_grad and the training's first kind of data.
        batch_type: ESPnet's; "numel" and "length" count bins, the others utterances.
        processes: That train together, one a GPU.
    """
    bins = batch_type in ("numel", "length")
    values = "samples" if args.train_data_path_and_name_and_type[0][2] == "sound" else "feature values"
    amount, unit = (args.batch_bins, values) if bins else (args.batch_size, "utterances")
    total = amount * processes * args.accum_grad
    return (
        f"an update learns from {total:,} {unit}: {amount:,} a process x {processes} "
        f"process{'' if processes == 1 else 'es'} x accum_grad {args.accum_grad}"
    )
