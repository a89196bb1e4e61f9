# Copyright 2026 The hasrd authors
# Apache-2.0
"""The trainer of a codec and its discriminator."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import time

import torch
from espnet2.torch_utils.device_funcs import to_device
from espnet2.torch_utils.recursive_op import recursive_average
from espnet2.train import gan_trainer as espnet
from espnet2.utils.build_dataclass import build_dataclass

from hasrd.train.loop import EpochLoop


@dataclasses.dataclass
class GANTrainerOptions(espnet.GANTrainerOptions):
    """ESPnet's options and ours."""

    adversarial_start_step: int


class GANTrainer(EpochLoop, espnet.GANTrainer):
    """Alternating updates: discriminator, then generator on the same, shared output.

    ESPnet's step runs both turns from the first step on; here the discriminator joins after `--adversarial_start_step`
    steps (on a CPU a step with it costs several without), each turn clips the gradients of its own optimiser, and bf16
    works on CPUs too.
    """

    # fp16 gradients of the adversarial losses overflow; GPUs without bf16 train codecs in float32.
    supports_fp16 = False

    @classmethod
    def build_options(cls, args: argparse.Namespace) -> GANTrainerOptions:
        """Collect the options of `train_one_epoch`."""
        return build_dataclass(GANTrainerOptions, args)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add ESPnet's GAN options and ours."""
        super().add_arguments(parser)
        parser.add_argument(
            "--adversarial_start_step",
            type=int,
            default=0,
            help="Train without the discriminator for so many steps first",
        )

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
        options: GANTrainerOptions,
        distributed_option,
    ) -> bool:
        """Train one epoch; return whether every gradient was NaN or infinite."""
        device = "cuda" if options.ngpu > 0 else "cpu"
        distributed = distributed_option.distributed
        log_interval = options.log_interval or max(len(iterator) // 20, 10)
        model.train()
        all_steps_are_invalid = True
        # Processes may have different numbers of batches: the first to finish stops the others.
        stop = torch.zeros((), dtype=torch.long, device=device)
        for step, (_, batch) in enumerate(reporter.measure_iter_time(iterator, "iter_time"), 1):
            start = time.perf_counter()
            if distributed:
                torch.distributed.all_reduce(stop)
                if stop > 0:
                    break
            batch = to_device(batch, device, non_blocking=True)
            adversarial = (
                len(optimizers) > 1 and reporter.get_total_count() >= options.adversarial_start_step
            )
            for turn in ("discriminator", "generator") if adversarial else ("generator",):
                output = model(forward_generator=turn == "generator", adversarial=adversarial, **batch)
                loss, stats, weight = output["loss"], output["stats"], output["weight"]
                if distributed:
                    loss = (loss * weight.type(loss.dtype)).sum()
                    stats, weight = recursive_average(stats, weight, distributed)
                    # DistributedDataParallel divides by the number of processes.
                    loss = loss / weight * torch.distributed.get_world_size()
                reporter.register(stats, weight)
                loss.backward()
                index = output["optim_idx"]
                norm = cls._update(optimizers[index], schedulers[index], options)
                if torch.isfinite(norm):
                    all_steps_are_invalid = False
                    reporter.register({f"{turn}_grad_norm": norm.detach()})
                else:
                    logging.warning(f"The {turn}'s gradient norm is {norm}: step skipped")
                # Both: the generator's turn leaves gradients in the discriminator.
                for optimizer in optimizers:
                    optimizer.zero_grad()
            reporter.register(
                {f"optim{i}_lr0": o.param_groups[0]["lr"] for i, o in enumerate(optimizers)}
            )
            reporter.register({"train_time": time.perf_counter() - start})
            reporter.next()
            if step % log_interval == 0:
                logging.info(reporter.log_message(-log_interval))
                if summary_writer is not None:
                    reporter.tensorboard_add_scalar(summary_writer, -log_interval)
        else:
            if distributed:
                stop.fill_(1)
                torch.distributed.all_reduce(stop)
        return all_steps_are_invalid

    @staticmethod
    def _update(optimizer, scheduler, options) -> torch.Tensor:
        """Clip and step one optimiser; a NaN or infinite gradient changes nothing. Returns the norm before clipping."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        max_norm = options.grad_clip if options.grad_clip > 0 else float("inf")
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type=options.grad_clip_type)
        if torch.isfinite(norm):
            optimizer.step()
            if isinstance(scheduler, espnet.AbsBatchStepScheduler):
                scheduler.step()
        return norm

    @classmethod
    @torch.no_grad()
    def validate_one_epoch(cls, model, iterator, reporter, options, distributed_option) -> None:
        """Reconstruction on the valid set, without the discriminator: comparable over the whole training."""
        device = "cuda" if options.ngpu > 0 else "cpu"
        distributed = distributed_option.distributed
        model.eval()
        stop = torch.zeros((), dtype=torch.long, device=device)
        for _, batch in iterator:
            if distributed:
                torch.distributed.all_reduce(stop)
                if stop > 0:
                    break
            output = model(forward_generator=True, adversarial=False, **to_device(batch, device))
            stats, weight = output["stats"], output["weight"]
            if distributed:
                stats, weight = recursive_average(stats, weight, distributed)
            reporter.register(stats, weight)
            reporter.next()
        else:
            if distributed:
                stop.fill_(1)
                torch.distributed.all_reduce(stop)
