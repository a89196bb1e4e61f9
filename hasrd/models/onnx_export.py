# Copyright 2026 The hasrd authors
# Apache-2.0
"""A trained codec as two graphs for runtimes of ONNX, of any length: speech to codes, and codes to speech.

What stays outside is what is no part of a graph: other sample rates, padding, and the level of the speech.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hasrd.codec.codec import Codec
from hasrd.codec.inference import fold_weight_norm
from hasrd.decoder.istft import ISTFT
from hasrd.errors import UserError, first_line
from hasrd.frontend.log_mel import PREEMPHASIS, LogMel
from hasrd.jobs.atomic import atomic_folder, write_json
from hasrd.models.checkpoint import PEER, embed_encoder
from hasrd.models.load import Model, load_model
from hasrd.models.package import check_new

ENCODER, DECODER, FACTS = "encoder.onnx", "decoder.onnx", "onnx.json"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
MISSING = "hasrd export needs onnx, onnxscript and onnxruntime: install them, or hasrd with its extra [onnx]"
# Of runtimes that are a few years old.
OPSET = 18
# Samples and tokens of a graph.
LONGEST = 2**31 - 1
# Where torch and the runtime sum in another order, a code that lies between two entries is now and then the other one.
AGREEMENT = 0.99
# Of decoded samples, rms of the difference over rms of the speech.
TOLERANCE = 1e-3


class ConvLogMel(nn.Module):
    """`LogMel` with mean, pre-emphasis, window and Fourier transform, which are linear, as one convolution.

    Args:
        log_mel: What it gives the same as, of speech without padding.
    """

    def __init__(self, log_mel: LogMel) -> None:
        super().__init__()
        samples = torch.eye(log_mel.window, dtype=torch.float64)
        frames = samples - samples.mean(-1, keepdim=True)
        frames[:, 1:] -= PREEMPHASIS * frames[:, :-1].clone()
        spectra = torch.fft.rfft(frames * log_mel.povey.double(), log_mel.n_fft)
        kernel = torch.cat([spectra.real, spectra.imag], dim=-1).t()
        self.register_buffer("kernel", kernel[:, None].float())
        self.register_buffer("mel", log_mel.mel)
        self.sample_rate, self.window = log_mel.sample_rate, log_mel.window
        self.frame_shift, self.num_frames = log_mel.frame_shift, log_mel.num_frames

    def forward(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the features of wave (B, N); see `LogMel`."""
        squares = F.conv1d(wave[:, None], self.kernel, stride=self.frame_shift).square()
        power = sum(squares.chunk(2, dim=1)).mT
        feats = (power @ self.mel).clamp(min=torch.finfo(torch.float32).eps).log()
        return feats, self.num_frames(lengths)


