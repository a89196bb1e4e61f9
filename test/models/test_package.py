# Copyright 2026 The hasrd authors
# Apache-2.0
"""Packed models: the same codes, strict loading, a card with what was measured, and nothing that runs foreign code."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file, save_file

import hasrd
from hasrd.jobs.digest import sha256
from hasrd.metrics.scores import Score, write_score
from hasrd.models.load import load_codec
from hasrd.models.package import FORMAT, load_packed, pack
from hasrd.report.card import card_scores

RATE = 16000


@pytest.fixture(scope="module")
def packed(codec_dir, tmp_path_factory) -> Path:
    return pack(codec_dir, tmp_path_factory.mktemp("packed") / "small", licence="cc-by-4.0", scores=card_scores)


@pytest.fixture
def copy(packed, tmp_path) -> Path:
    return shutil.copytree(packed, tmp_path / "copy")


def rewrite(folder: Path, tensors=None, **changes) -> Path:
    """Change tensors and keys of a packed model as somebody would who keeps its hash right."""
    if tensors is not None:
        save_file(tensors, folder / "model.safetensors")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config.update(changes, model_sha256=sha256(folder / "model.safetensors"))
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_what_is_in_it(packed, codec_dir, encoder_file):
    assert {path.name for path in packed.iterdir()} == {"config.yaml", "model.safetensors", "README.md"}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in packed.iterdir()}
    assert len(modes) == 1, "who may read one of them may read all"
    text = (packed / "config.yaml").read_text()
    config = yaml.safe_load(text)
    assert config["source"]["weights_sha256"] == sha256(codec_dir / "latest.pth")
    assert config["source"]["encoder_sha256"] == sha256(encoder_file)
    assert config["model_sha256"] == sha256(packed / "model.safetensors")
    assert config["window"] == 30.0
    assert "| long speech | encoded in overlapping windows of 30 s" in (packed / "README.md").read_text()
    assert config["licence"] == "cc-by-4.0" and config["hasrd"] == hasrd.__version__
    for place in (codec_dir, encoder_file.parent, Path.home()):
        assert str(place) not in text
    tensors = load_file(packed / "model.safetensors")
    assert not [name for name in tensors if "parametrizations" in name]
    for part in ("encoder.", "quantizer.centroids", "decoder."):
        assert [name for name in tensors if name.startswith(part)], f"no tensors of {part}"


def test_its_codes_are_the_experiments(packed, codec_dir):
    codec, model = load_codec(codec_dir), hasrd.load(packed)
    assert model.model_sha256 == hasrd.load(codec_dir).model_sha256
    wave = 0.1 * torch.randn(3, 20011, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([20011, 900, 160])
    expected, tokens = codec.encode(wave, lengths), model.encode(wave, RATE, lengths=lengths)
    assert torch.equal(tokens.codes, expected.codes) and torch.equal(tokens.lengths, expected.lengths)
    assert torch.allclose(model.decode(tokens), codec.decode(expected), atol=1e-6)


def test_its_codes_are_the_experiments_on_real_speech(packed, codec_dir, librispeech):
    codec, model = load_codec(codec_dir), hasrd.load(packed)
    files = sorted(librispeech.rglob("*.flac"))[:8]
    assert files
    for path in files:
        wave, rate = soundfile.read(path, dtype="float32")
        assert torch.equal(model.encode(wave, rate).codes, codec.encode(torch.from_numpy(wave)[None]).codes)


def test_weights_in_bfloat16(codec_dir, packed, tmp_path, refused):
    """Half as large; the model computes with the rounded weights in the type that is asked for."""
    half = pack(codec_dir, tmp_path / "half", dtype="bfloat16")
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (half, packed)]
    assert sizes[0] < 0.6 * sizes[1], "the header and integers stay"
    assert "| weights in the file | bfloat16 |" in (half / "README.md").read_text()
    states = load_packed(half)[1].state_dict()
    for name, value in load_packed(packed)[1].state_dict().items():
        rounded = value.bfloat16().to(value.dtype) if value.is_floating_point() else value
        assert states[name].dtype == value.dtype and torch.equal(states[name], rounded), name
    wave = 0.1 * torch.randn(1, 20011, generator=torch.Generator().manual_seed(0))
    model = hasrd.load(half)
    copied = tmp_path / "copied"
    model.save_pretrained(copied)
    assert torch.equal(model.encode(wave, RATE).codes, hasrd.load(copied).encode(wave, RATE).codes)
    tensors = load_file(half / "model.safetensors")
    mixed = {**tensors, "quantizer.layer_logits": tensors["quantizer.layer_logits"].float()}
    assert "torch.float32, but torch.bfloat16 is needed" in refused(load_packed, rewrite(half, mixed))
    assert "dtype int4: choose one of float32, bfloat16" in refused(load_packed, rewrite(half, tensors, dtype="int4"))


def test_windows_of_long_speech(codec_dir, copy, tmp_path, refused):
    for window, words in ((2.0, "overlapping windows of 2 s"), (None, "| long speech | encoded whole |")):
        model = pack(codec_dir, tmp_path / str(window), window=window)
        assert words in (model / "README.md").read_text()
        assert hasrd.load(model).codec.window == window
        # What was packed stays, without another word.
        experiment = tmp_path / f"experiment {window}"
        shutil.copytree(codec_dir, experiment)
        text = (experiment / "config.yaml").read_text() + f"window: {'null' if window is None else window}\n"
        (experiment / "config.yaml").write_text(text)
        assert hasrd.load(pack(experiment, tmp_path / f"again {window}")).codec.window == window
    assert refused(pack, codec_dir, tmp_path / "none", window=0.5).startswith("window 0.5: give at least 1 second")
    config = yaml.safe_load((copy / "config.yaml").read_text())
    del config["window"]
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    assert hasrd.load(copy).codec.window == 30.0, "of a model that was packed before there were windows"
    assert "window soon: give" in refused(hasrd.load, rewrite(copy, window="soon"))


def test_tensors_must_be_those_of_the_configuration(copy, refused):
    tensors = load_file(copy / "model.safetensors")
    name = "quantizer.layer_logits"
    assert tensors[name].shape == (3,)
    rest = {key: value for key, value in tensors.items() if key != name}
    for changed, words in [
        (rest, "Missing key"),
        ({**tensors, f"{name}.x": torch.zeros(1)}, "Unexpected key"),
        ({**rest, name: torch.zeros(4)}, "size mismatch"),
        ({**rest, name: tensors[name].bfloat16()}, "torch.bfloat16, but torch.float32"),
    ]:
        text = refused(load_packed, rewrite(copy, changed))
        assert words in text and name in text and "model.safetensors" in text


def test_damage(copy, refused):
    weights = copy / "model.safetensors"
    content = weights.read_bytes()
    flipped = bytearray(content)
    flipped[-1] ^= 1
    for bad in (b"", content[:-1], bytes(flipped)):
        weights.write_bytes(bad)
        assert "SHA-256" in refused(hasrd.load, copy)
    weights.write_bytes(content[:100])
    assert "not a complete file of weights" in refused(hasrd.load, rewrite(copy))
    weights.unlink()
    assert "not complete" in refused(hasrd.load, copy)
    config = copy / "config.yaml"
    for bad in ("a: [", "text", "encoder: dac", "\x00"):
        config.write_text(bad)
        assert "config.yaml" in refused(hasrd.load, copy)
    config.write_bytes(b"\xff\xfe")
    assert "config.yaml" in refused(hasrd.load, copy)


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder_conf": {"attention_dim": "wide"}},
        {"encoder_conf": {"no_such": 1}},
        {"encoder_conf": [1]},
        {"decoder_conf": {"dim": -1}},
        {"quantizer_conf": {"semantic_layer": 99}},
        {"encoder": None},
        {"encoder": ["dac"]},
        {"frontend_conf": {"frame_shift": 100}},
    ],
)
def test_configurations_that_build_nothing(copy, changes, refused):
    assert refused(hasrd.load, rewrite(copy, **changes))
    assert refused(load_packed, copy, allow_import=True)


def test_import_paths_are_refused(copy, tmp_path, monkeypatch, capsys, refused):
    (tmp_path / "foreign.py").write_text(
        "print('foreign code runs')\nfrom hasrd.decoder.istft import ISTFTDecoder as Decoder\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    rewrite(copy, decoder="foreign:Decoder")
    text = refused(hasrd.load, copy)
    assert "decoder 'foreign:Decoder'" in text and "allow_import=True" in text
    for other in ("os.system", "hasrd.encoder.dac:DACEncoder", "hasrd.decoder.istft:weight_norm"):
        assert "allow_import" in refused(hasrd.load, rewrite(copy, decoder=other))
    rewrite(copy, decoder="hasrd.decoder.istft:ISTFTDecoder")  # a class of hasrd's own, under its longer name
    assert hasrd.load(copy).num_codebooks == 3
    assert "foreign" not in capsys.readouterr().out
    rewrite(copy, decoder="foreign:Decoder")
    assert hasrd.load(copy, allow_import=True).num_codebooks == 3
    assert "foreign code runs" in capsys.readouterr().out


def test_a_newer_format_is_refused(copy, refused):
    assert "made by hasrd 9.0" in refused(hasrd.load, rewrite(copy, format=FORMAT + 1, hasrd="9.0"))
    assert "leave out latest.pth" in refused(hasrd.load, copy, model_file="latest.pth")


def test_what_cannot_be_packed(codec_dir, packed, tmp_path, monkeypatch, refused):
    assert "is there already" in refused(pack, codec_dir, packed)
    assert "folder of a trained codec" in refused(pack, tmp_path, tmp_path / "out")
    exp = shutil.copytree(codec_dir, tmp_path / "exp")
    states = torch.load(exp / "latest.pth", weights_only=True)
    name = next(name for name in states if name.startswith("codec.decoder"))
    states[name].view(-1)[0] = torch.nan
    torch.save(states, exp / "latest.pth")
    assert f"'{name.removeprefix('codec.')}' is not finite" in refused(pack, exp, tmp_path / "out")
    # A class that is built from a file on this machine.
    (tmp_path / "filed.py").write_text(
        "from hasrd.decoder.istft import ISTFTDecoder\n\n\nclass Decoder(ISTFTDecoder):\n"
        "    def __init__(self, input_size, file, **conf):\n        super().__init__(input_size, **conf)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = yaml.safe_load((codec_dir / "config.yaml").read_text())
    config.update(decoder="filed:Decoder", decoder_conf={**config["decoder_conf"], "file": "/some/where"})
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    shutil.copy(codec_dir / "latest.pth", exp)
    assert "decoder_conf: '/some/where' names a file" in refused(pack, exp, tmp_path / "out", allow_import=True)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))
    (tmp_path / "empty").mkdir()
    assert pack(codec_dir, tmp_path / "empty").is_dir()


def test_the_card_has_the_scores_that_are_there(codec_dir, tmp_path):
    exp = shutil.copytree(codec_dir, tmp_path / "exp")
    config = yaml.safe_load((exp / "config.yaml").read_text())
    config["train_data_path_and_name_and_type"] = [["/secret/place/data/train_960/wav.scp", "audio", "sound"]]
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    for test_set, mean in (("test_clean", 1.234), ("test_other", 5.678)):
        score = Score("mel", "semantic", test_set, mean, (mean - 0.1, mean + 0.1), 17, "", False)
        write_score(exp / "scores" / test_set / "semantic", score, ["mel"], {})
    probe = Score("cer", "tokens_all", "test_clean", 12.34, (11.0, 13.0), 17, "%", False)
    write_score(exp / "probe_tokens_all_x/scores/test_clean", probe, ["cer"], {})
    # test_other was scored with other weights.
    for test_set, digest in (("test_clean", sha256(exp / "latest.pth")), ("test_other", "0" * 64)):
        (exp / "tokens" / test_set).mkdir(parents=True)
        (exp / "tokens" / test_set / "codes.json").write_text(json.dumps({"model": digest}))
    card = (pack(exp, tmp_path / "out", name="My model", licence="mit", scores=card_scores) / "README.md").read_text()
    assert "# My model" in card and "license: mit" in card
    assert "| Mel distance ↓ | Semantic stream only | 1.23 [1.13, 1.33] (n=17) |" in card
    assert "| CER (%) ↓ | All tokens | 12.3 [11.0, 13.0] (n=17) |" in card
    assert "5.68" not in card and "left out" in card
    assert "metrics:\n- mel\n- cer\n" in card or "metrics:\n- cer\n- mel\n" in card
    assert "| decoded from | Mel distance ↓ |\n|---|---|\n| Semantic stream only | 1.23 |\n" in card
    assert "| trained on | train_960 |" in card and "secret" not in card
    assert "| frame rate | 31.25 Hz (512 samples a token) |" in card
    assert "| stream `acoustic` | 2 x 16 entries, 0.25 kbps |" in card


def test_a_card_without_scores(packed):
    card = (packed / "README.md").read_text()
    assert "None were measured." in card and 'hasrd.load("small")' in card
