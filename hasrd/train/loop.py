# Copyright 2026 The hasrd authors
# Apache-2.0
"""The epoch loop shared by our trainers.

ESPnet's `Trainer.run` saves in place, so a process killed while it saves loses its checkpoint, and computes in bf16 on
GPUs alone. This loop keeps ESPnet's options, reporter, iterators, schedulers, averaging and file names, and changes
just that: files appear complete or not at all, `checkpoint.pth` is the commit point of an epoch, bf16 is used wherever
the machine has it, and a step does not wait for the device (`hasrd.train.steps`).
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
import warnings
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Iterable, Iterator, Sequence

import torch
from espnet2.main_funcs.average_nbest_models import average_nbest_models
from espnet2.schedulers.abs_scheduler import AbsEpochStepScheduler, AbsValEpochStepScheduler
from espnet2.train.reporter import Reporter
from espnet2.utils.types import str2bool

from hasrd.errors import UserError, first_line
from hasrd.jobs.atomic import replace_link, write_json
from hasrd.train import checkpoint
from hasrd.train.average import WeightAverage
from hasrd.train.precision import Autocast, autocast_dtype
from hasrd.train.randomness import seed_epoch, seed_worker
from hasrd.train.schedule import UpdateSchedule
from hasrd.train.steps import StepLoop, agreed_steps
from hasrd.train.update import fuse
from hasrd.train.usage import UsageReport


class StepProgress:
    """An epoch's iterator that says on stderr how far the whole training is and how long it will take."""

    def __init__(self, iterator: Iterable, epoch: int, max_epoch: int, clock: "Clock"):
        self.iterator = iterator
        self.epoch = epoch
        self.max_epoch = max_epoch
        self.clock = clock

    def __len__(self) -> int:
        return len(self.iterator)

    def __iter__(self) -> Iterator:
        total = len(self)
        for step, item in enumerate(self.iterator, 1):
            yield item
            self.clock.tick(self.epoch, self.max_epoch, step, total)


class Clock:
    """Prints a line at most every `interval` seconds.

    The time left is said once it means something: the first steps take longer than the others. While a part of the
    model is still to join, the steps so far say how long it takes at least.

    Args:
        first_epoch: The epoch that this process begins with.
        joins_after: Steps of the whole training after which a step takes longer.
        quiet: Print nothing.
    """

    # Of steps that are alike, before the time left is said.
    MIN_SECONDS, MIN_STEPS = 30.0, 20

    def __init__(self, first_epoch: int, joins_after: int = 0, interval: float = 10.0, quiet: bool = False):
        self.first_epoch = first_epoch
        self.joins_after = joins_after
        self.interval = interval
        self.quiet = quiet
        self.begun = self.last = time.monotonic()
        # Steps of the whole training that were done when the measuring began; None before the first step.
        self.before: int | None = None

    def tick(self, epoch: int, max_epoch: int, step: int, total: int) -> None:
        """Note that `step` of `total` steps of `epoch` are done."""
        now, done = time.monotonic(), (epoch - 1) * total + step
        if self.before is None:
            self.before = done - 1
        if self.before < self.joins_after <= done:
            # From here on the steps are others.
            self.begun, self.before = now, done
        if self.quiet or now - self.last < self.interval:
            return
        self.last = now
        steps, elapsed = done - self.before, now - self.begun
        left = ""
        if steps >= self.MIN_STEPS and elapsed >= self.MIN_SECONDS:
            at_least = "more than " if done < self.joins_after else ""
            left = f", {at_least}{_duration(elapsed / steps * (max_epoch * total - done))} left"
        percent = 100 * done / (max_epoch * total)
        print(
            f"training: epoch {epoch}/{max_epoch}, step {step}/{total} ({percent:.0f}%){left}",
            file=sys.stderr,
            flush=True,
        )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


# Statistics that the line of an epoch shows after those that the weights are chosen by.
_SHOWN = ("loss", "acc", "masked_accuracy", "cer_ctc", "cer")


