# Copyright 2026 The hasrd authors
# Apache-2.0
"""The configuration of a model, wherever it stands: a YAML file, an experiment's folder, the file of an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hasrd.codec.build import ENCODER_KEYS, check_encoder
from hasrd.config import read_yaml
from hasrd.errors import UserError
from hasrd.models.weights import SAFETENSORS, read_config_of


def read_model_config(path: str | Path) -> dict[str, Any]:
    """Read the configuration that a file or folder holds.

    Args:
        path: YAML file, folder with a `config.yaml`, or file of an encoder.

    Raises:
        UserError: There is none, or it is damaged.
    """
    path = Path(path)
    if path.suffix == SAFETENSORS:
        return read_config_of(path)
    if path.is_dir() and not (path / "config.yaml").is_file():
        raise UserError(f"{path}/config.yaml: no such file: give a configuration or the folder of a trained model")
    return read_yaml(path / "config.yaml" if path.is_dir() else path)


def complete(
    config: dict[str, Any], encoder: dict[str, Any] | None, where: str, allow_import: bool = False
) -> dict[str, Any]:
    """Put the encoder that a codec stands on into its configuration.

    Args:
        config: Of a codec.
        encoder: Of that encoder, if it was named.
        where: Name of `encoder`.
        allow_import: See `hasrd.registry.resolve`.

    Raises:
        UserError: The codec's configuration states another encoder.
    """
    if encoder is None and not config.get("encoder") and config.get("encoder_file"):
        where = config["encoder_file"]
        encoder = read_model_config(where)
    if encoder is None:
        return config
    if config.get("encoder"):
        check_encoder(config, encoder, where, allow_import=allow_import)
    return {**config, **{key: encoder.get(key) for key in ENCODER_KEYS}, "frozen_encoder": True}
