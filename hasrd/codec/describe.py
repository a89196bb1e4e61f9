# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a configuration builds: parameters, rates, receptive fields and memory, without weights or data."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Mapping

from torch import nn

from hasrd import frontend, loss, quantizer
from hasrd.codec.build import (
    CODEC_DEFAULTS,
    build_modules,
    build_speech_encoder,
    construct,
    part_class,
    without_weights,
)
from hasrd.codec.codec import Codec
from hasrd.codec.receptive import Field, joins, looks_back, reaches
from hasrd.data.targets import read_facts
from hasrd.encoder.speech_encoder import SpeechEncoder
from hasrd.errors import UserError
from hasrd.frontend.normalize import GlobalNorm
from hasrd.metrics.bitrate import LOUDNESS_NOTE, bitrate


@dataclass
class Description:
    """A codec, a model of pre-training, or an encoder alone; what it does not have is None.

    Attributes:
        kind: "codec", "ssl" or "encoder".
        parameters: of "encoder" (with frontend and normalisation), "quantizer", "decoder", "discriminator", "head" (of
            the pre-training), "distillation" (heads of a codec's levels, their teachers not counted; where it has some)
            and "total", which leaves out the discriminator. In the training form: weight norm has a
            length and a direction for each kernel. Centroids of a k-means count in the quantizer.
        encoder_parameters: of each part of the encoder.
        sample_rate: in Hz.
        frame_rate: tokens a second of each codebook.
        bitrate_bps: bits a second of all codebooks.
        num_codebooks: of all streams together.
        codebook_sizes: of each codebook.
        codebook_strides: frames that each codebook's code stands for.
        streams: codebooks of each stream.
        strides: of the "frontend" in samples, of the layers of "encoder" and "decoder", and of a "token" in samples.
        min_samples: the shortest utterance that has a token.
        receptive_field: of "encoder": the "samples" and "ms" that one token depends on; of "decoder": those that one
            token has an effect on. None where there is no bound, and a "note" that says why.
        memory_bytes: "weights_float32"; "weights_bfloat16" (encoder and decoder in bfloat16, the rest in float32); of
            "training": "weights" with the discriminator, "gradients", "optimizer" (two moments; None where the
            optimiser is not of Adam's family). Activations are not in it.
        frozen_encoder: whether the encoder is trained before and stays as it is.
        notes: what else must be known to read the numbers.
    """

    kind: str
    parameters: dict[str, int | None]
    encoder_parameters: dict[str, int]
    sample_rate: int
    frame_rate: float
    bitrate_bps: float | None
    num_codebooks: int | None
    codebook_sizes: list[int] | None
    codebook_strides: list[int] | None
    streams: dict[str, int] | None
    strides: dict[str, Any]
    min_samples: int
    receptive_field: dict[str, dict[str, Any]]
    memory_bytes: dict[str, Any]
    frozen_encoder: bool = False
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as what JSON can hold."""
        return asdict(self)


def describe(config: Mapping[str, Any], allow_import: bool = False) -> Description:
    """Build the model of a configuration without memory for its weights, and look at it.

    Args:
        config: The keys of a YAML file: of a codec (it has a quantizer or a decoder), of a pre-training (it has a loss)
            or of an encoder alone. What stage 4 brings (layer and centroids) may be missing.
        allow_import: See `hasrd.registry.resolve`.

    Raises:
        UserError: A part is missing or unknown, or the parts don't fit together.
    """
    try:
        if config.get("quantizer") or config.get("decoder"):
            return _codec({**CODEC_DEFAULTS, **config}, allow_import)
        return _encoder(config, allow_import)
    except (TypeError, ValueError) as error:
        raise UserError(f"config: {' '.join(str(error).split())}") from error


def _codec(config: Mapping[str, Any], allow_import: bool) -> Description:
    speech_encoder = speech_encoder_of(config, allow_import)
    conf = config.get("quantizer_conf") or {}
    # The layer comes from stage 4 and changes no size.
    if part_class(config, "quantizer", quantizer.CHOICES, allow_import).needs_kmeans and "semantic_layer" not in conf:
        conf = {**conf, "semantic_layer": speech_encoder.num_layers - 1}
        config = {**config, "quantizer_conf": conf}
    codec = without_weights(lambda: Codec(**build_modules(config, speech_encoder, allow_import=allow_import)))
    sizes = codec.codebook_sizes
    reach = reaches(codec.decoder)
    facts = _encoder_facts(config, speech_encoder)
    facts |= {
        "kind": "codec",
        "bitrate_bps": bitrate(codec.frame_rate, sizes, codec.codebook_strides),
        "num_codebooks": codec.num_codebooks,
        "codebook_sizes": list(sizes),
        "codebook_strides": list(codec.codebook_strides),
        "streams": dict(Counter(codec.stream_names)),
    }
    facts["strides"]["decoder"] = list(reach.strides)
    extent, joined = facts["receptive_field"]["encoder"], joins(codec.quantizer)
    if joined and extent["samples"] is not None:
        extent["note"] = " ".join(filter(None, [extent["note"], f"and what the quantizer takes from the {joined}"]))
    facts["receptive_field"]["decoder"] = _extent(reach, reach.size, codec.sample_rate)
    modules = {"encoder": speech_encoder, "quantizer": codec.quantizer, "decoder": codec.decoder}
    notes = []
    if codec.loudness is not None:
        notes.append(f"speech is taken at {codec.loudness:g} LUFS; {LOUDNESS_NOTE}")
    if config.get("discriminator"):
        try:
            from hasrd import discriminator

            modules["discriminator"] = without_weights(
                lambda: construct(config, "discriminator", discriminator.CHOICES, allow_import=allow_import)
            )
        except (ImportError, UserError) as error:
            # Ours is made of ESPnet's parts, which a codec does without in use.
            if "espnet" not in str(error):
                raise
            notes.append("the discriminator is not counted: ESPnet, whose parts it is made of, is not installed")
    if config.get("distillation"):
        modules["distillation"] = _heads(config["distillation"], codec, notes, allow_import)
    return _description(config, facts, modules, notes)


def teacher_size(conf: Mapping[str, Any]) -> int | None:
    """Return D of the teacher of a level, which its configuration states or its targets' folder says; None: neither."""
    if conf.get("teacher_size"):
        return conf["teacher_size"]
    try:
        return read_facts(Path(conf["targets"][0]))["size"]
    except (UserError, KeyError, TypeError, IndexError):
        return None


