# Copyright 2026 The hasrd authors
# Apache-2.0
"""CTC probes (stages 4 and 7): ESPnet's ASR task over frozen representations."""

from __future__ import annotations

import argparse

from espnet2.tasks import asr as espnet
from espnet2.utils.types import str2bool, str_or_none

from hasrd import encoder
from hasrd.config import read_yaml
from hasrd.errors import UserError
from hasrd.espnet.choices import ExtendedChoices
from hasrd.espnet.upstream import check_frontend, freeze, frozen_sha256
from hasrd.tasks.preprocess import ShuffleTime
from hasrd.train.trainer import Trainer

# What ESPnet's own choices lack, by the name of the option.
OURS = {
    "frontend": {
        "upstream": "hasrd.espnet.upstream:UpstreamFrontend",
        "layer_mix": "hasrd.espnet.upstream:LayerMix",
    },
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
        parser.add_argument(
            "--upstream_config",
            type=str_or_none,
            default=None,
            help="YAML with frontend and frontend_conf, in place of those of --config",
        )
        parser.add_argument(
            "--freeze_frontend",
            type=str2bool,
            default=True,
            help="Leave the trained model inside a frontend (s3prl, espnet_ssl, ...) as it is, and out of checkpoints",
        )
        parser.add_argument(
            "--frontend_sha256",
            type=str_or_none,
            default=None,
            help="SHA-256 of the frontend's frozen tensors; the training notes it in config.yaml, others are refused",
        )

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool):
        """ESPnet's preprocessing, after the shuffle where one is asked for."""
        preprocess = super().build_preprocess_fn(args, train)
        return ShuffleTime(preprocess) if args.shuffle_time else preprocess

    @classmethod
    def build_model(cls, args: argparse.Namespace):
        """Build ESPnet's ASR model; classes of ours are made known to it first, trained frontends are frozen.

        Raises:
            UserError: A frontend that can't be had, or another trained model in it than at the probe's training.
        """
        if getattr(args, "upstream_config", None):
            read_upstream(args)
        for choices in cls.class_choices_list:
            choices.register(getattr(args, choices.name, None))
        if args.input_size is None:
            check_frontend(args.frontend, args.frontend_conf)
        if args.encoder_conf.get("codebook_sizes") is not None:
            # The numbers of codes say nothing of how near they are: nothing to normalise or to mask.
            args.normalize = args.specaug = None
        model = super().build_model(args)
        if model.frontend is not None and getattr(args, "freeze_frontend", True):
            freeze(model.frontend)
            digest = frozen_sha256(model.frontend)
            if getattr(args, "frontend_sha256", None) not in (None, digest):
                raise UserError(
                    f"frontend {args.frontend}: not the trained model that this probe was trained on (its SHA-256 "
                    "differs): bring that one back, or train the probe again"
                )
            args.frontend_sha256 = digest
        return model


def read_upstream(args: argparse.Namespace) -> None:
    """Put the frontend of `args.upstream_config` into `args`; config.yaml then needs that file no more.

    Raises:
        UserError: No such file, another key in it, or no frontend.
    """
    config = read_yaml(args.upstream_config)
    unknown = sorted(set(config) - {"frontend", "frontend_conf"})
    if unknown or not isinstance(config.get("frontend"), str):
        what = f"unknown key {unknown[0]}" if unknown else "no frontend"
        raise UserError(f"{args.upstream_config}: {what}: give frontend and frontend_conf, as in an ASR configuration")
    args.input_size = None
    args.frontend, args.frontend_conf = config["frontend"], config.get("frontend_conf") or {}
    args.upstream_config = None
