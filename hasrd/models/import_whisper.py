# Copyright 2026 The hasrd authors
# Apache-2.0
"""The encoder of a trained Whisper, of transformers or CTranslate2, as this package's frozen encoder.

All tensors of the encoder must be there, of the right size, and none may be left over; the decoder's are not looked at.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from hasrd.config import read_json
from hasrd.encoder.whisper import sinusoids
from hasrd.errors import UserError
from hasrd.models.foreign import CONFIG, Imported, build_imported, join_attention, read_model, under_our_names

# The names of transformers and of CTranslate2 before a block's part, and ours.
_TRANSFORMERS = (
    (r"layers\.(\d+)\.self_attn\.([qkv])_proj\.", r"blocks.\1.\2."),
    (r"layers\.(\d+)\.self_attn\.out_proj\.", r"blocks.\1.out."),
    (r"layers\.(\d+)\.self_attn_layer_norm\.", r"blocks.\1.norm_attention."),
    (r"layers\.(\d+)\.fc1\.", r"blocks.\1.expand."),
    (r"layers\.(\d+)\.fc2\.", r"blocks.\1.contract."),
    (r"layers\.(\d+)\.final_layer_norm\.", r"blocks.\1.norm_feed_forward."),
    (r"layer_norm\.", "norm."),
)
_CTRANSLATE2 = (
    (r"layer_(\d+)/self_attention/linear_0/", r"blocks.\1.qkv."),
    (r"layer_(\d+)/self_attention/linear_1/", r"blocks.\1.out."),
    (r"layer_(\d+)/self_attention/layer_norm/", r"blocks.\1.norm_attention."),
    (r"layer_(\d+)/ffn/linear_0/", r"blocks.\1.expand."),
    (r"layer_(\d+)/ffn/linear_1/", r"blocks.\1.contract."),
    (r"layer_(\d+)/ffn/layer_norm/", r"blocks.\1.norm_feed_forward."),
    (r"layer_norm/", "norm."),
    (r"(conv\d)/", r"\1."),
)
# By the number that CTranslate2 writes.
_TYPES = {0: torch.float32, 4: torch.float16, 5: torch.bfloat16}
_SIZES = (4, 1, 2, 4, 2, 2)
# Positions are computed for any length: those of the file must be the same, but for the rounding of float16.
POSITION_TOLERANCE = 2e-3


def load_whisper(folder: str | Path) -> Imported:
    """Load the encoder of a Whisper.

    Args:
        folder: Of transformers (config.json with model_type whisper, model.safetensors or pytorch_model.bin) or of
            CTranslate2 (model.bin; not in 8 bits).

    Returns:
        Configuration as `save_encoder` takes it, and modules in eval mode.

    Raises:
        UserError: No such model, or tensors that are missing, left over or of another size.
    """
    folder = Path(folder)
    if (folder / "model.bin").is_file():
        tensors, heads = read_ctranslate2(folder / "model.bin")
        where = folder / "model.bin"
        found = _encoder(tensors, "encoder/", _CTRANSLATE2)
        found = {name.replace("gamma", "weight").replace("beta", "bias"): tensor for name, tensor in found.items()}
        positions = found.pop("position_encodings/encodings", None)
    else:
        config = read_json(folder / CONFIG, advice="give the folder of a Whisper model")
        if config.get("model_type") != "whisper":
            raise UserError(f"{folder / CONFIG}: model_type is {config.get('model_type')}, not whisper")
        heads = config.get("encoder_attention_heads")
        tensors, where = read_model(folder, "model.")
        found = _encoder(tensors, "encoder.", _TRANSFORMERS)
        # Whisper's keys have no bias.
        for name in [name for name in found if re.fullmatch(r"blocks\.\d+\.q\.bias", name)]:
            found.setdefault(name.replace(".q.", ".k."), torch.zeros_like(found[name]))
        join_attention(found, where)
        positions = found.pop("embed_positions.weight", None)
    for name in ("conv1.weight", "conv2.weight"):
        if name not in found or found[name].dim() != 3:
            raise UserError(f"{where}: no Whisper: it has no encoder's {name}")
    size, mels, _ = found["conv1.weight"].shape
    if not isinstance(heads, int) or heads < 1:
        raise UserError(f"{where}: does not say how many attention heads the encoder has")
    _check_positions(positions, size, where)
    conf = {
        "attention_dim": size,
        "attention_heads": heads,
        "num_blocks": len({name.split(".")[1] for name in found if name.startswith("blocks.")}),
    }
    return build_imported(("whisper_log_mel", {"num_mels": mels}), None, ("whisper", conf), found, where)


def _encoder(tensors: dict[str, Tensor], prefix: str, patterns: tuple[tuple[str, str], ...]) -> dict[str, Tensor]:
    """Return the encoder's tensors (float32), those whose names start with `prefix`, under our names."""
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return under_our_names(own, patterns)


def _check_positions(positions: Tensor | None, size: int, where: Path) -> None:
    if positions is not None:
        expected = sinusoids(len(positions), size)
        if positions.shape != expected.shape or (positions - expected).abs().max() > POSITION_TOLERANCE:
            raise UserError(f"{where}: its positions are not Whisper's sinusoids: it can't be imported")


def read_ctranslate2(path: Path) -> tuple[dict[str, Tensor], int]:
    """Read the tensors of the encoder of a CTranslate2 model (model.bin, version 6), and its attention heads.

    Raises:
        UserError: Not such a file, cut off, or quantized to 8 bits.
    """
    tensors: dict[str, Tensor] = {}
    heads = 0
    total = path.stat().st_size
    with open(path, "rb") as file:
        try:
            if _unpack(file, "I") != 6 or not _string(file).startswith("WhisperSpec"):
                raise UserError(f"{path}: not a Whisper model of CTranslate2 (version 6): convert it again")
            _unpack(file, "I")  # revision
            for _ in range(_unpack(file, "I")):
                name = _string(file)
                shape = [_unpack(file, "I") for _ in range(_unpack(file, "B"))]
                kind, size = _unpack(file, "B"), _unpack(file, "I")
                if kind >= len(_SIZES) or size > total - file.tell():
                    raise struct.error("a tensor larger than the file")
                if not name.startswith("encoder/"):
                    file.seek(size, 1)
                    continue
                content = file.read(size)
                if name == "encoder/num_heads":
                    heads = int.from_bytes(content, "little")
                    continue
                if kind not in _TYPES:
                    raise UserError(f"{path}: {name} is quantized: give a model in float16 or float32")
                if size != torch.Size(shape).numel() * _SIZES[kind]:
                    raise struct.error(f"the size of {name}")
                tensors[name] = torch.frombuffer(bytearray(content), dtype=_TYPES[kind]).reshape(shape)
        except (struct.error, UnicodeDecodeError, ValueError, OverflowError) as error:
            raise UserError(f"{path}: damaged or not a CTranslate2 model ({error}): get it again") from None
    return tensors, heads


def _unpack(file: BinaryIO, kind: str) -> int:
    return struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))[0]


def _string(file: BinaryIO) -> str:
    length = _unpack(file, "H")
    return file.read(length)[:-1].decode("utf-8")
