# Copyright 2026 The hasrd authors
# Apache-2.0
"""Self-supervised pre-training (stage 3)."""

from __future__ import annotations

import argparse

from espnet2.tasks import ssl as espnet
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.utils.types import int_or_none, str_or_none

from hasrd import encoder, frontend, loss
from hasrd.codec.build import build_speech_encoder, construct
from hasrd.espnet.choices import ImportableChoices
from hasrd.espnet.ssl_model import SSLModel
from hasrd.frontend.normalize import GlobalNorm
from hasrd.tasks.training import TrainingTask
from hasrd.train.trainer import Trainer


class SSLTask(TrainingTask, espnet.SSLTask):
    """ESPnet's SSL task with our frontends, normalisations, encoders and losses."""

    class_choices_list = [
        ImportableChoices("frontend", frontend.CHOICES, default="log_mel"),
        ImportableChoices("normalize", frontend.NORMALIZE_CHOICES),
        ImportableChoices("encoder", encoder.CHOICES, default="cnn_conformer"),
        ImportableChoices("loss", loss.CHOICES, default="best_rq"),
    ]
    trainer = Trainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the options of this task."""
        group = parser.add_argument_group(description="Task related")
        group.add_argument(
            "--input_size",
            type=int_or_none,
            default=None,
            help="Feature size when the data are features (kaldi_ark); leave out when they are waves (sound)",
        )
        group.add_argument(
            "--global_stats",
            type=str_or_none,
            default=None,
            help="With --normalize global: cmvn.npz of stage 2, or feats_stats.npz of ESPnet's --collect_stats",
        )
        for choices in cls.class_choices_list:
            choices.add_arguments(group)

    @classmethod
    def build_collate_fn(cls, args: argparse.Namespace, train: bool):
        """Pad with zeros; lengths go along."""
        return CommonCollateFn(float_pad_value=0.0, int_pad_value=0)

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool):
        """Nothing to do to waves or features."""
        return None

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """One input: "speech"."""
        return ("speech",)

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """No others."""
        return ()

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> SSLModel:
        """Build the model that `args` describes; global statistics are noted in `args`, so in config.yaml.

        `args` are those of a training, whose configuration a person has named: its classes are imported.
        """
        if args.global_stats is not None and not args.normalize_conf:
            stats = GlobalNorm.from_stats(args.global_stats)
            args.normalize_conf = {"mean": stats.mean.tolist(), "std": stats.std.tolist()}
        speech_encoder = build_speech_encoder(vars(args), input_size=args.input_size, allow_import=True)
        size = speech_encoder.frontend.output_size if args.input_size is None else args.input_size
        sizes = size, speech_encoder.output_size
        return SSLModel(speech_encoder, construct(vars(args), "loss", loss.CHOICES, *sizes, allow_import=True))