def epoch_line(reporter: Reporter, max_epoch: int, chosen_by: Sequence[str]) -> str:
    """Return what an epoch came to, in one short line: up to three statistics of training and validation."""
    epoch = reporter.get_epoch()
    stats = reporter.stats[epoch]
    names = [name for name in dict.fromkeys((*chosen_by, *_SHOWN)) if name in stats["valid"]][:3]
    parts = [
        f"{part} " + ", ".join(f"{name} {stats[part][name]:.4g}" for name in names if name in stats[part])
        for part in ("train", "valid")
    ]
    took = sum(stats[part]["time"].total_seconds() for part in ("train", "valid"))
    return f"epoch {epoch}/{max_epoch}: {'; '.join(parts)} ({_duration(took)})"


class EpochLoop(StepLoop):
    """Mixin for ESPnet's trainers: put it before them in the bases."""

    supports_fp16 = True

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the base's options and ours; ESPnet's recipes always say `--resume true`, here it is the default."""
        super().add_arguments(parser)
        parser.set_defaults(resume=True)
        parser.add_argument(
            "--weight_average",
            type=float,
            default=0.0,
            help="Validate and save an exponential moving average of what the first optimizer trains, with this decay "
            "an update (for example 0.999); 0: the weights themselves",
        )
        parser.add_argument(
            "--accept_changes",
            type=str2bool,
            default=False,
            help="Go on with a training although its data or its options have changed since it began",
        )

    @classmethod
    def run(
        cls,
        model,
        optimizers: Sequence[torch.optim.Optimizer],
        schedulers: Sequence,
        train_iter_factory,
        valid_iter_factory,
        plot_attention_iter_factory,
        trainer_options,
        distributed_option,
    ) -> None:
        """Train from the last complete epoch to `max_epoch`; same arguments as ESPnet's `Trainer.run`.

        Raises:
            UserError: A checkpoint that can't be read, an epoch in which every gradient was NaN or infinite, or an
                option of ESPnet's that is not for this trainer.
        """
        options = trainer_options
        for name in ("no_forward_run", "create_graph_in_tensorboard"):
            if getattr(options, name):
                raise UserError(f"--{name} true: this trainer can't; leave it out")
        output_dir = Path(options.output_dir)
        device_type = "cuda" if options.ngpu > 0 else "cpu"
        dtype = autocast_dtype(options.use_amp, device_type)
        if dtype == torch.float16 and not cls.supports_fp16:
            dtype = None
        scaler = torch.amp.GradScaler("cuda") if dtype == torch.float16 else None
        rank = distributed_option.dist_rank if distributed_option.distributed else 0
        main_process = rank == 0
        average = WeightAverage(optimizers[0], options.weight_average) if options.weight_average else None

        reporter = Reporter()
        if options.resume and (output_dir / "checkpoint.pth").exists():
            cls._resume(output_dir, model, reporter, optimizers, schedulers, scaler, average, options.ngpu)
        for optimizer in optimizers:
            fuse(optimizer)
        start_epoch = reporter.get_epoch() + 1
        if start_epoch > options.max_epoch:
            logging.info(f"Already trained for {start_epoch - 1} epochs: nothing to do")
        elif any(isinstance(scheduler, UpdateSchedule) for scheduler in schedulers):
            # The first epoch's, also when going on: epochs whose batches are cut anew differ by a batch or two.
            train_iter = train_iter_factory.build_iter(1)
            steps = agreed_steps(train_iter, distributed_option.distributed, device_type)
            cls._plan(schedulers, optimizers, steps, options, main_process)

        step_model = Autocast(cls._parallel(model, options, distributed_option), device_type, dtype)
        writers = _summary_writers(output_dir, options.use_tensorboard and main_process)
        clock = Clock(start_epoch, cls.joins_after(options), quiet=not main_process)
        usage = UsageReport(model, distributed_option.distributed)
        for epoch in range(start_epoch, options.max_epoch + 1):
            seed_epoch(options.seed, epoch, rank)
            reporter.set_epoch(epoch)
            train_iter = train_iter_factory.build_iter(epoch)
            if isinstance(train_iter, torch.utils.data.DataLoader):
                train_iter.worker_init_fn = seed_worker
            with reporter.observe("train") as sub_reporter:
                all_steps_are_invalid = cls.train_one_epoch(
                    model=step_model,
                    optimizers=optimizers,
                    schedulers=schedulers,
                    iterator=StepProgress(train_iter, epoch, options.max_epoch, clock),
                    reporter=sub_reporter,
                    scaler=scaler,
                    summary_writer=writers.get("train"),
                    options=options,
                    distributed_option=distributed_option,
                )
            if all_steps_are_invalid:
                raise UserError(
                    f"{output_dir}: every gradient of epoch {epoch} was NaN or infinite, so nothing was learned and "
                    "nothing saved: lower the learning rate or look for bad audio, then run the same command again"
                )
            usage.note(reporter, "train")
            with average.in_place() if average else nullcontext():
                with reporter.observe("valid") as sub_reporter:
                    cls.validate_one_epoch(
                        model=step_model,
                        iterator=valid_iter_factory.build_iter(epoch),
                        reporter=sub_reporter,
                        options=options,
                        distributed_option=distributed_option,
                    )
                if main_process:
                    # Weights first: once checkpoint.pth says that an epoch is done, its weights are there.
                    checkpoint.save(model.state_dict(), output_dir / f"{epoch}epoch.pth")
            usage.note(reporter, "valid", complain=main_process)
            for scheduler in schedulers:
                if isinstance(scheduler, AbsValEpochStepScheduler):
                    scheduler.step(reporter.get_value(*options.val_scheduler_criterion))
                elif isinstance(scheduler, AbsEpochStepScheduler):
                    with warnings.catch_warnings():
                        # An optimizer that joins later (adversarial_start_step) has made no step yet.
                        warnings.filterwarnings("ignore", r"Detected call of `lr_scheduler.step", UserWarning)
                        scheduler.step()
            if main_process:
                logging.info(reporter.log_message())
                chosen_by = [name for _, name, *_ in options.best_model_criterion]
                print(epoch_line(reporter, options.max_epoch, chosen_by), file=sys.stderr, flush=True)
                for key, writer in writers.items():
                    reporter.tensorboard_add_scalar(writer, key1=key)
                states = {
                    "model": model.state_dict(),
                    "reporter": reporter.state_dict(),
                    "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                    "schedulers": [s.state_dict() if s is not None else None for s in schedulers],
                    "scaler": scaler.state_dict() if scaler is not None else None,
                    "average": average.state_dict() if average is not None else None,
                }
                checkpoint.save_training(states, output_dir / "checkpoint.pth")
                cls._tidy(output_dir, reporter, options)
            if options.patience is not None and reporter.check_early_stopping(
                options.patience, *options.early_stopping_criterion
            ):
                break

        for writer in writers.values():
            writer.close()
        if main_process:
            cls._tidy(output_dir, reporter, options)
            average_nbest_models(
                reporter=reporter,
                output_dir=output_dir,
                best_model_criterion=options.best_model_criterion,
                nbest=options.keep_nbest_models,
            )
            write_json(output_dir / "finished.json", {"epochs": reporter.get_epoch(), "max_epoch": options.max_epoch})

    @classmethod
    def joins_after(cls, options) -> int:
        """Steps after which another part of the model joins and steps take longer; 0: all are alike."""
        return 0

    @classmethod
    def _resume(cls, output_dir, model, reporter, optimizers, schedulers, scaler, average, ngpu) -> None:
        path = output_dir / "checkpoint.pth"
        states = checkpoint.read_training(path, f"cuda:{torch.cuda.current_device()}" if ngpu > 0 else "cpu")
        try:
            model.load_state_dict(states["model"])
            reporter.load_state_dict(states["reporter"])
            for name, parts in {"optimizers": optimizers, "schedulers": schedulers, "average": [average]}.items():
                saved = states[name] if name != "average" else [states.get(name)]
                for part, state in zip(parts, saved, strict=True):
                    if (part is None) != (state is None):
                        raise ValueError(f"{name}: one of the two trainings has none")
                    if part is not None:
                        part.load_state_dict(state)
            # A machine with another type of bf16 or fp16 goes on without a scale, or with a new one.
            if scaler is not None and states["scaler"] is not None:
                scaler.load_state_dict(states["scaler"])
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path}: this checkpoint does not fit ({first_line(error)}): use another --tag, or remove "
                f"{output_dir} to train from the start"
            ) from error
        print(f"training: going on after epoch {reporter.get_epoch()}", file=sys.stderr)

    @classmethod
    def _plan(cls, schedulers, optimizers, steps: int, options, main_process: bool) -> None:
        """Tell the schedules how many updates of their optimiser the training has, `steps` batches an epoch."""
        last = range(options.accum_grad, steps + 1, options.accum_grad)
        numbers = (epoch * steps + step for epoch in range(options.max_epoch) for step in last)
        totals = Counter(turn.index for number in numbers for turn in cls.turns(number, optimizers, options))
        for index, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, UpdateSchedule):
                continue
            before = scheduler.plan(totals[index])
            if before not in (None, totals[index]) and main_process and type(scheduler).needs_total:
                print(
                    f"note: the learning rate of optimizer {index + 1} was planned for {before} updates and now is for "
                    f"{totals[index]}: it goes on as a training of that length at update {scheduler.last_epoch + 1}",
                    file=sys.stderr,
                )

    @staticmethod
    def _parallel(model, options, distributed_option) -> torch.nn.Module:
        """The model for the steps: with gradients averaged over processes when there are several."""
        if not distributed_option.distributed:
            return model
        devices = [torch.cuda.current_device()] if options.ngpu > 0 else None
        return torch.nn.parallel.DistributedDataParallel(
            model,
            device_ids=devices,
            # Ours are constants. A broadcast writes into them, which the turns of a GAN step that share a graph forbid.
            broadcast_buffers=False,
            find_unused_parameters=options.unused_parameters,
            gradient_as_bucket_view=getattr(options, "gradient_as_bucket_view", False),
        )

    @staticmethod
    def _tidy(output_dir: Path, reporter: Reporter, options) -> None:
        """Links, history and removal of old weights, all derived from the reporter: safe to do again after a kill."""
        epoch = reporter.get_epoch()
        if epoch == 0:
            return
        replace_link(output_dir / "latest.pth", f"{epoch}epoch.pth")
        nbest = options.keep_nbest_models
        keep = {epoch}
        for phase, key, mode in options.best_model_criterion:
            if reporter.has(phase, key):
                best = reporter.sort_epochs(phase, key, mode)[: max(nbest) if not isinstance(nbest, int) else nbest]
                keep.update(best)
                replace_link(output_dir / f"{phase}.{key}.best.pth", f"{best[0]}epoch.pth")
        for old in range(1, epoch):
            if old not in keep:
                (output_dir / f"{old}epoch.pth").unlink(missing_ok=True)
        write_json(output_dir / "history.json", {"epochs": list(_history(reporter))})


def _history(reporter: Reporter) -> Iterator[dict]:
    """Each epoch's means, for curves without TensorBoard."""
    for epoch in range(1, reporter.get_epoch() + 1):
        entry: dict = {"epoch": epoch}
        for phase in reporter.get_keys(epoch):
            values = {key: reporter.get_value(phase, key, epoch) for key in reporter.get_keys2(phase, epoch)}
            entry[phase] = {key: float(value) for key, value in values.items() if math.isfinite(value)}
        yield entry


def _summary_writers(output_dir: Path, enabled: bool) -> dict:
    if not enabled:
        return {}
    from torch.utils.tensorboard import SummaryWriter

    return {phase: SummaryWriter(str(output_dir / "tensorboard" / phase)) for phase in ("train", "valid")}
