# Copyright 2026 The hasrd authors
# Apache-2.0
"""A trained codec as the start of another training (`hasrd codec-train --init_model`)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hasrd.codec.build import ENCODER_PARTS, build_speech_encoder
from hasrd.codec.codec import Codec
from hasrd.encoder.frozen import Frozen
from hasrd.errors import UserError
from hasrd.models.checkpoint import PACKAGE, PEER, read_experiment, save_encoder
from hasrd.models.load import load_model
from hasrd.models.package import read_discriminator
from hasrd.models.weights import load_strict, part_of, read_weights


@dataclass(frozen=True)
class InitialModel:
    """What another training starts from.

    Attributes:
        folder: The packed model or the experiment.
        config: Its configuration.
        codec: The codec.
        encoder_file: The frozen encoder that it stands on; None where it trained its own, or where the packed model
            has it.
        encoder_sha256: Hash of the frozen encoder's file; None where it trained its own.
        discriminator: The discriminator's tensors; None where there are none.
    """

    folder: Path
    config: dict[str, Any]
    codec: Codec
    encoder_file: Path | None
    encoder_sha256: str | None
    discriminator: dict[str, Tensor] | None

    def write_encoder(self, path: Path) -> str:
        """Write the frozen encoder to a file as of stage 3; return its SHA-256. Each time it is the same file.

        Of a packed model its weights are the same up to rounding: weight norm is put back.
        """
        # Whether its classes may be imported was asked when this model was loaded.
        encoder = build_speech_encoder(self.config, allow_import=True)
        tensors = {
            name: value for name, value in self.codec.state_dict().items() if name.partition(".")[0] in ENCODER_PARTS
        }
        load_strict(encoder, _with_weight_norm(encoder, tensors), f"--init_model {self.folder}")
        path.parent.mkdir(parents=True, exist_ok=True)
        return save_encoder(path, self.config, encoder)

    def put_into(self, codec: Codec, discriminator: nn.Module | None) -> None:
        """Give a model that is to be trained the tensors of this one.

        Where this one has no discriminator it says so: the other one then starts anew.

        Raises:
            UserError: A tensor is missing, or of another shape: the configurations differ.
        """
        where = f"--init_model {self.folder}"
        held = [name for name in ENCODER_PARTS if isinstance(getattr(codec, name), Frozen)]
        tensors = {name: value for name, value in self.codec.state_dict().items() if name.partition(".")[0] not in held}
        load_strict(codec, _with_weight_norm(codec, tensors), where)
        if discriminator is None:
            return
        if self.discriminator is None:
            advice = "hasrd pack --with_discriminator keeps it"
            print(f"note: {where}: it has no discriminator, which starts anew ({advice})", file=sys.stderr)
            return
        load_strict(discriminator, self.discriminator, f"{where}: discriminator")


def read_initial(folder: str | Path, *, allow_import: bool = False) -> InitialModel:
    """Read a packed model or the experiment of a trained codec; args and errors as of `load_model`."""
    model = load_model(folder, allow_import=allow_import)
    folder = Path(folder)
    if model.kind == PEER:
        raise UserError(f"--init_model {folder}: a codec of another package cannot be trained here")
    assert isinstance(model.codec, Codec)
    if model.kind == PACKAGE:
        discriminator = read_discriminator(folder, model.config)
        encoder_sha256 = (model.config.get("source") or {}).get("encoder_sha256")
        return InitialModel(folder, model.config, model.codec, None, encoder_sha256, discriminator)
    experiment = read_experiment(folder)
    discriminator = part_of(read_weights(experiment.weights), "discriminator") or None
    encoder = experiment.encoder, model.config.get("encoder_sha256")
    return InitialModel(folder, model.config, model.codec, *encoder, discriminator)


@torch.no_grad()
def _with_weight_norm(module: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name tensors as a module in its training form has them: a plain weight becomes weight norm's two.

    Where the sizes differ it stays, so that loading says so.
    """
    tensors = dict(tensors)
    for name, part in module.named_modules():
        for key in getattr(part, "parametrizations", {}):
            folded = f"{name}.{key}"
            if folded in tensors and tensors[folded].shape == getattr(part, key).shape:
                # The parametrization itself takes it apart.
                setattr(part, key, tensors.pop(folded))
                for original, value in part.parametrizations[key].state_dict().items():
                    tensors[f"{name}.parametrizations.{key}.{original}"] = value.clone()
    return tensors
