# Copyright 2026 The hasrd authors
# Apache-2.0
"""CTC probes (stages 4 and 7): ESPnet's ASR task over frozen representations."""

from __future__ import annotations

import argparse

import torch
from espnet2.tasks import asr as espnet
from espnet2.utils.types import str2bool, str_or_none

from hasrd import encoder
from hasrd.config import read_yaml
from hasrd.errors import UserError
from hasrd.espnet.choices import ExtendedChoices, check_choices
from hasrd.espnet.probe import CTCLossPerLabel
from hasrd.espnet.upstream import UpstreamFrontend, check_frames, check_frontend, freeze, frozen_sha256
from hasrd.registry import ALLOW_IMPORT
from hasrd.tasks.preprocess import ShuffleTime
from hasrd.tasks.training import TrainingTask
from hasrd.train.trainer import Trainer

# What ESPnet's own choices lack, by the name of the option.
OURS = {
    "frontend": {
        "upstream": "hasrd.espnet.upstream:UpstreamFrontend",
        "layer_mix": "hasrd.espnet.upstream:LayerMix",
    },
    "encoder": {**encoder.CHOICES, "blstm_probe": "hasrd.espnet.probe:BLSTMProbe"},
}
# Of ESPnet's classes of these kinds, those that are built from their arguments alone.
PLAIN = {
    "frontend": ("default", "sliding_window", "wav2vec_cnn"),
    "encoder": (
        "conformer", "transformer", "transformer_multispkr", "contextual_block_transformer",
        "contextual_block_conformer", "vgg_rnn", "rnn", "longformer", "branchformer", "e_branchformer",
        "multiconv_conformer", "torchaudiohubert",
    ),
    "postencoder": ("length_adaptor",),
    "decoder": (
        "transformer", "lightweight_conv", "lightweight_conv2d", "dynamic_conv", "dynamic_conv2d", "rnn", "transducer",
        "mlm", "s4", "linear_decoder",
    ),
}  # fmt: skip


class ASRTask(TrainingTask, espnet.ASRTask):
    """ESPnet's ASR task with our encoders, frozen upstreams and the paper's probe as further choices."""

    class_choices_list = [
        ExtendedChoices(choices, OURS.get(choices.name, {}), PLAIN.get(choices.name))
        for choices in espnet.ASRTask.class_choices_list
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
        parser.add_argument("--allow_import", type=str2bool, default=False, help=ALLOW_IMPORT)
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

        The configuration is that of a training, which a person has named: its classes are imported. For one that lies
        in a folder see `build_from_file`.

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
        if args.input_size is None and cls._frontend_of(args) is UpstreamFrontend:
            # Nothing that a configuration says decides about what the encoder's file names.
            stated = args.frontend_conf
            args.frontend_conf = {**stated, "allow_import": bool(getattr(args, "allow_import", False))}
            try:
                model = super().build_model(args)
            finally:
                args.frontend_conf = stated
        else:
            model = super().build_model(args)
        if model.ctc_weight == 1.0 and isinstance(model.ctc.ctc_loss, torch.nn.CTCLoss):
            # A probe. (In ESPnet's hybrid models the CTC loss is weighed against the decoder's, as ESPnet scales it.)
            model.ctc.ctc_loss = CTCLossPerLabel(model.ctc.ctc_loss.zero_infinity)
        if model.frontend is not None:
            check_frames(model.frontend)
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

    @classmethod
    def _frontend_of(cls, args: argparse.Namespace) -> type | None:
        choices = next(choices for choices in cls.class_choices_list if choices.name == "frontend")
        return choices.get_class(args.frontend)

    @classmethod
    def build_from_file(cls, args: argparse.Namespace, allow_import: bool):
        """Build the model of a configuration that lies in an experiment's folder.

        Args:
            args: What config.yaml says.
            allow_import: Whether classes that are named by import path are imported, and models of others loaded with
                the packages that ESPnet loads them with.

        Raises:
            UserError: Such a class or model, which is not allowed, or what `build_model` raises.
        """
        if not allow_import:
            args.upstream_config = None
            check_choices(cls, args)
        args.allow_import = allow_import
        return cls.build_model(args)


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