class MatrixISTFT(nn.Module):
    """`ISTFT` with the inverse Fourier transform as a matrix product: runtimes have no one-sided inverse.

    Args:
        istft: What it gives the same as.
    """

    def __init__(self, istft: ISTFT) -> None:
        super().__init__()
        self.istft, self.hop_length = istft, istft.hop_length
        bins = torch.eye(istft.n_fft // 2 + 1, dtype=torch.complex128)
        for name, unit in (("real", bins), ("imag", 1j * bins)):
            self.register_buffer(name, (torch.fft.irfft(unit, n=istft.n_fft) * istft.window.double()).float())

    def forward(self, spectrum: Tensor) -> Tensor:
        """Return the waveform of a spectrum; see `ISTFT`."""
        real, imag = torch.view_as_real(spectrum).unbind(-1)
        return self.istft.overlap(real @ self.real + imag @ self.imag)


class EncoderGraph(nn.Module):
    """Speech (1, N), at the codec's level, to codes (1, T, M)."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.encoder, self.quantizer = codec.speech_encoder, codec.quantizer

    def forward(self, wave: Tensor) -> Tensor:
        """Encode one utterance."""
        encoded = self.encoder(wave, torch.ones(1, dtype=torch.long) * wave.shape[1])
        return self.quantizer.encode(encoded.layers, encoded.lengths)


class DecoderGraph(nn.Module):
    """Codes (1, T, M) to speech (1, T * frame_shift), at the codec's level."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.codec = codec

    def forward(self, codes: Tensor) -> Tensor:
        """Decode one utterance."""
        return self.codec.decoder(self.codec.quantizer.decode(codes))


def export_onnx(model: str | Path, out: str | Path, model_file: str | None = None, allow_import: bool = False) -> Path:
    """Write `encoder.onnx`, `decoder.onnx` and `onnx.json` to a new folder, which appears when it is complete.

    Both graphs are run with onnxruntime, at other lengths than they were made with, and compared with torch before.

    Args:
        model: A packed model, or the experiment of a trained codec.
        out: Folder to write; it must not be there yet, or be empty.
        model_file, allow_import: As for `load_model`.

    Returns:
        The folder.

    Raises:
        UserError: A missing package, a folder that is not empty, a model with a part that cannot be exported, a graph
            that does not give what torch gives, or what `load_model` raises.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UserError(f"{MISSING} (not found: {', '.join(missing)})")
    import onnxruntime

    out = Path(out)
    check_new(out)
    loaded = load_model(model, model_file, allow_import=allow_import)
    if loaded.kind == PEER:
        raise UserError(f"{model}: a codec of another package cannot be exported")
    codec = fold_weight_norm(embed_encoder(loaded.codec))
    # A graph is made for lengths other than 1: of the tokens, and of the codes that stand for several of them.
    tokens = 1 + max(codec.codebook_strides)
    shortest = codec.min_samples + (tokens - 1) * codec.frame_shift
    wave = noise(shortest + 8 * codec.frame_shift)
    codes = codec.encode(wave).codes
    graphs = _graph_form(codec)
    with atomic_folder(out) as folder:
        _write(EncoderGraph(graphs), wave, "wave", "codes", shortest, folder / ENCODER)
        _write(DecoderGraph(graphs), codes, "codes", "wave", tokens, folder / DECODER)
        encoder, decoder = (
            onnxruntime.InferenceSession(str(folder / name), providers=["CPUExecutionProvider"])
            for name in (ENCODER, DECODER)
        )
        for length in (shortest, shortest + 5 * codec.frame_shift + 1, 3 * codec.sample_rate + 77):
            _compare(codec, encoder, decoder, noise(length), str(model))
        write_json(folder / FACTS, _facts(loaded, codec, shortest))
    return out


def noise(length: int) -> Tensor:
    """Return (1, length) for a trial: noise whose level changes."""
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(1, length, generator=generator) * torch.linspace(0, 40, length).sin()


def _graph_form(codec: Codec) -> Codec:
    """Return a copy whose Fourier transforms are products, for speech at the codec's level."""
    codec = copy.deepcopy(codec)
    if isinstance(codec.frontend, LogMel):
        codec.frontend = ConvLogMel(codec.frontend)
    for part in list(codec.decoder.modules()):
        for name, child in part.named_children():
            if isinstance(child, ISTFT):
                setattr(part, name, MatrixISTFT(child))
    return codec.eval()


def _write(graph: nn.Module, example: Tensor, given: str, made: str, shortest: int, path: Path) -> None:
    """Write a graph whose second axis has any length from `shortest` on."""
    shapes: dict[str, Any] = {given: {1: torch.export.Dim("length", min=shortest, max=LONGEST)}}
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        with quiet[0], quiet[1], warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            logger.setLevel(logging.ERROR)
            program = torch.export.export(
                graph, (example,), dynamic_shapes=shapes, strict=False, prefer_deferred_runtime_asserts_over_guards=True
            )
            names = {"input_names": [given], "output_names": [made]}
            torch.onnx.export(program, dynamo=True, opset_version=OPSET, **names).save(path)
    except Exception as error:  # of torch, onnxscript and onnx; of what a part does, which none of them knows
        parts = type(graph).__name__
        raise UserError(f"{parts}: a part of this model cannot be exported ({first_line(error)})") from error
    finally:
        logger.setLevel(level)


def _compare(codec: Codec, encoder: Any, decoder: Any, wave: Tensor, where: str) -> None:
    """Raise UserError where the graphs do not give what torch gives for wave (1, N), at the codec's level."""
    with torch.no_grad():
        lengths = torch.tensor([wave.shape[1]])
        codes = codec.quantize(codec.features(wave, lengths))
        speech = codec.decoder(codec.quantizer.decode(codes))
    found = torch.from_numpy(encoder.run(None, {"wave": wave.numpy()})[0])
    decoded = torch.from_numpy(decoder.run(None, {"codes": codes.numpy()})[0])
    if found.shape != codes.shape or (found == codes).float().mean() < AGREEMENT:
        raise UserError(f"{where}: the exported encoder gives other codes than torch: this model cannot be exported")
    if decoded.shape != speech.shape or (decoded - speech).norm() > TOLERANCE * speech.norm():
        raise UserError(f"{where}: the exported decoder gives other speech than torch: this model cannot be exported")


def _facts(loaded: Model, codec: Codec, shortest: int) -> dict[str, Any]:
    return {
        "model_sha256": loaded.sha256,
        "sample_rate": codec.sample_rate,
        "frame_shift": codec.frame_shift,
        "min_samples": shortest,
        "loudness": codec.loudness,
        "stream_names": list(codec.stream_names),
        "codebook_sizes": list(codec.codebook_sizes),
        "codebook_strides": list(codec.codebook_strides),
    }