def _heads(levels: Mapping[str, Mapping[str, Any]], codec: Codec, notes: list[str], allow_import: bool) -> nn.Module:
    """Build what a distillation trains beside the codec, of the levels whose teacher's size is known."""
    from hasrd.loss.distillation import build_distillation

    if not isinstance(levels, Mapping) or not all(isinstance(conf, Mapping) for conf in levels.values()):
        raise UserError("config: distillation: give each level its loss, weight, ...")
    sizes = {level: teacher_size(conf) for level, conf in levels.items()}
    if unknown := [level for level, size in sizes.items() if size is None]:
        notes.append(f"the distillation's head of {', '.join(unknown)} is not counted: state its teacher_size")
    known = {level: conf for level, conf in levels.items() if sizes[level] is not None}
    return build_distillation(known, codec.quantizer, sizes, allow_import=allow_import).losses


def _encoder(config: Mapping[str, Any], allow_import: bool) -> Description:
    speech_encoder = speech_encoder_of(config, allow_import)
    facts = _encoder_facts(config, speech_encoder)
    modules = {"encoder": speech_encoder}
    if config.get("loss"):
        # Not weightless: it draws a random projection. Its frozen tensors are state, not parameters.
        sizes = speech_encoder.frontend.output_size, speech_encoder.output_size
        modules["head"] = construct(config, "loss", loss.CHOICES, *sizes, allow_import=allow_import)
        facts["kind"] = "ssl"
    return _description(config, facts, modules, [])


