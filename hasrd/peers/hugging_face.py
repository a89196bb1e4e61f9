# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codecs of the package transformers, from folders that `save_pretrained` wrote.

What its classes (EnCodec, Mimi, DAC, X-Codec, X-codec2, ...) have in common: `encode` returns `audio_codes`
(B, M, T), `decode` takes them, and all that is quantized goes through `quantizer`.
"""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hasrd.config import read_json
from hasrd.errors import UserError, first_line
from hasrd.peers.peer import Peer, package
from hasrd.progress import quiet_transformers

# Codebooks that are kept where nothing is said: 6 kbps of EnCodec's 1.5 to 24, the published model's default; 8 of 32
# as Mimi's authors use it for speech (1.1 kbps).
DEFAULT_CODEBOOKS = {"encodec": 8, "mimi": 8}
# Convolutions of these pad the end in their own way; the feature extractors of the others pad to whole frames.
PAD_THEMSELVES = ("encodec", "mimi")
# These quantize (B, T, D), the others (B, D, T).
TIME_FIRST = ("xcodec2", "neucodec")
# How many codebooks to use is called so in `encode`.
DEPTH = ("num_quantizers", "n_quantizers", "bandwidth")


class Tap(nn.Module):
    """A model's quantizer that keeps what it was given last, and can leave out the semantic codebooks.

    Args:
        quantizer: Of the model; everything else goes on to it.
    """

    def __init__(self, quantizer: nn.Module) -> None:
        super().__init__()
        self.inner = quantizer
        self.seen: Tensor | None = None
        self.acoustic_alone = False

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(self, latent: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Quantize."""
        self.seen = latent
        return self.inner(latent, *args, **kwargs)

    def encode(self, latent: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Quantize, where a class has a method for it."""
        self.seen = latent
        return self.inner.encode(latent, *args, **kwargs)

    def decode(self, codes: Tensor) -> Tensor:
        """What codes stand for; where `acoustic_alone`, they are those of Mimi's acoustic codebooks."""
        inner = self.inner.acoustic_residual_vector_quantizer if self.acoustic_alone else self.inner
        return inner.decode(codes)


class HuggingFace(Peer):
    """A codec of transformers.

    Args:
        model: With `encode`, `decode`, `quantizer` and a configuration.
        extractor: Its feature extractor, where `encode` takes more than a wave.

    Raises:
        UserError: A model without codes, of several channels, or that cuts speech into chunks with a scale each.
    """

    def __init__(self, model: nn.Module, extractor: Any = None) -> None:
        config = model.config
        kind = config.model_type
        if getattr(config, "audio_channels", 1) != 1:
            raise UserError(f"{kind}: {config.audio_channels} channels: only codecs of one channel are taken")
        if getattr(config, "normalize", False) or getattr(config, "chunk_length_s", None):
            raise UserError(
                f"{kind}: cuts audio into chunks with a scale each, which are no tokens: take a model without "
                "(encodec_24khz)"
            )
        number = getattr(config, "num_quantizers", getattr(config, "n_codebooks", 1))
        size = getattr(config, "codebook_size", None) or math.prod(getattr(config, "quantization_levels", [0]))
        rates = (getattr(config, name, None) for name in ("sampling_rate", "sample_rate", "input_sampling_rate"))
        rate = next(filter(None, rates), None)
        output = getattr(config, "output_sampling_rate", None) or rate
        hop = getattr(config, "hop_length", None)
        # `frame_rate` is rounded up in some configurations, but all that is there in others.
        frame_rate = output / hop if output and hop else getattr(config, "frame_rate", None)
        if not (size and rate and frame_rate) or not hasattr(model, "quantizer") or not hasattr(model, "decode"):
            raise UserError(f"{kind}: {type(model).__name__} does not turn speech into codes of known codebooks")
        super().__init__(
            model, rate, frame_rate, (size,) * number, getattr(config, "num_semantic_quantizers", 0), None, output
        )
        model.quantizer = Tap(model.quantizer)
        self.extractor = extractor
        self.model_type = kind
        self.takes = set(inspect.signature(model.encode).parameters)
        self.scales = "audio_scales" in inspect.signature(model.decode).parameters

    @property
    def default_codebooks(self) -> int | None:
        """How many codebooks are kept where nothing is said; None: all."""
        return DEFAULT_CODEBOOKS.get(self.model_type)

    def encode(self, wave: Tensor) -> tuple[list[Tensor], Tensor]:
        """See `Peer.encode`."""
        codes = self.model.encode(**self._inputs(wave), **self._depth()).audio_codes
        if codes.dim() == 4:  # EnCodec's chunks: one
            codes = codes[0]
        latent, self.model.quantizer.seen = self.model.quantizer.seen, None
        if self.model_type not in TIME_FIRST:
            latent = latent.transpose(1, 2)
        if latent.shape[1] != codes.shape[2]:
            raise UserError(f"{self.model_type}: {latent.shape[1]} vectors for {codes.shape[2]} codes of a codebook")
        return list(codes[:, : self.num_codebooks].unbind(1)), latent

    def _inputs(self, wave: Tensor) -> dict[str, Tensor]:
        if self.extractor is not None:
            found = self.extractor(list(wave.cpu().numpy()), sampling_rate=self.sample_rate, return_tensors="pt")
            return {name: value.to(wave.device) for name, value in found.items() if name in self.takes}
        if self.model_type not in PAD_THEMSELVES:
            frame = round(self.sample_rate / self.frame_rate)
            wave = F.pad(wave, (0, -wave.shape[1] % frame))
        return {"input_values": wave[:, None]}

    def _depth(self) -> dict[str, float]:
        name = next((name for name in DEPTH if name in self.takes), None)
        if name is None:
            return {}
        if name != "bandwidth":
            return {name: self.num_codebooks}
        # The smallest that has them all: codebooks come one after the other, so that those behind change nothing.
        count = self.model.quantizer.get_num_quantizers_for_bandwidth
        enough = [kbps for kbps in self.model.config.target_bandwidths if count(kbps) >= self.num_codebooks]
        return {name: min(enough, default=max(self.model.config.target_bandwidths))}

    def decode(self, books: Sequence[Tensor], first: int = 0) -> Tensor:
        """See `Peer.decode`."""
        codes = torch.stack(list(books), 1)
        tap = self.model.quantizer
        tap.acoustic_alone = first > 0
        try:
            if self.scales:
                wave = self.model.decode(codes[None], [None]).audio_values
            else:
                wave = self.model.decode(audio_codes=codes).audio_values
        finally:
            tap.acoustic_alone = False
        return wave.reshape(len(codes), -1)

    def vectors(self, books: Sequence[Tensor], first: int = 0) -> Tensor:
        """See `Peer.vectors`: Mimi's; NotImplementedError for other classes, each of which has its own way."""
        inner = self.model.quantizer.inner
        stream = getattr(inner, f"{'acoustic' if first else 'semantic'}_residual_vector_quantizer", None)
        if stream is None:
            raise NotImplementedError
        return stream.decode(torch.stack(list(books), 1)).transpose(1, 2)


def files(folder: Path) -> list[Path]:
    """Return the files of a folder that shape a model: configurations and weights.

    Raises:
        UserError: There are none.
    """
    weights = sorted(folder.glob("*.safetensors*")) or sorted(folder.glob("pytorch_model*.bin*"))
    if not weights:
        raise UserError(f"{folder}: neither model.safetensors nor pytorch_model.bin in it")
    config = folder / "config.json"
    read_json(config)
    return [config, *(path for path in [folder / "preprocessor_config.json"] if path.is_file()), *weights]


def load(folder: Path, model_type: str | None = None) -> HuggingFace:
    """Load a folder; no code out of it is run.

    Args:
        folder: With config.json and weights.
        model_type: What its configuration must say that it is; None: anything.

    Raises:
        UserError: The package is missing, or the folder does not hold a codec that it knows.
    """
    transformers = package("transformers")
    config_file = folder / "config.json"
    config = read_json(config_file)
    if model_type is not None and config.get("model_type") != model_type:
        raise UserError(
            f"{config_file}: model_type is '{config.get('model_type')}', but {model_type} is wanted: is this its "
            "folder? (--kind huggingface takes others)"
        )
    names = config.get("architectures") or [None]
    cls = getattr(transformers, str(names[0]), None)
    if not (isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel) and hasattr(cls, "encode")):
        raise UserError(
            f"{config_file}: architectures names '{names[0]}', which is no codec of transformers "
            f"{transformers.__version__}"
        )
    # Never code out of the folder, and of a file that is not safetensors what torch's restricted loader takes.
    safe = {"local_files_only": True, "trust_remote_code": False}
    extractor = None
    try:
        with quiet_transformers():
            model, found = cls.from_pretrained(folder, output_loading_info=True, weights_only=True, **safe)
        missing = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
        if not missing and "input_features" in inspect.signature(model.encode).parameters:
            extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, **safe)
    except Exception as error:  # of many types, for damage, for what is missing and for what does not fit
        raise UserError(f"{folder}: {cls.__name__} cannot be loaded from it ({first_line(error)})") from error
    if missing:
        raise UserError(f"{folder}: its weights lack {missing[0]} and {len(missing) - 1} others: get it again")
    try:
        return HuggingFace(model.float(), extractor)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None
