# Copyright 2026 The hasrd authors
# Apache-2.0
"""hasrd export: the graphs give what torch gives, at every length; what cannot be exported is one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from torch import nn

import hasrd
from hasrd.bin.export import main
from hasrd.codec.codec import Codec
from hasrd.decoder.istft import ISTFT
from hasrd.errors import UserError
from hasrd.frontend.log_mel import LogMel
from hasrd.models import onnx_export
from hasrd.models.load import load_codec
from hasrd.models.onnx_export import ConvLogMel, MatrixISTFT, export_onnx

SMALL = {
    "frontend": "raw", "encoder": "dac", "encoder_conf": {"channels": 4, "output_size": 16}, "quantizer": "residual_vq",
    "quantizer_conf": {"num_codebooks": 2, "codebook_size": 16}, "decoder": "dac", "decoder_conf": {"channels": 32},
}  # fmt: skip


def message(call, *args, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        call(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


def needs_packages():
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="it comes with the extra onnx")


def sessions(folder: Path):
    import onnxruntime

    return [onnxruntime.InferenceSession(str(folder / name)) for name in ("encoder.onnx", "decoder.onnx")]


@pytest.mark.timeout(600)
def test_real_speech(codec_dir, librispeech, tmp_path):
    """HASRD on a frozen encoder: the codes are torch's, the speech as well, at the codec's level."""
    needs_packages()
    main([str(codec_dir), str(tmp_path / "onnx"), "--onnx"])
    encoder, decoder = sessions(tmp_path / "onnx")
    codec, facts = load_codec(codec_dir), json.loads((tmp_path / "onnx/onnx.json").read_text())
    assert facts["loudness"] == codec.loudness and facts["codebook_sizes"] == [8, 16, 16]
    assert facts["frame_shift"] == 512 and facts["model_sha256"] == hasrd.load(codec_dir).model_sha256
    files = sorted(librispeech.rglob("*.flac"))[:5]
    assert files
    for path in files:
        wave = torch.from_numpy(soundfile.read(path, dtype="float32")[0])[None]
        lengths = torch.tensor([wave.shape[1]])
        levelled, _ = codec.at_level(wave, lengths)
        codes = encoder.run(None, {"wave": levelled.numpy()})[0]
        assert np.array_equal(codes, codec.encode(wave).codes.numpy())
        speech = decoder.run(None, {"codes": codes})[0]
        expected = codec.decoder(codec.quantizer.decode(torch.from_numpy(codes)))
        # Float32 in another order of summation; speech is at most 1.
        assert np.abs(speech - expected.numpy()).max() < 1e-4


@pytest.mark.timeout(600)
def test_a_codec_of_waves(tmp_path):
    needs_packages()
    torch.manual_seed(0)
    codec, exp = Codec.from_config(SMALL).eval(), tmp_path / "exp"
    exp.mkdir()
    (exp / "config.yaml").write_text(yaml.safe_dump(SMALL))
    torch.save({f"codec.{name}": value for name, value in codec.state_dict().items()}, exp / "latest.pth")
    encoder, decoder = sessions(export_onnx(exp, tmp_path / "onnx"))
    facts = json.loads((tmp_path / "onnx/onnx.json").read_text())
    for length in (facts["min_samples"], 12345):
        wave = 0.1 * torch.randn(1, length)
        codes = encoder.run(None, {"wave": wave.numpy()})[0]
        assert np.array_equal(codes, codec.encode(wave).codes.numpy())
        assert decoder.run(None, {"codes": codes})[0].shape == (1, codes.shape[1] * facts["frame_shift"])
    assert "is there already" in message(export_onnx, exp, tmp_path / "onnx")


@pytest.mark.parametrize("scale", [1.0, 32768.0])
def test_log_mel_as_a_convolution(scale, speech):
    """Within what float32 loses: bins below -60 dB of the loudest are left out, where rounding is all there is."""
    log_mel = LogMel(scale=scale)
    wave = torch.from_numpy(speech)[None]
    lengths = torch.tensor([wave.shape[1]])
    (expected, frames), (found, others) = log_mel(wave, lengths), ConvLogMel(log_mel)(wave, lengths)
    assert found.shape == expected.shape and torch.equal(frames, others)
    loud = expected > expected.max() - 60 / 10 * np.log(10)
    assert loud.float().mean() > 0.3 and (found - expected)[loud].abs().max() < 1e-3


@pytest.mark.parametrize("n_fft, hop", [(512, 128), (640, 160)])
def test_inverse_stft_as_a_product(n_fft, hop):
    istft = ISTFT(n_fft, hop)
    spectrum = torch.randn(2, 7, n_fft // 2 + 1, dtype=torch.complex64)
    # Of the imaginary parts at 0 and half the rate nothing may come through.
    assert torch.allclose(MatrixISTFT(istft)(spectrum), istft(spectrum), atol=1e-5)


class Guesses(nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x - 1


def test_what_cannot_be_exported(tmp_path):
    needs_packages()
    write = (torch.ones(1, 9), "wave", "codes", 2, tmp_path / "a.onnx")
    text = message(onnx_export._write, Guesses(), *write)
    assert text.startswith("Guesses: a part of this model cannot be exported (")
    assert "no such file" in message(export_onnx, tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_graphs_that_give_something_else_are_refused(codec_dir):
    codec = load_codec(codec_dir)
    wave = onnx_export.noise(8000)
    codes = codec.quantize(codec.features(wave, torch.tensor([8000])))
    speech = codec.decoder(codec.quantizer.decode(codes))

    class Session:
        def __init__(self, output):
            self.output = output

        def run(self, names, inputs):
            return [self.output.numpy()]

    good = Session(codes), Session(speech)
    onnx_export._compare(codec, *good, wave, "model")
    for bad in (codes[:, :-1], (codes + 1) % 8):
        assert "other codes" in message(onnx_export._compare, codec, Session(bad), good[1], wave, "model")
    for bad in (speech[:, :-1], speech * 1.01):
        assert "other speech" in message(onnx_export._compare, codec, good[0], Session(bad), wave, "model")


def test_missing_packages_are_one_line(codec_dir, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "its extra [onnx]" in message(export_onnx, codec_dir, tmp_path / "out")
    assert not (tmp_path / "out").exists()