def speech_encoder_of(config: Mapping[str, Any], allow_import: bool) -> SpeechEncoder:
    """Build what turns a wave into layers; a normalisation that lacks the statistics of its data is left out."""
    if not config.get("encoder"):
        raise UserError(
            "config: encoder not given: it stands on one that another configuration trains; name that one (--encoder), "
            "or state frontend, normalize and encoder"
        )
    if config.get("normalize") and not config.get("normalize_conf"):
        if part_class(config, "normalize", frontend.NORMALIZE_CHOICES, allow_import) is GlobalNorm:
            config = {**config, "normalize": None}
    return build_speech_encoder(config, allow_import=allow_import, weightless=True)


def _encoder_facts(config: Mapping[str, Any], speech_encoder: SpeechEncoder) -> dict[str, Any]:
    wave, trunk = speech_encoder.frontend, speech_encoder.encoder
    rate, token = speech_encoder.sample_rate, speech_encoder.frame_shift
    back = looks_back(trunk)
    samples = None if back.size is None else speech_encoder.span(back.size)
    extent = _extent(back, samples, rate)
    if samples is not None and config.get("normalize") and config["normalize"] != "global":
        extent["note"] = f"and what normalize: {config['normalize']} takes from the whole utterance"
    return {
        "kind": "encoder",
        "encoder_parameters": {name: _count(part) for name, part in trunk.named_children() if _count(part)},
        "sample_rate": rate,
        "frame_rate": rate / token,
        "bitrate_bps": None,
        "num_codebooks": None,
        "codebook_sizes": None,
        "codebook_strides": None,
        "streams": None,
        "strides": {"frontend": wave.frame_shift, "encoder": list(back.strides), "decoder": None, "token": token},
        "min_samples": speech_encoder.min_samples,
        "receptive_field": {"encoder": extent, "decoder": None},
    }


def _extent(found: Field, samples: int | None, sample_rate: int) -> dict[str, Any]:
    ms = None if samples is None else 1000 * samples / sample_rate
    return {"samples": samples, "ms": ms, "note": found.note or None}


def _description(
    config: Mapping[str, Any], facts: dict[str, Any], modules: Mapping[str, nn.Module], notes: list[str]
) -> Description:
    parameters: dict[str, int | None] = dict.fromkeys(("encoder", "quantizer", "decoder", "discriminator"))
    parameters |= {part: _count(module) for part, module in modules.items()}
    discriminator = parameters["discriminator"] or 0
    trained = sum(number for number in parameters.values() if number)
    frozen = bool(config.get("frozen_encoder") or config.get("encoder_file"))
    if frozen:
        trained -= parameters["encoder"]
    state = {part: sum(t.numel() for t in module.state_dict().values()) for part, module in modules.items()}
    if "quantizer" in modules:
        parameters["quantizer"] = modules["quantizer"].num_parameters
        if state["quantizer"] > parameters["quantizer"]:
            left_out = state["quantizer"] - parameters["quantizer"]
            notes.append(f"{left_out:,} values of the quantizer (running means) are state, not parameters")
    parameters["total"] = sum(number for part, number in parameters.items() if number and part != "discriminator")
    used = {part: number for part, number in state.items() if part not in ("discriminator", "distillation")}
    half = sum(number for part, number in used.items() if part in ("encoder", "decoder"))
    adam = str(config.get("optim", "adam")).startswith(("adam", "radam"))
    memory = {
        "weights_float32": 4 * sum(used.values()),
        "weights_bfloat16": 4 * sum(used.values()) - 2 * half,
        "training": {
            "weights": 4 * (sum(used.values()) + discriminator + state.get("distillation", 0)),
            "gradients": 4 * trained,
            "optimizer": 8 * trained if adam else None,
        },
    }
    return Description(parameters=parameters, memory_bytes=memory, frozen_encoder=frozen, notes=notes, **facts)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
