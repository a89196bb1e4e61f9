# Copyright 2026 The hasrd authors
# Apache-2.0
"""Frontends of ESPnet's ASR task that stay as they are: encoders of stage 3, and ESPnet's own around trained models."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import types
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

import humanfriendly
import torch
from espnet2.asr.frontend.abs_frontend import AbsFrontend
from torch import nn

from hasrd.encoder.frozen import Frozen
from hasrd.errors import UserError, first_line
from hasrd.models.checkpoint import load_encoder
from hasrd.models.importing import load_source
from hasrd.models.weights import read_torch

# Where ESPnet's frontends keep the trained model. The parts of a fused one are among its children.
TRAINED_PART = {
    "S3prlFrontend": "upstream",
    "ESPnetSSLFrontend": "upstream",
    "HuggingFaceFrontend": "encoder",
    "WhisperFrontend": "whisper",
}


def normalized(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Bring layers (B, U, D) to one scale, so that a weight says how much a layer is used: (B, U, L, D).

    Each frame gets mean 0 and variance 1, as with the `normalize` of S3PRL's featurizer.
    """
    return torch.stack([nn.functional.layer_norm(x, x.shape[-1:]) for x in layers], dim=2)


class Mixing(AbsFrontend):
    """Base of frontends with a learned convex combination of layers (HASRD Figure 2).

    Args:
        num_layers: L; 0 has none.
    """

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        if num_layers:
            self.layer_logits = nn.Parameter(torch.zeros(num_layers))

    @property
    def layer_weights(self) -> torch.Tensor:
        """The mix's weights (L,): positive, their sum is 1."""
        return self.layer_logits.softmax(dim=0)

    def mix(self, layers: torch.Tensor) -> torch.Tensor:
        """Normalised layers (B, U, L, D) to (B, U, D)."""
        return torch.einsum("l,buld->bud", self.layer_weights.to(layers.dtype), layers)


