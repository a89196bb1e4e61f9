# Copyright 2026 The hasrd authors
# Apache-2.0
"""wav2vec 2.0, HuBERT, WavLM and data2vec, of transformers, torchaudio and ESPnet, as this package's frozen encoders.

Their tensors differ in names alone. All of them must be there, of the right size, and none may be left over but those
that only training needs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Mapping, NamedTuple, TypedDict

import msgspec
from torch import Tensor

from hasrd.config import read_json, read_yaml
from hasrd.encoder import CHOICES
from hasrd.encoder.data2vec import POSITION_LAYERS
from hasrd.encoder.wav2vec2 import CONV_LAYERS
from hasrd.encoder.wavlm import MAX_DISTANCE, NUM_BUCKETS
from hasrd.errors import UserError
from hasrd.models.foreign import (
    CONFIG,
    Imported,
    build_imported,
    join_attention,
    read_config,
    read_model,
    read_preprocessor,
    under_our_names,
    without_defaults,
)
from hasrd.models.weights import read_weights

Tensors = Mapping[str, Tensor]

# Masks, and the heads of pre-training and of fine-tuning, of torchaudio and ESPnet.
TRAINING_ONLY = re.compile(r"encoder\.global_step|(mask_generator|logit_generator|aux)\..*")
# What stands before the names in pre-training models of torchaudio and ESPnet.
PREFIX = re.compile(r"^(encoder\.hubert_pretrain_model\.)?(wav2vec2\.)?")
# Names of torchaudio and Hugging Face (which leaves out "encoder." before the projection and "transformer."), and ours.
RENAMED = (
    (r"feature_extractor\.conv_layers\.(\d+)\.conv\.", r"convs.\1.conv."),
    (r"feature_extractor\.conv_layers\.(\d+)\.layer_norm\.", r"convs.\1.norm."),
    (r"(?:encoder\.)?feature_projection\.layer_norm\.", "project_norm."),
    (r"(?:encoder\.)?feature_projection\.projection\.", "project."),
    (r"encoder\.(?:transformer\.)?pos_conv_embed\.conv\.weight_g", "position.parametrizations.weight.original0"),
    (r"encoder\.(?:transformer\.)?pos_conv_embed\.conv\.weight_v", "position.parametrizations.weight.original1"),
    (r"encoder\.(?:transformer\.)?pos_conv_embed\.conv\.", "position."),
    (r"encoder\.pos_conv_embed\.layers\.(\d+)\.conv\.", r"position.\1."),
    (r"encoder\.(?:transformer\.)?layer_norm\.", "norm."),
    (r"encoder\.(?:transformer\.)?layers\.(\d+)\.attention\.([qkv])_proj\.", r"blocks.\1.\2."),
    (r"encoder\.(?:transformer\.)?layers\.(\d+)\.attention\.out_proj\.", r"blocks.\1.out."),
    (r"encoder\.layers\.(\d+)\.attention\.gru_rel_pos_linear\.", r"blocks.\1.gates."),
    (r"encoder\.layers\.(\d+)\.attention\.gru_rel_pos_const$", r"blocks.\1.gate_scale"),
    (r"encoder\.layers\.0\.attention\.rel_attn_embed\.", "distances."),
    (r"encoder\.(?:transformer\.)?layers\.(\d+)\.layer_norm\.", r"blocks.\1.norm_attention."),
    (r"encoder\.(?:transformer\.)?layers\.(\d+)\.feed_forward\.intermediate_dense\.", r"blocks.\1.expand."),
    (r"encoder\.(?:transformer\.)?layers\.(\d+)\.feed_forward\.output_dense\.", r"blocks.\1.contract."),
    (r"encoder\.(?:transformer\.)?layers\.(\d+)\.final_layer_norm\.", r"blocks.\1.norm_feed_forward."),
)
# Of config.json: what the classes do not know, by the only value that they take.
FIXED = {
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "feat_proj_layer_norm": True,
    "conv_pos_batch_norm": False,
    "adapter_attn_dim": None,
    "add_adapter": False,
    "layer_norm_eps": 1e-5,
}
# Our arguments, and their keys in config.json.
SIZES = {
    "conv_norm": "feat_extract_norm",
    "conv_bias": "conv_bias",
    "attention_dim": "hidden_size",
    "attention_heads": "num_attention_heads",
    "linear_units": "intermediate_size",
    "num_blocks": "num_hidden_layers",
    "position_kernel": "num_conv_pos_embeddings",
    "position_groups": "num_conv_pos_embedding_groups",
    "norm_first": "do_stable_layer_norm",
}


class Kind(NamedTuple):
    """A model of transformers: our encoder, its prefix there, what is fixed, and our arguments by their keys."""

    encoder: str
    prefix: str
    fixed: Mapping[str, Any]
    sizes: Mapping[str, str]


# By model_type.
KINDS = {
    "wav2vec2": Kind("wav2vec2", "wav2vec2.", FIXED, SIZES),
    "hubert": Kind("hubert", "hubert.", FIXED, SIZES),
    "wavlm": Kind("wavlm", "wavlm.", FIXED | {"num_buckets": NUM_BUCKETS, "max_bucket_distance": MAX_DISTANCE}, SIZES),
    "data2vec-audio": Kind(
        "data2vec",
        "data2vec_audio.",
        FIXED | {"num_conv_pos_embeddings": POSITION_LAYERS},
        # It has one place for the norms, and its key for the kernel is another one.
        {
            **{key: name for key, name in SIZES.items() if key not in ("conv_norm", "norm_first")},
            "position_kernel": "conv_pos_kernel_size",
        },
    ),
}

_Size = Annotated[int, msgspec.Meta(ge=1, le=2**16)]


class _Config(TypedDict, total=False):
    conv_dim: list[_Size]
    conv_kernel: list[_Size]
    conv_stride: list[_Size]
    conv_bias: bool
    feat_extract_norm: Literal["group", "layer"]
    hidden_size: _Size
    num_attention_heads: _Size
    intermediate_size: _Size
    num_hidden_layers: _Size
    num_conv_pos_embeddings: _Size
    num_conv_pos_embedding_groups: _Size
    conv_pos_kernel_size: _Size
    do_stable_layer_norm: bool


class _Preprocessor(TypedDict, total=False):
    do_normalize: bool
    sampling_rate: int


def load_wav2vec2(source: str, model_file: str) -> Imported:
    """Load one of these models, or an ESPnet SSL model: (configuration, modules).

    Args:
        source: A pipeline of torchaudio (HUBERT_BASE, WAV2VEC2_BASE; fetched), a file with the tensors of a HuBERT of
            torchaudio, a folder of transformers (config.json) or an ESPnet experiment (config.yaml).
        model_file: Name of an ESPnet experiment's weights.

    Raises:
        UserError: No such model, or one that can't be imported.
    """
    path = Path(source)
    if (path / CONFIG).is_file():
        return from_transformers(path)
    if (path / "config.yaml").is_file():
        # The keys of espnet2.tasks.ssl; espnet2.tasks.hubert has neither.
        if {"loss", "util"} <= read_yaml(path / "config.yaml").keys():
            from hasrd.espnet.ssl_encoder import import_ssl

            return import_ssl(path, model_file)
        return from_espnet(path, model_file)
    if path.is_file():
        return from_file(path)
    if re.fullmatch("(HUBERT|WAV2VEC2)_[A-Z0-9_]+", source):
        return _from_torchaudio(source)
    raise UserError(
        f"{source}: no such model: give a folder of transformers (with config.json), a torchaudio pipeline "
        "(HUBERT_BASE), a file with a torchaudio HuBERT's tensors or an ESPnet experiment (with config.yaml)"
    )


def _from_torchaudio(name: str) -> Imported:
    try:
        import torchaudio
    except ImportError as error:
        raise UserError(f"{name}: torchaudio is not installed ({error}): install it, or give a file") from error
    bundle = getattr(torchaudio.pipelines, name, None)
    if bundle is None:
        raise UserError(f"{name}: torchaudio {torchaudio.__version__} has no pipeline of this name")
    try:
        model = bundle.get_model()
    except OSError as error:
        raise UserError(f"{name}: torchaudio could not fetch it ({error}): fetch its file and give that") from error
    # Models that want normalised waveforms come wrapped.
    normalize = getattr(model, "normalize_waveform", False)
    encoder = name.partition("_")[0].lower()
    return from_tensors(getattr(model, "model", model).state_dict(), encoder, None, name, normalize)


def from_file(path: str | Path) -> Imported:
    """Load the tensors of a torchaudio model (`torch.save(model.state_dict(), path)`), HuBERT's or its pre-training's.

    They don't say all: the strides are HuBERT's, and heads and the place of the norms those of the published sizes.

    Returns:
        Configuration as `save_encoder` takes it, and modules in eval mode.

    Raises:
        UserError: Not such a file, or tensors that are missing, left over or of another size.
    """
    return from_tensors(read_weights(path), "hubert", None, str(path))


def from_transformers(folder: Path) -> Imported:
    """Load a folder with config.json and model.safetensors (or pytorch_model.bin).

    What preprocessor_config.json says of normalisation and of the sample rate is kept; without it, none and 16 kHz.

    Returns and raises as `from_file`.
    """
    name = read_json(folder / CONFIG).get("model_type")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UserError(f"{folder / CONFIG}: model_type is {name!r}: only {', '.join(KINDS)} can be imported")
    config = read_config(folder, _Config, kind.fixed)
    shapes = (config.get(f"conv_{key}", own) for key, own in zip(("dim", "kernel", "stride"), zip(*CONV_LAYERS)))
    known = {
        "conv_layers": [list(layer) for layer in zip(*shapes)],
        **{key: config.get(name) for key, name in kind.sizes.items()},
    }
    preprocessor = read_preprocessor(folder, _Preprocessor)
    normalize = bool(preprocessor) and preprocessor.get("do_normalize", True)
    tensors, where = read_model(folder, kind.prefix)
    return from_tensors(tensors, kind.encoder, known, str(where), normalize, preprocessor.get("sampling_rate", 16000))


def from_espnet(folder: Path, model_file: str) -> Imported:
    """Load a HuBERT that ESPnet's `hubert` task pre-trained (its encoder `torchaudio_hubert`).

    Args:
        folder: With config.yaml.
        model_file: Name of the weights inside it.

    Returns and raises as `from_file`.
    """
    config = read_yaml(folder / "config.yaml")
    where = folder / "config.yaml"
    if config.get("encoder") != "torchaudio_hubert":
        raise UserError(f"{where}: encoder is {config.get('encoder')}: only torchaudio_hubert can be imported")
    for part in ("frontend", "preencoder"):
        if config.get(part):
            raise UserError(f"{where}: {part} is {config[part]}: only a HuBERT on the waveform itself can be imported")
    conf = config.get("encoder_conf") or {}
    conv_norm = conf.get("extractor_mode", "group_norm").removesuffix("_norm")
    known = {
        "conv_layers": conf.get("extractor_conv_layer_config"),
        "conv_norm": conv_norm,
        "conv_bias": conf.get("extractor_conv_bias"),
        "attention_dim": conf.get("encoder_embed_dim"),
        "attention_heads": conf.get("encoder_num_heads"),
        "linear_units": conf.get("encoder_ff_interm_features"),
        "num_blocks": conf.get("encoder_num_layers"),
        "position_kernel": conf.get("encoder_pos_conv_kernel"),
        "position_groups": conf.get("encoder_pos_conv_groups"),
        "norm_first": conf.get("encoder_layer_norm_first"),
    }
    normalize = False
    if config.get("normalize"):
        norm = {"norm_means": True, "norm_vars": False, **(config.get("normalize_conf") or {})}
        normalize = config["normalize"] == "utterance_mvn" and norm["norm_means"] and norm["norm_vars"]
        # A group norm takes out the mean anyhow.
        no_matter = not norm["norm_vars"] and conv_norm == "group"
        if not normalize and not (config["normalize"] == "utterance_mvn" and no_matter):
            raise UserError(f"{where}: normalize is {config['normalize']}: only utterance_mvn with norm_vars: true")
    return from_tensors(read_weights(folder / model_file), "hubert", known, str(folder / model_file), normalize)


def from_tensors(
    tensors: Tensors,
    encoder: str,
    known: Mapping[str, Any] | None,
    where: str,
    normalize: bool = False,
    sample_rate: int = 16000,
) -> Imported:
    """Build the encoder that tensors belong to, and load them.

    Args:
        tensors: Under the names of torchaudio or transformers.
        encoder: Short name of the class.
        known: Its arguments, None for its defaults; without any, see `configuration`.
        where: What they are of, for errors.
        normalize: Whether the model wants each utterance at mean 0 and variance 1.
        sample_rate: In Hz.

    Returns and raises as `from_file`.
    """
    tensors = rename(tensors, where)
    known = configuration(tensors, where) if known is None else dict(known)
    if known.get("conv_layers") == [list(layer) for layer in CONV_LAYERS]:
        del known["conv_layers"]
    ours = (encoder, without_defaults(CHOICES, encoder, known))
    norm = "utterance" if normalize else None
    return build_imported(("raw", {"sample_rate": sample_rate}), norm, ours, tensors, where)


def rename(tensors: Tensors, where: str) -> dict[str, Tensor]:
    """Return the tensors (float32) under our names, queries, keys and values as one, without those of training."""
    own = {PREFIX.sub("", name): tensor for name, tensor in tensors.items()}
    found = under_our_names({name: own[name] for name in own if not TRAINING_ONLY.fullmatch(name)}, RENAMED)
    found |= {name: tensor.flatten() for name, tensor in found.items() if name.endswith(".gate_scale")}
    join_attention(found, where)
    return found


def configuration(tensors: Tensors, where: str) -> dict[str, Any]:
    """Read the arguments of a wav2vec 2.0 or HuBERT off its tensors (under our names), the rest off the published ones.

    Strides are those of all of them; a head has 64 channels, or 80 where there are 1280; norms come first where each
    convolution has one.
    """

    def count(part: str) -> int:
        return len({name.split(".")[1] for name in tensors if name.startswith(f"{part}.")})

    convs = [f"convs.{index}.conv.weight" for index in range(count("convs"))]
    position = "position.parametrizations.weight.original1"
    for name in (*convs, "project.weight", position, "blocks.0.expand.weight"):
        if name not in tensors:
            raise UserError(f"{where}: no wav2vec 2.0 or HuBERT: none of its tensors would be {name}")
    shapes = [tensors[name].shape for name in convs]
    kernels = [shape[2] for shape in shapes]
    if kernels != [kernel for _, kernel, _ in CONV_LAYERS]:
        raise UserError(f"{where}: no wav2vec 2.0 or HuBERT: its convolutions have kernels {kernels}")
    dim, every = len(tensors["project.weight"]), "convs.1.norm.weight" in tensors
    return {
        "conv_layers": [[shape[0], kernel, stride] for shape, (_, kernel, stride) in zip(shapes, CONV_LAYERS)],
        "conv_norm": "layer" if every else "group",
        "conv_bias": "convs.0.conv.bias" in tensors,
        "attention_dim": dim,
        "attention_heads": {1280: 16}.get(dim, dim // 64),
        "linear_units": len(tensors["blocks.0.expand.weight"]),
        "num_blocks": count("blocks"),
        "position_kernel": tensors[position].shape[2],
        "position_groups": dim // tensors[position].shape[1],
        "norm_first": every,
    }
