# Copyright 2026 The hasrd authors
# Apache-2.0
"""Models of ESPnet's SSL task (`espnet2.tasks.ssl`) as encoders: their own modules, so ESPnet is needed to run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

import torch
from torch import Tensor, nn

from hasrd.config import read_yaml
from hasrd.encoder.output import EncoderOutput
from hasrd.encoder.standardize import StandardizedEncoder
from hasrd.encoder.wav2vec2 import window_and_stride
from hasrd.errors import UserError
from hasrd.models.foreign import Imported, build_imported
from hasrd.models.weights import read_weights
from hasrd.registry import resolve

# ESPnet's names, as its task knows them; its own table imports the whole of its training with them.
CHOICES = {
    "wav2vec_cnn": "espnet2.asr.frontend.cnn:CNNFrontend",
    "utterance_mvn": "espnet2.layers.utterance_mvn:UtteranceMVN",
    "linear": "espnet2.asr.preencoder.linear:LinearProjection",
    "transformer": "espnet2.asr.encoder.transformer_encoder:TransformerEncoder",
    "conformer": "espnet2.asr.encoder.conformer_encoder:ConformerEncoder",
    "e_branchformer": "espnet2.asr.encoder.e_branchformer_encoder:EBranchformerEncoder",
}
PARTS = ("frontend", "normalize", "preencoder", "encoder")
# Masks and heads of pre-training, and its step counter.
TRAINING_ONLY = ("losses.", "util_modules.", "global_step")


class ESPnetSSLEncoder(StandardizedEncoder):
    """Frontend, normalisation, pre-encoder and encoder of ESPnet's SSL model; returns what enters the first block of
    its encoder, and each block's output, the last one normalised where the encoder does so.

    Utterances of different length are computed one after the other: ESPnet's group norm, and its normalisation of the
    waveform over the whole batch, would let padding and neighbours change an utterance's output.

    Args:
        input_size: 1, the samples of the raw frontend.
        frontend_conf: of the convolutions (`wav2vec_cnn`), as the next arguments in ESPnet's words.
        encoder: transformer, conformer or e_branchformer.
        encoder_conf: its arguments; its input layer must keep the frame rate.
        preencoder: linear, or None.
        preencoder_conf: its arguments.
        normalize: utterance_mvn, or None.
        normalize_conf: its arguments.
        standardize: See `StandardizedEncoder`.

    Raises:
        UserError: A part of another name, or ESPnet is not installed.
    """

    def __init__(
        self,
        input_size: int,
        frontend_conf: Mapping[str, Any],
        encoder: str,
        encoder_conf: Mapping[str, Any],
        preencoder: str | None = None,
        preencoder_conf: Mapping[str, Any] | None = None,
        normalize: str | None = None,
        normalize_conf: Mapping[str, Any] | None = None,
        standardize: bool = False,
    ) -> None:
        parts: dict[str, nn.Module | None] = {"normalize": None, "preencoder": None}
        parts["frontend"] = resolve(CHOICES, "wav2vec_cnn", allow_import=False)(**frontend_conf)
        if normalize is not None:
            parts["normalize"] = resolve(CHOICES, normalize, allow_import=False)(**(normalize_conf or {}))
        size = parts["frontend"].output_size()
        if preencoder is not None:
            conf = {"input_size": size, **(preencoder_conf or {})}
            parts["preencoder"] = resolve(CHOICES, preencoder, allow_import=False)(**conf)
            size = parts["preencoder"].output_size()
        parts["encoder"] = resolve(CHOICES, encoder, allow_import=False)(**{"input_size": size, **encoder_conf})
        super().__init__(parts["encoder"].output_size(), len(parts["encoder"].encoders) + 1, standardize)
        for name, part in parts.items():
            setattr(self, name, part)
        layers = [(layer.kernel_size, layer.stride) for layer in self.frontend.layers]
        self.input_window, self.stride = window_and_stride(layers)

    def forward(self, feats: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode samples feats (B, N, 1) into num_layers layers (B, num_tokens(N), D) of the module's type."""
        dtype = next(self.parameters()).dtype
        tokens = self.num_tokens(lengths)
        shape = (self.num_layers, len(feats), self.num_tokens(feats.shape[1]), self.output_size)
        layers = feats.new_zeros(shape, dtype=dtype)
        for length in lengths[tokens > 0].unique().tolist():
            same = (lengths == length).nonzero()[:, 0]
            for rows in same.split(1) if self.frontend.normalize_audio else (same,):
                output = self._layers(feats[rows, :length, 0].to(dtype), lengths[rows])
                layers[:, rows, : output.shape[2]] = output
        return self.output(layers.unbind(), tokens, layers.shape[2])

    def _layers(self, wave: Tensor, lengths: Tensor) -> Tensor:
        """Return the layers (num_layers, B, U, D) of utterances of one length."""
        x, lengths = self.frontend(wave, lengths)
        for part in (self.normalize, self.preencoder):
            if part is not None:
                x, lengths = part(x, lengths)
        entered: list[Tensor] = []

        def note(block: nn.Module, args: tuple) -> None:
            # With relative positions these go along.
            entered.append(args[0][0] if isinstance(args[0], tuple) else args[0])

        hook = self.encoder.encoders[0].register_forward_pre_hook(note)
        try:
            (last, blocks), _, _ = self.encoder(x, lengths, return_all_hs=True)
        finally:
            hook.remove()
        return torch.stack([entered[0], *blocks[:-1], last])


def import_ssl(folder: Path, model_file: str) -> Imported:
    """Load an experiment of ESPnet's SSL task.

    Args:
        folder: With config.yaml.
        model_file: Name of the weights inside it.

    Returns:
        Configuration as `save_encoder` takes it, and modules in eval mode.

    Raises:
        UserError: A model that can't be imported, or tensors that are missing, left over or of another size.
    """
    where = folder / "config.yaml"
    config = read_yaml(where)
    if config.get("input_size") is not None or config.get("frontend") != "wav2vec_cnn":
        raise UserError(f"{where}: frontend is {config.get('frontend')}: only wav2vec_cnn can be imported")
    for part in PARTS:
        if config.get(part) and config[part] not in CHOICES:
            raise UserError(f"{where}: {part} is {config[part]}, which can't be imported")
    conf = {key: config[key] for part in PARTS for key in (part, f"{part}_conf") if config.get(key)}
    del conf["frontend"]
    inner = config.get("encoder_conf") or {}
    if inner.get("input_layer", "conv2d") not in (None, "linear", "wav2vec"):
        raise UserError(f"{where}: input_layer is {inner.get('input_layer', 'conv2d')}, which changes the frame rate")
    if inner.get("interctc_layer_idx"):
        raise UserError(f"{where}: interctc_layer_idx is given: ESPnet then returns those layers alone")
    sample_rate = int(str((config.get("frontend_conf") or {}).get("fs", 16000)).replace("k", "000"))
    tensors = read_weights(folder / model_file)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(TRAINING_ONLY)}
    raw = ("raw", {"sample_rate": sample_rate})
    return build_imported(raw, None, ("espnet_ssl", conf), kept, folder / model_file)