class UpstreamFrontend(Mixing):
    """Wave to one layer of a frozen encoder, or to a learned mix of all.

    Args:
        encoder_file: encoder.safetensors of stage 3; or the folder of an encoder that others trained, in transformers'
            layout or another one that `hasrd import-encoder` takes.
        encoder_sha256: The hash that the file must have; None takes any.
        layer: A layer's number (0 is the CNN), or None for the mix of all, each normalised.
        allow_import: Import classes that the file names by import path; what a configuration says of it is overruled.
        fs: The sample rate that ESPnet's recipes state ("16k"), which must be the encoder's; None is the encoder's.

    Raises:
        UserError: No such file, folder or layer, another sample rate, or a class that is not allowed.
    """

    def __init__(
        self,
        encoder_file: str,
        encoder_sha256: str | None = None,
        layer: int | None = None,
        allow_import: bool = False,
        fs: int | str | None = None,
    ):
        # What building draws is none of the probe's: it starts as the one on layers that were computed before.
        with torch.random.fork_rng(devices=[]):
            if Path(encoder_file).is_dir() and encoder_sha256 is None:
                _, speech_encoder = load_source(encoder_file)
            else:
                _, speech_encoder = load_encoder(encoder_file, encoder_sha256, allow_import=allow_import)
        rate = speech_encoder.sample_rate
        if fs is not None and humanfriendly.parse_size(str(fs)) != rate:
            raise UserError(f"frontend upstream: {encoder_file} takes speech at {rate} Hz, not at {fs}: resample it")
        super().__init__(speech_encoder.num_layers if layer is None else 0)
        self.layer = None if layer is None else speech_encoder.check_layer(layer, encoder_file)
        self.speech_encoder = speech_encoder.frozen()

    def output_size(self) -> int:
        """Size D of the encoder's layers."""
        return self.speech_encoder.output_size

    def forward(self, input: torch.Tensor, input_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Wave (B, N), lengths (B,) in samples, to (B, U, D) and lengths in tokens."""
        output = self.speech_encoder(input, input_lengths)
        layer = self.mix(normalized(output.layers)) if self.layer is None else output.layers[self.layer]
        return layer, output.lengths


class LayerMix(Mixing):
    """The same mix of layers that hasrd.bin.extract has computed once (`layers.scp`).

    Args:
        num_layers: L.
        size: D of a layer.
    """

    def __init__(self, num_layers: int, size: int):
        super().__init__(num_layers)
        self.size = size

    def output_size(self) -> int:
        """Size D of a layer."""
        return self.size

    def forward(self, input: torch.Tensor, input_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised layers, one after the other in each frame (B, U, L * D), to (B, U, D); the lengths stay."""
        return self.mix(input.unflatten(-1, (-1, self.size))), input_lengths


def freeze(frontend: nn.Module) -> None:
    """Fix the trained models in ESPnet's frontends: eval mode, no gradients, in no checkpoint; a mix of layers learns.

    ESPnet's `freeze_param` leaves dropout and masking on, and saves the model with every epoch.
    """
    for module in list(frontend.modules()):
        part = TRAINED_PART.get(type(module).__name__)
        if part is not None:
            setattr(module, part, Frozen(getattr(module, part)))
            # A second copy of the weights, for ESPnet's initialisation, which is over.
            vars(module).pop("pretrained_params", None)


def frozen_sha256(frontend: nn.Module) -> str | None:
    """SHA-256 over names and tensors of all that is frozen inside; None where nothing is."""
    digest, found = hashlib.sha256(), False
    for module in frontend.modules():
        if isinstance(module, Frozen):
            found = True
            for name, tensor in module.module.state_dict().items():
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest() if found else None


def check_frontend(name: str | None, conf: Mapping[str, Any]) -> None:
    """Find out before ESPnet builds a frontend what it would answer with a stack trace, or not at all.

    Raises:
        UserError: S3PRL can't be imported or has no such upstream; a file of an ESPnet SSL model that is missing, or
            that is more than tensors.
    """
    parts = [(name, conf)]
    if name == "fused":
        parts = [(part.get("frontend_type"), part) for part in conf.get("frontends") or []]
    for kind, given in parts:
        inner = given.get("frontend_conf") or {}
        if kind == "s3prl":
            _check_s3prl(inner.get("upstream"))
        elif kind == "espnet_ssl":
            _check_espnet_ssl(inner.get("path_or_url"))


def check_frames(frontend: nn.Module) -> None:
    """Refuse a frontend of ESPnet's whose lengths are wrong, which ESPnet itself would end with a failed assertion.

    Its `HuggingFaceFrontend` gives the samples of an utterance as its number of frames, where the model takes samples.

    Raises:
        UserError: Such a frontend, also inside a fused one; says what to take in its place.
    """
    for module in frontend.modules():
        if type(module).__name__ == "HuggingFaceFrontend" and "input_values" in module.processor.model_input_names:
            raise UserError(
                "frontend huggingface: ESPnet's takes the samples of this model for frames: take the frontend "
                "upstream, whose encoder_file may be the model's folder (conf/upstream/huggingface.yaml)"
            )


def _check_s3prl(upstream: str | None) -> None:
    try:
        with _removed_from_torchaudio():
            from s3prl.nn import S3PRLUpstream
    except Exception as error:  # whatever its 60 upstreams import, and of them any may fail
        raise UserError(f"frontend s3prl: S3PRL can't be imported ({first_line(error)}): pip install s3prl") from error
    names = S3PRLUpstream.available_names()
    if upstream not in names:
        some = ", ".join(sorted(other for other in names if str(upstream).partition("_")[0] in other)[:8])
        raise UserError(f"frontend s3prl: no upstream '{upstream}' in S3PRL" + (f": it has {some}" if some else ""))


def _check_espnet_ssl(path: str | None) -> None:
    if path is None:
        raise UserError("frontend espnet_ssl: frontend_conf has no path_or_url: give the .pth file of an SSL model")
    if not path.endswith((".pt", ".pth")):
        return
    for needed in (Path(path), Path(path).parent / "config.yaml"):
        if not needed.is_file():
            raise UserError(f"{needed}: no such file: frontend espnet_ssl needs an ESPnet SSL experiment")
    # ESPnet would unpickle anything.
    read_torch(path)


@contextlib.contextmanager
def _removed_from_torchaudio() -> Iterator[None]:
    """Give back for an import what torchaudio 2.9 has removed and S3PRL 0.4 names; its speech models don't call it."""
    import torchaudio

    stub = types.ModuleType("torchaudio.sox_effects")
    stub.apply_effects_tensor = None
    lacks_backend = not hasattr(torchaudio, "set_audio_backend")
    lacks_effects = not hasattr(torchaudio, "sox_effects")
    if lacks_backend:
        torchaudio.set_audio_backend = lambda *_: None
    if lacks_effects:
        sys.modules["torchaudio.sox_effects"] = stub
    try:
        yield
    finally:
        if lacks_backend:
            del torchaudio.set_audio_backend
        if lacks_effects:
            del sys.modules["torchaudio.sox_effects"]
