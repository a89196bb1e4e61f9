# Copyright 2026 The hasrd authors
# Apache-2.0
"""CTC probes (stages 4 and 7): ESPnet's ASR task over frozen representations."""

from __future__ import annotations

import argparse

from espnet2.tasks import asr as espnet
from espnet2.utils.types import str2bool

from hasrd import encoder
from hasrd.espnet.choices import ExtendedChoices
from hasrd.tasks.preprocess import ShuffleTime
from hasrd.train.trainer import Trainer

# What ESPnet's own choices lack, by the name of the option.
OURS = {
    "frontend": {"upstream": "hasrd.espnet.upstream:UpstreamFrontend"},
    "encoder": {**encoder.CHOICES, "blstm_probe": "hasrd.espnet.probe:BLSTMProbe"},
}


class ASRTask(espnet.ASRTask):
    """ESPnet's ASR task with our encoders, frozen upstreams and the paper's probe as further choices."""

    class_choices_list = [
        ExtendedChoices(choices, OURS.get(choices.name, {})) for choices in espnet.ASRTask.class_choices_list
    ]
    trainer = Trainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add ESPnet's options and ours."""
        super().add_task_arguments(parser)
        parser.add_argument(
            "--shuffle_time",
            type=str2bool,
            default=False,
            help="Permute each utterance's input frames: a control that keeps the frames and loses their order",
        )

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool):
        """ESPnet's preprocessing, after the shuffle where one is asked for."""
        preprocess = super().build_preprocess_fn(args, train)
        return ShuffleTime(preprocess) if args.shuffle_time else preprocess

    @classmethod
    def build_model(cls, args: argparse.Namespace):
        """Build ESPnet's ASR model; classes of ours are made known to it first."""
        for choices in cls.class_choices_list:
            choices.register(getattr(args, choices.name, None))
        return super().build_model(args)
