# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codec training (stage 5)."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

from espnet2.tasks import gan_codec as espnet
from espnet2.tasks.abs_task import optim_classes
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import float_or_none, int_or_none, str2bool, str_or_none

from hasrd import decoder, discriminator, encoder, frontend, quantizer
from hasrd.codec.build import CODEC_DEFAULTS, ENCODER_KEYS, build_modules, check_encoder, construct, part_class
from hasrd.codec.codec import Codec
from hasrd.codec.latent_cache import CachedLatents
from hasrd.errors import UserError
from hasrd.espnet.choices import ImportableChoices
from hasrd.espnet.codec_model import CodecModel
from hasrd.jobs.digest import sha256
from hasrd.loss.distillation import build_distillation
from hasrd.models.checkpoint import load_encoder
from hasrd.models.initial import InitialModel, read_initial
from hasrd.models.kmeans import load_kmeans
from hasrd.registry import ALLOW_IMPORT, resolve
from hasrd.tasks.preprocess import AtLoudness, PadTo, Segment
from hasrd.tasks.training import TrainingTask
from hasrd.teacher.levels import open_levels
from hasrd.train.gan_trainer import GANTrainer
from hasrd.train.options import merge

# Of each clip of the valid set, whatever the training's segments: trainings with other segments are judged on the same.
VALID_SECONDS = 5.0


