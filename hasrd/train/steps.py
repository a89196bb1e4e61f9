# Copyright 2026 The hasrd authors
# Apache-2.0
"""The steps of an epoch.

ESPnet's steps wait for the device a few dozen times each: for every number that is reported, for the norm of the
gradient, and in several processes for every number of every process. These wait when a log line is written.
"""

from __future__ import annotations

import itertools
import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

import torch
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler
from espnet2.torch_utils.add_gradient_noise import add_gradient_noise
from espnet2.torch_utils.device_funcs import to_device
from torch import Tensor

from hasrd.errors import UserError
from hasrd.train.statistics import Statistics, pack
from hasrd.train.update import update

# Steps of validation between two looks at the device.
VALID_INTERVAL = 100


@dataclass(frozen=True)
class Turn:
    """One forward, backward and update of a step.

    Attributes:
        index: Of the optimiser.
        prefix: Of the names of its numbers in the log.
        clip: Name of the option with the norm that its gradients are clipped to.
        arguments: For the model, beside the batch.
    """

    index: int = 0
    prefix: str = ""
    clip: str = "grad_clip"
    arguments: Mapping[str, Any] = field(default_factory=dict)


class StepLoop:
    """Training and validation of one epoch, with the signatures of ESPnet's trainers."""

    # Arguments for the model in validation, beside the batch.
    valid_arguments: Mapping[str, Any] = {}

    @classmethod
    def turns(cls, number: int, optimizers: Sequence, options) -> Sequence[Turn]:
        """The turns of step `number` (from 1 on, over all epochs)."""
        return (Turn(),)

    @classmethod
    def train_one_epoch(
        cls,
        model,
        iterator,
        optimizers,
        schedulers,
        scaler,
        reporter,
        summary_writer,
        options,
        distributed_option,
    ) -> bool:
        """Train one epoch; return whether every gradient was NaN or infinite.

        A step with such a gradient changes neither weights nor moments; the learning rate's schedule counts it, because
        the host hears of it later. The log's times are the host's; "train_time" is the time from step to step.

        Raises:
            UserError: An epoch too short for one update.
        """
        device = _device(options)
        distributed = distributed_option.distributed
        steps = agreed_steps(iterator, distributed, device)
        if steps < options.accum_grad:
            raise UserError(
                f"{options.output_dir}: an epoch has {steps} steps and --accum_grad is {options.accum_grad}: nothing "
                "would be learned; lower it, or make batches smaller"
            )
        log_interval = options.log_interval or max(steps // 20, 10)
        past = reporter.get_total_count()
        statistics = Statistics(reporter)
        model.train()
        _zero_grad(optimizers)
        start = time.perf_counter()
        for step, (names, batch) in enumerate(statistics.timed(itertools.islice(iterator, steps)), 1):
            batch = to_device({**batch, "utt_id": names}, device, non_blocking=True)
            for turn in cls.turns(past + step, optimizers, options):
                cls._turn(
                    model, batch, turn, optimizers, schedulers, scaler, statistics, options, distributed,
                    number=past + step, last=step % options.accum_grad == 0,
                )  # fmt: skip
            rates = {f"optim{i}_lr0": optimizer.param_groups[0]["lr"] for i, optimizer in enumerate(optimizers)}
            statistics.add_host(rates)
            start = statistics.time("train_time", start)
            statistics.next()
            if step % log_interval == 0:
                statistics.flush()
                logging.info(reporter.log_message(-log_interval))
                if summary_writer is not None:
                    reporter.tensorboard_add_scalar(summary_writer, -log_interval)
                if options.use_wandb:
                    reporter.wandb_log()
        statistics.flush()
        return statistics.finite_updates == 0

    @classmethod
    def _turn(
        cls, model, batch, turn, optimizers, schedulers, scaler, statistics, options, distributed, number, last
    ) -> None:
        """Forward and backward on a batch; clip and step if it is the last of those that are accumulated."""
        start = time.perf_counter()
        # Gradients that others are added to are summed over the processes with the last of these, once.
        with model.no_sync() if distributed and not last else nullcontext():
            loss, stats, weight = _outcome(model(**batch, **turn.arguments))
            packed = pack(stats, weight)
            if distributed:
                packed = _average(packed)
                # DistributedDataParallel divides by the number of processes.
                loss = loss * (weight / packed[-1] * torch.distributed.get_world_size())
            statistics.add(tuple(stats), packed)
            start = statistics.time(f"{turn.prefix}forward_time", start)
            loss = loss / options.accum_grad
            (loss if scaler is None else scaler.scale(loss)).backward()
        start = statistics.time(f"{turn.prefix}backward_time", start)
        if not last:
            return
        if options.grad_noise:
            add_gradient_noise(model, number, duration=100, eta=1.0, scale_factor=0.55)
        max_norm = getattr(options, turn.clip)
        norm = update(optimizers[turn.index], max_norm, options.grad_clip_type, scaler)
        statistics.add_norm(turn.prefix, norm, max_norm)
        scheduler = schedulers[turn.index]
        if isinstance(scheduler, AbsBatchStepScheduler):
            scheduler.step()
        _zero_grad(optimizers[turn.index : turn.index + 1])
        statistics.time(f"{turn.prefix}optim_step_time", start)

    @classmethod
    @torch.no_grad()
    def validate_one_epoch(cls, model, iterator, reporter, options, distributed_option) -> None:
        """Average the model's numbers over the valid set."""
        device = _device(options)
        distributed = distributed_option.distributed
        steps = agreed_steps(iterator, distributed, device)
        statistics = Statistics(reporter)
        model.eval()
        for step, (names, batch) in enumerate(itertools.islice(iterator, steps), 1):
            batch = to_device({**batch, "utt_id": names}, device, non_blocking=True)
            _, stats, weight = _outcome(model(**batch, **cls.valid_arguments))
            packed = pack(stats, weight)
            statistics.add(tuple(stats), _average(packed) if distributed else packed)
            statistics.next()
            if step % VALID_INTERVAL == 0:
                statistics.flush()
        statistics.flush()


def _device(options) -> str:
    return "cuda" if options.ngpu > 0 else "cpu"


def _zero_grad(optimizers) -> None:
    for optimizer in optimizers:
        optimizer.zero_grad()


def _outcome(returned) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Loss, numbers and weight of what a model returned in one of ESPnet's two forms."""
    if isinstance(returned, dict):
        loss, stats, weight = returned["loss"], returned["stats"], returned["weight"]
    else:
        loss, stats, weight = returned
    stats = {name: value for name, value in stats.items() if value is not None}
    return loss.reshape(()), stats, weight.reshape(())


def _average(packed: Tensor) -> Tensor:
    """Average `pack`'s tensor over the processes, each with its weight; the weight becomes their sum."""
    packed = torch.cat([packed[:-1] * packed[-1], packed[-1:]])
    torch.distributed.all_reduce(packed)
    return torch.cat([packed[:-1] / packed[-1], packed[-1:]])


def agreed_steps(iterator, distributed: bool, device: str) -> int:
    """Steps of an epoch: of the process with the fewest batches, so that none waits for another for ever.

    Raises:
        UserError: An iterator that does not know its number of batches.
    """
    try:
        steps = len(iterator)
    except TypeError:
        raise UserError("--iterator_type: this one does not know its number of batches; use sequence") from None
    if not distributed:
        return steps
    shortest = torch.tensor(steps, device=device)
    torch.distributed.all_reduce(shortest, torch.distributed.ReduceOp.MIN)
    return int(shortest)
