# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hasrd.bin import info
from hasrd.errors import UserError
from hasrd.models.package import pack

LIBRISPEECH = Path(__file__).resolve().parents[2] / "egs2" / "librispeech" / "hasrd1" / "conf"


def described(capsys, *words):
    info.main([*map(str, words), "--json"])
    return json.loads(capsys.readouterr().out)


def without_encoder(folder: Path) -> Path:
    """The configuration of a codec that names no encoder."""
    config = yaml.safe_load((LIBRISPEECH / "train_codec.yaml").read_text())
    for key in ("frontend", "normalize", "encoder", "encoder_conf", "frozen_encoder"):
        del config[key]
    path = folder / "codec.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_json_and_table(capsys):
    path = LIBRISPEECH / "tuning/train_codec_dac.yaml"
    found = described(capsys, path)
    assert found["parameters"] | {"discriminator": None} == {
        "encoder": 22_307_968, "quantizer": 239_760, "decoder": 54_104_162, "discriminator": None, "total": 76_651_890,
    }  # fmt: skip
    assert (found["frame_rate"], found["bitrate_bps"], found["num_codebooks"]) == (31.25, 2812.5, 9)
    assert found["sample_rate"] == 16000
    info.main([str(path)])
    shown = capsys.readouterr().out
    for text in ("76,651,890", "31.25 Hz", "2.81 kbps", "9 (9 acoustic)", "decoder 8 8 4 2", "7978 samples (499 ms)"):
        assert text in shown, text


def test_it_does_not_load_a_training_toolkit():
    code = (
        "import sys; from hasrd.bin import info; info.main(sys.argv[1:]);"
        "loaded = [m for m in sys.modules if m.startswith('espnet')];"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code, LIBRISPEECH / "train_ssl.yaml"], check=True, stdout=subprocess.DEVNULL)


def test_options_of_the_training_override(capsys):
    found = described(capsys, LIBRISPEECH / "train_codec.yaml", "--args", "--quantizer_conf num_codebooks=3")
    assert found["streams"] == {"semantic": 1, "acoustic": 3}
    assert described(capsys, LIBRISPEECH / "train_codec.yaml", "--args", "--segment=3")["num_codebooks"] == 9


def test_experiment_encoder_file_and_packed_folder(capsys, codec_dir, encoder_file, tmp_path):
    found = described(capsys, codec_dir)
    assert found["kind"] == "codec" and found["frozen_encoder"] and found["num_codebooks"] == 3
    encoder = described(capsys, encoder_file)
    assert encoder["kind"] == "encoder"
    assert encoder["parameters"]["total"] == encoder["parameters"]["encoder"] == found["parameters"]["encoder"]

    # A packed model has folded weights; what is counted is the training form.
    packed = pack(codec_dir, tmp_path / "packed")
    assert described(capsys, packed)["parameters"] == found["parameters"]
    # A class from outside of hasrd would run code.
    config = yaml.safe_load((packed / "config.yaml").read_text())
    (packed / "config.yaml").write_text(yaml.safe_dump({**config, "decoder": "mine:Decoder"}))
    with pytest.raises(UserError, match="decoder 'mine:Decoder' is no class of hasrd"):
        info.main([str(packed)])
    with pytest.raises(UserError, match="no module named 'mine'"):
        info.main([str(packed), "--allow_import"])


def test_the_encoder_of_another_configuration(capsys, tmp_path, encoder_file):
    codec, ssl = without_encoder(tmp_path), LIBRISPEECH / "train_ssl.yaml"
    with pytest.raises(UserError, match=f"{codec}: encoder not given"):
        info.main([str(codec)])
    found = described(capsys, codec, "--encoder", ssl)
    assert found["parameters"] == described(capsys, LIBRISPEECH / "train_codec.yaml")["parameters"]
    assert found["frozen_encoder"]
    # Where both state it, they must agree.
    assert described(capsys, LIBRISPEECH / "train_codec.yaml", "--encoder", ssl)["parameters"] == found["parameters"]
    with pytest.raises(UserError, match=f"{ssl}: encoder_conf: num_blocks is 3, but .* says 12"):
        info.main([str(LIBRISPEECH / "train_codec.yaml"), "--encoder", str(ssl), "--encoder_args",
                   "--encoder_conf num_blocks=3"])  # fmt: skip
    assert described(capsys, codec, "--encoder", encoder_file)["parameters"]["encoder"] < 1e5


def test_an_experiment_that_names_its_encoder_file(capsys, tmp_path, encoder_file):
    config = yaml.safe_load(without_encoder(tmp_path).read_text())
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**config, "encoder_file": str(encoder_file)}))
    assert described(capsys, path)["frozen_encoder"]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("missing.yaml", None, "missing.yaml: no such file"),
        ("missing.safetensors", None, "missing.safetensors: no such file"),
        ("bad.safetensors", "x", "bad.safetensors: not a complete file of weights"),
        ("bad.yaml", "a: [", "bad.yaml:1: not valid YAML"),
        ("list.yaml", "- 1", "list.yaml: expected names with values"),
        ("empty.yaml", "", "empty.yaml: encoder not given"),
        ("folder", None, "folder/config.yaml: no such file"),
    ],
)
def test_errors(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    elif name == "folder":
        path.mkdir()
    with pytest.raises(UserError, match=message):
        info.main([str(path)])