class CodecTask(TrainingTask, espnet.GANCodecTask):
    """ESPnet's codec task; a codec is a frontend, an encoder, a quantizer and a decoder.

    With `--encoder_file`, frontend, normalisation and encoder come from stage 3's file and stay frozen; the file's
    configuration and SHA-256 are written to `config.yaml`, its weights to no checkpoint. With `--frozen_encoder true`
    the configuration states them as well, and a file of another encoder is refused.
    """

    class_choices_list = [
        ImportableChoices("frontend", frontend.CHOICES, default=CODEC_DEFAULTS["frontend"]),
        ImportableChoices("normalize", frontend.NORMALIZE_CHOICES),
        ImportableChoices("encoder", encoder.CHOICES, default="log_mel_cnn"),
        ImportableChoices("quantizer", quantizer.CHOICES, default=CODEC_DEFAULTS["quantizer"]),
        ImportableChoices("decoder", decoder.CHOICES, default=CODEC_DEFAULTS["decoder"]),
        ImportableChoices("discriminator", discriminator.CHOICES),
    ]
    trainer = GANTrainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the options of this task."""
        group = parser.add_argument_group(description="Task related")
        group.add_argument(
            "--encoder_file",
            type=str_or_none,
            default=None,
            help="Frozen encoder: encoder.safetensors of stage 3; it brings its own frontend and normalisation",
        )
        group.add_argument(
            "--frozen_encoder",
            type=str2bool,
            default=False,
            help="The encoder of this configuration is --encoder_file's, which must be as the configuration states it",
        )
        group.add_argument(
            "--encoder_sha256",
            type=str_or_none,
            default=None,
            help="SHA-256 that the encoder file must have; noted in config.yaml when left out",
        )
        group.add_argument(
            "--init_model",
            type=str_or_none,
            default=None,
            help="Start from this codec, a packed model or an experiment folder: parts that are not given here, frozen "
            "encoder, centroids, level and all weights come from there (docs/finetune.md)",
        )
        group.add_argument("--allow_import", type=str2bool, default=False, help=ALLOW_IMPORT)
        group.add_argument(
            "--kmeans_file",
            type=str_or_none,
            default=None,
            help="kmeans.npz of stage 4: centroids and layer of the semantic codebook",
        )
        group.add_argument(
            "--latent_dirs",
            type=str,
            nargs="*",
            default=[],
            help="Folders of hasrd dump-latents, of the training and the valid set: what --encoder_file gives of whole "
            "utterances, which segments get their part of; none: the encoder is run on the segments",
        )
        group.add_argument(
            "--segment",
            type=int_or_none,
            default=80000,
            help="Train on random segments of so many samples, shorter clips zero-padded (paper: 5 s); the valid set "
            "is always judged on 5 s from the middle of each clip",
        )
        group.add_argument(
            "--loudness",
            type=float_or_none,
            default=None,
            help="Level that the codec takes speech at, in LUFS: training and validation segments are brought to it, "
            "tokens carry the loudness that speech had, decoding gives it back (DAC: -16); none: speech as it is",
        )
        group.add_argument(
            "--shift_phase",
            type=str2bool,
            default=False,
            help="Shift the phase of each training segment by a random angle (DAC)",
        )
        group.add_argument(
            "--model_conf",
            action=NestedDictAction,
            default=dict(),
            help="Loss weights: lambda_mel, lambda_feat_match, lambda_adv, lambda_commit, lambda_codebook",
        )
        group.add_argument(
            "--distillation",
            action=NestedDictAction,
            default=dict(),
            help="Of levels of the quantizer: loss, weight and what the loss takes (hasrd.loss.distillation); targets, "
            "the folders that stage 4 wrote",
        )
        for choices in cls.class_choices_list:
            choices.add_arguments(group)

    @classmethod
    def build_collate_fn(cls, args: argparse.Namespace, train: bool):
        """Pad with zeros, to whole segments where segments are cut; lengths go along."""
        collate = CommonCollateFn(float_pad_value=0.0, int_pad_value=0)
        segment, _ = cls._segment(args, train)
        if segment is None:
            return collate
        lengths = {"audio": segment}
        if args.latent_dirs:
            lengths["encoder_layers"] = -(-segment // CachedLatents(args.latent_dirs).frame_shift)
        return PadTo(lengths, collate)

    @staticmethod
    def _segment(args: argparse.Namespace, train: bool) -> tuple[int | None, int]:
        """Samples of a segment and of a second; statistics collection and ESPnet's chunk iterator see whole clips."""
        rate = construct(vars(args), "frontend", frontend.CHOICES, allow_import=True).sample_rate
        if args.collect_stats or args.iterator_type == "chunk" or args.segment is None:
            return None, rate
        return args.segment if train else round(VALID_SECONDS * rate), rate

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool):
        """Cut segments in the loader, and what teachers said of them; bring them to the codec's level."""
        if args.collect_stats or args.iterator_type == "chunk":
            return None
        segment, rate = cls._segment(args, train)
        cut = None
        latents = CachedLatents(args.latent_dirs) if args.latent_dirs else None
        if segment is not None:
            targets = open_levels(args.distillation, allow_import=True).cached
            cut = Segment(segment, "audio", train, rate, targets, latents)
        # Where there are latents, the segment is a part of an utterance that has been brought to the level as a whole.
        loudness = args.loudness if latents is None else None
        if loudness is None and not args.shift_phase:
            return cut
        return AtLoudness(loudness, "audio", rate, args.shift_phase and train, cut)

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> CodecModel:
        """Build the model that `args` describes; what the files say is noted in `args`, so in config.yaml.

        `args` are those of a training, whose configuration a person has named: its classes are imported.
        """
        speech_encoder = None
        initial = None
        if args.init_model is not None:
            initial = read_initial(args.init_model, allow_import=args.allow_import)
            cls._start_from(args, initial)
        if args.frozen_encoder and args.encoder_file is None:
            raise UserError(
                "--encoder_file not given: with frozen_encoder: true the codec stands on a trained encoder, "
                "encoder.safetensors of stage 3 or of hasrd import-encoder"
            )
        if args.encoder_file is not None:
            config, trained = load_encoder(args.encoder_file, args.encoder_sha256, allow_import=args.allow_import)
            speech_encoder = trained.frozen()
            if args.frozen_encoder:
                check_encoder(vars(args), config, args.encoder_file, allow_import=True)
            args.encoder_sha256 = args.encoder_sha256 or sha256(args.encoder_file)
            for key in ENCODER_KEYS:
                setattr(args, key, config[key])
        if args.latent_dirs:
            if args.encoder_file is None or args.segment is None or args.iterator_type == "chunk":
                raise UserError("--latent_dirs: goes with --encoder_file and --segment, without iterator_type: chunk")
            CachedLatents(args.latent_dirs).check(args.encoder_sha256, args.loudness)
        centroids = None
        if args.kmeans_file is not None:
            centroids, facts = load_kmeans(args.kmeans_file, encoder_sha256=args.encoder_sha256)
            args.quantizer_conf = {
                **args.quantizer_conf,
                "semantic_layer": facts["layer"],
                "num_clusters": len(centroids),
            }
        elif initial is None and part_class(vars(args), "quantizer", quantizer.CHOICES, allow_import=True).needs_kmeans:
            raise UserError(
                f"--kmeans_file not given: the quantizer {args.quantizer} takes its first tokens from k-means on a "
                "frozen encoder: set frozen_encoder: true and run stages 3 and 4, or choose another quantizer"
            )
        codec = Codec(**build_modules(vars(args), speech_encoder, allow_import=True))
        if (args.loudness is not None or args.shift_phase) and args.iterator_type == "chunk":
            raise UserError("loudness, shift_phase: not with iterator_type: chunk, which cuts segments after them")
        adversary = None
        if args.discriminator is not None:
            make = resolve(discriminator.CHOICES, args.discriminator, allow_import=True)
            adversary = make(**args.discriminator_conf)
        if initial is not None:
            initial.put_into(codec, adversary)
        if centroids is not None:
            codec.quantizer.set_centroids(centroids)
        teaching = None
        if args.distillation:
            if args.segment is None or args.iterator_type == "chunk":
                raise UserError("distillation: give --segment: what teachers say is cut as the waves are")
            levels = open_levels(args.distillation, allow_import=True)
            live = {level: make(args.allow_import) for level, make in levels.live.items()}
            teaching = build_distillation(args.distillation, codec.quantizer, levels.sizes, live, allow_import=True)
        return CodecModel(codec=codec, discriminator=adversary, distillation=teaching, **args.model_conf)

    @classmethod
    def _start_from(cls, args: argparse.Namespace, initial: InitialModel) -> None:
        """Take what `args` leave open from the model that the training starts from, its frozen encoder first.

        A part is left open where its option has the default; of one that is the same, single arguments are left open.

        Raises:
            UserError: Another encoder is given, or a class that is not allowed.
        """
        where, config = f"--init_model {initial.folder}", initial.config
        if initial.encoder_sha256 is None:
            if args.encoder_file is not None:
                raise UserError(f"{where}: it trained an encoder of its own: leave out --encoder_file")
        elif args.encoder_file is None and initial.encoder_file is not None:
            args.encoder_file, args.encoder_sha256 = str(initial.encoder_file), initial.encoder_sha256
        elif args.encoder_file is None:
            args.encoder_file = str(Path(args.output_dir) / "encoder.safetensors")
            args.encoder_sha256 = initial.write_encoder(Path(args.encoder_file))
        elif sha256(args.encoder_file) != initial.encoder_sha256:
            raise UserError(f"{where}: it stands on another encoder than {args.encoder_file}: leave out --encoder_file")
        if config.get("discriminator"):
            # Whoever trains has named the classes of the options, but not this one; the codec's are loaded already.
            resolve(discriminator.CHOICES, config["discriminator"], allow_import=args.allow_import)
        for choices in cls.class_choices_list:
            name, conf = choices.name, f"{choices.name}_conf"
            if config.get(name) and getattr(args, name) in (choices.default, config[name]):
                setattr(args, name, config[name])
                whole = copy.deepcopy(config.get(conf) or {})
                merge(whole, getattr(args, conf) or {})
                setattr(args, conf, whole)
        args.loudness = config.get("loudness") if args.loudness is None else args.loudness

    @classmethod
    def build_optimizers(cls, args: argparse.Namespace, model: CodecModel) -> list:
        """Optimiser 0 trains what is not frozen of the codec, and the heads of a distillation; 1 the discriminator."""
        taught = [] if model.distillation is None else [model.distillation]
        trained = [p for part in (model.codec, *taught) for p in part.parameters() if p.requires_grad]
        optimizers = [optim_classes[args.optim](trained, **args.optim_conf)]
        if model.discriminator is not None:
            optimizers.append(optim_classes[args.optim2](model.discriminator.parameters(), **args.optim2_conf))
        return optimizers
