# Copyright 2026 The hasrd authors
# Apache-2.0
"""w2v-BERT 2.0 of transformers as this package's frozen encoder.

All tensors must be there, of the right size, and none may be left over but those that only training needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypedDict

import msgspec
import torch
from torch import Tensor

from hasrd.encoder import CHOICES
from hasrd.errors import UserError
from hasrd.models.foreign import (
    CONFIG,
    PREPROCESSOR,
    Imported,
    build_imported,
    join_attention,
    read_config,
    read_model,
    read_preprocessor,
    under_our_names,
    without_defaults,
)

# Its model_type in transformers.
W2V_BERT = "wav2vec2-bert"
# Of config.json and preprocessor_config.json: what the classes do not know, by the only value that they take.
FIXED = {
    "model_type": W2V_BERT,
    "hidden_act": "swish",
    "position_embeddings_type": "relative_key",
    "add_adapter": False,
    "layer_norm_eps": 1e-5,
}
STRIDE = 2
# Kaldi's programs, and transformers, take samples as 16-bit integers, and a frame every 10 ms.
SCALE = 32768
FRAME_SHIFT = 160
# Our arguments, and their keys in config.json.
SIZES = {
    "attention_dim": "hidden_size",
    "attention_heads": "num_attention_heads",
    "linear_units": "intermediate_size",
    "num_blocks": "num_hidden_layers",
    "cnn_module_kernel": "conv_depthwise_kernel_size",
    "left": "left_max_position_embeddings",
    "right": "right_max_position_embeddings",
}
RENAMED = (
    (r"feature_projection\.layer_norm\.", "project_norm."),
    (r"feature_projection\.projection\.", "project."),
    (r"encoder\.layers\.(\d+)\.ffn1_layer_norm\.", r"conformer.blocks.\1.norm_macaron."),
    (r"encoder\.layers\.(\d+)\.ffn1\.intermediate_dense\.", r"conformer.blocks.\1.macaron.0."),
    (r"encoder\.layers\.(\d+)\.ffn1\.output_dense\.", r"conformer.blocks.\1.macaron.3."),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"conformer.blocks.\1.norm_attention."),
    (r"encoder\.layers\.(\d+)\.self_attn\.linear_(q|k|v|out)\.", r"conformer.blocks.\1.attention.\2."),
    (r"encoder\.layers\.(\d+)\.self_attn\.distance_embedding\.", r"conformer.blocks.\1.attention.position."),
    (r"encoder\.layers\.(\d+)\.conv_module\.layer_norm\.", r"conformer.blocks.\1.norm_conv."),
    (r"encoder\.layers\.(\d+)\.conv_module\.pointwise_conv1\.", r"conformer.blocks.\1.conv.expand."),
    (r"encoder\.layers\.(\d+)\.conv_module\.depthwise_conv\.", r"conformer.blocks.\1.conv.depthwise."),
    (r"encoder\.layers\.(\d+)\.conv_module\.depthwise_layer_norm\.", r"conformer.blocks.\1.conv.norm."),
    (r"encoder\.layers\.(\d+)\.conv_module\.pointwise_conv2\.", r"conformer.blocks.\1.conv.project."),
    (r"encoder\.layers\.(\d+)\.ffn2_layer_norm\.", r"conformer.blocks.\1.norm_feed_forward."),
    (r"encoder\.layers\.(\d+)\.ffn2\.intermediate_dense\.", r"conformer.blocks.\1.feed_forward.0."),
    (r"encoder\.layers\.(\d+)\.ffn2\.output_dense\.", r"conformer.blocks.\1.feed_forward.3."),
    (r"encoder\.layers\.(\d+)\.final_layer_norm\.", r"conformer.blocks.\1.norm_final."),
)

_Size = Annotated[int, msgspec.Meta(ge=1, le=2**16)]


class _Config(TypedDict, total=False):
    feature_projection_input_dim: _Size
    hidden_size: _Size
    num_attention_heads: _Size
    intermediate_size: _Size
    num_hidden_layers: _Size
    conv_depthwise_kernel_size: _Size
    left_max_position_embeddings: _Size
    right_max_position_embeddings: _Size


class _Preprocessor(TypedDict, total=False):
    num_mel_bins: _Size
    sampling_rate: _Size
    stride: _Size


def load_w2v_bert(folder: Path) -> Imported:
    """Load a folder with config.json and model.safetensors (or pytorch_model.bin).

    Args:
        folder: What preprocessor_config.json in it says of bins and sample rate is kept; without it, 80 and 16 kHz.

    Returns:
        Configuration as `save_encoder` takes it, and modules in eval mode.

    Raises:
        UserError: Not such a model, or tensors that are missing, left over or of another size.
    """
    config = read_config(folder, _Config, FIXED)
    preprocessor = read_preprocessor(folder, _Preprocessor)
    mels, sample_rate = preprocessor.get("num_mel_bins", 80), preprocessor.get("sampling_rate", 16000)
    if preprocessor.get("stride", STRIDE) != STRIDE:
        raise UserError(f"{folder / PREPROCESSOR}: stride is {preprocessor['stride']}: only {STRIDE} can be imported")
    size = config.get("feature_projection_input_dim", STRIDE * mels)
    if size != STRIDE * mels:
        raise UserError(
            f"{folder / CONFIG}: feature_projection_input_dim is {size}, not {STRIDE} frames of {mels} bins"
        )
    tensors, where = read_model(folder, "wav2vec2_bert.")
    found = under_our_names(tensors, RENAMED)
    join_attention(found, where)
    try:
        _fit(found, config.get("num_attention_heads", 16))
    except RuntimeError as error:
        raise UserError(f"{where}: its tensors don't fit each other: get it again") from error
    frontend = {"sample_rate": sample_rate, "frame_shift": FRAME_SHIFT, "num_mels": mels, "scale": SCALE}
    conf = without_defaults(CHOICES, "w2v_bert", {key: config.get(name) for key, name in SIZES.items()})
    return build_imported(("log_mel", frontend), "utterance", ("w2v_bert", conf), found, where)


def _fit(found: dict[str, Tensor], heads: int) -> None:
    """Bring the tensors of attention and convolutions to the form of our Conformer, in place.

    Our attention has the queries' bias as its two biases and the values' in the output's; the keys' has no effect. Our
    convolutions have biases, here zero.
    """
    for name in [name for name in found if name.endswith(".attention.qkv.bias")]:
        part = name.removesuffix(".qkv.bias")
        if f"{part}.out.weight" not in found or f"{part}.out.bias" not in found:
            continue  # which strict loading says
        queries, _, values = found.pop(name).chunk(3)
        for bias in ("content_bias", "position_bias"):
            found[f"{part}.{bias}"] = queries.reshape(heads, 1, -1)
        found[f"{part}.out.bias"] = found[f"{part}.out.bias"] + found[f"{part}.out.weight"] @ values
    for name in [name for name in found if name.endswith((".expand.weight", ".depthwise.weight", ".project.weight"))]:
        weight = found[name]
        found[name.replace(".weight", ".bias")] = torch.zeros(len(weight))
        if not name.endswith(".depthwise.weight"):
            found[name] = weight.squeeze(-1)
