# Copyright 2026 The hasrd authors
# Apache-2.0
"""Nothing that a file says runs code: attacks in every key and every kind of file, against every command and function.

The payload is a module whose import, whose classes and whose pickles leave a marker. Each attack must end in one line,
and without the marker.
"""

from __future__ import annotations

import importlib
import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from small_models import CODEC, ENCODER, HAC

import hasrd
from hasrd.bench import ours
from hasrd.codec.build import build_speech_encoder
from hasrd.codec.codec import Codec
from hasrd.codec.describe import describe
from hasrd.errors import run_main
from hasrd.jobs.digest import sha256
from hasrd.models.checkpoint import load_encoder, save_encoder
from hasrd.models.kmeans import load_kmeans
from hasrd.models.load import load_codec, load_model
from hasrd.models.package import load_packed, pack
from hasrd.models.weights import load_strict, read_config_of, read_torch, read_weights
from hasrd.registry import ForeignClass, resolve

PAYLOAD = """
from pathlib import Path
MARKER = Path(__file__).with_name("marker")
MARKER.write_text("imported")
class Payload:
    def __init__(self, *args, **kwargs):
        MARKER.write_text("built")
"""
PARTS = ("frontend", "normalize", "encoder", "quantizer", "decoder")
# A class that leaves the marker; the same in the other spelling; a function that any Python has.
NAMES = ("payload_of_a_test:Payload", "payload_of_a_test.Payload", "os:mkdir", "os.mkdir")


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """What the payload leaves; it must not be there at the end of a test."""
    (tmp_path / "payload_of_a_test.py").write_text(PAYLOAD)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    marker = tmp_path / "marker"
    yield marker
    assert not marker.exists(), "code out of a file has run"
    assert "payload_of_a_test" not in sys.modules


def attacked(config: dict, part: str, name: str, marker: Path) -> dict:
    """Put a class into a configuration, with arguments with which the function would leave the marker as well."""
    conf = {"path": str(marker)} if "mkdir" in name else {}
    return {**config, part: name, f"{part}_conf": conf}


def command(monkeypatch, capsys, name: str, *words) -> str:
    """Run an entry point as the shell does; the one line that it ends with."""
    module = importlib.import_module(f"hasrd.bin.{name}")
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        run_main(module.main)
    text = str(ended.value.code)
    assert text.startswith("error: ") and "\n" not in text, (text, capsys.readouterr().err)
    return text


def write_config(folder: Path, config: dict) -> Path:
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture
def experiment(hac_dir, tmp_path) -> Path:
    return shutil.copytree(hac_dir, tmp_path / "experiment")


@pytest.fixture(scope="module")
def packed(hac_dir, tmp_path_factory) -> Path:
    return pack(hac_dir, tmp_path_factory.mktemp("packed") / "model")


@pytest.fixture
def package(packed, tmp_path) -> Path:
    return shutil.copytree(packed, tmp_path / "package")


@pytest.fixture
def bad_encoder(encoder_file, tmp_path, marker) -> Path:
    """An encoder's file whose header names a foreign class."""
    path = tmp_path / "bad.safetensors"
    config = attacked(ENCODER, "encoder", NAMES[0], marker)
    save_file(load_file(encoder_file), path, metadata={"config": json.dumps(config)})
    return path


def test_there_is_one_place_for_each():
    """What runs code when it is given the wrong file is called in one place, where the file is looked at."""
    package = Path(hasrd.__file__).parent
    places = {
        "torch.load(": {"models/weights.py"},
        "safe_open(": {"models/weights.py", "teacher/text.py"},
        "safetensors.torch import load": set(),
        "weights_only=False": set(),
        "allow_pickle=True": set(),
        # What a run has sent to its own workers, by Dask, which pickles itself.
        "import pickle": {"jobs/dask_workers.py"},
        "yaml.load(": set(),
        "unsafe_load": set(),
        "allow_import: bool = True": set(),
    }
    for text, wanted in places.items():
        found = {str(path.relative_to(package)) for path in package.rglob("*.py") if text in path.read_text("utf-8")}
        assert found == wanted, text


@pytest.mark.parametrize("name", NAMES)
def test_one_function_decides(name, marker, refused):
    assert "allow_import" in refused(resolve, {"dac": "hasrd.decoder.dac:DACDecoder"}, name, False)
    for known in ("dac", "hasrd.decoder.dac:DACDecoder", "hasrd.decoder.dac.DACDecoder"):
        assert resolve({"dac": "hasrd.decoder.dac:DACDecoder"}, known, False).__name__ == "DACDecoder"
    # Hasrd's own modules hold more than its classes.
    with pytest.raises(ForeignClass):
        resolve({"dac": "hasrd.decoder.dac:DACDecoder"}, "hasrd.decoder.dac:torch", False)
    for other in (1, ["dac"], {"a": 1}, None, True):
        refused(resolve, {"dac": "hasrd.decoder.dac:DACDecoder"}, other, False)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_a_codec(package, experiment, marker, part, name, refused):
    for folder in (experiment, package):
        config = yaml.safe_load((folder / "config.yaml").read_text())
        write_config(folder, attacked(config, part, name, marker))
        for call in (hasrd.load, load_model, load_codec):
            text = refused(call, folder)
            assert f"{part} '{name}'" in text and str(folder) in text and "allow_import" in text
    assert part in refused(load_packed, package)
    assert part in refused(pack, experiment, experiment.parent / "out")
    assert part in refused(Codec.from_config, attacked(HAC, part, name, marker))
    assert part in refused(describe, attacked(HAC, part, name, marker))


@pytest.mark.parametrize("files", [["1epoch.pth"], ["latest.pth", "peer.json"], ["finished.json", "x.pth"]])
def test_what_lies_beside_a_package_changes_nothing(package, marker, files, refused):
    """A stray file once made an experiment, which was trusted, of a package."""
    expected = hasrd.load(package).model_sha256
    for file in files:
        (package / file).write_bytes(b"")
    assert hasrd.load(package).model_sha256 == expected and load_model(package).kind == "package"
    config = yaml.safe_load((package / "config.yaml").read_text())
    write_config(package, attacked(config, "frontend", NAMES[0], marker))
    assert "frontend" in refused(hasrd.load, package)


def test_a_package_without_hash_or_with_another(package, marker, refused):
    config = yaml.safe_load((package / "config.yaml").read_text())
    for value in (None, "", "0" * 64, 7, ["0" * 64]):
        write_config(package, {**config, "model_sha256": value})
        assert "sha" in refused(hasrd.load, package).lower()
    del config["model_sha256"]
    write_config(package, config)
    assert "no model_sha256" in refused(load_packed, package)


@pytest.mark.parametrize("key", ["discriminator", "loss", "distillation"])
@pytest.mark.parametrize("name", NAMES)
def test_what_only_a_training_has(package, experiment, marker, monkeypatch, capsys, key, name, refused):
    extra = attacked({}, key, name, marker)
    if key == "distillation":
        extra = {key: {"phonetic": {"loss": name, "weight": 1.0, "teacher_size": 4, "path": str(marker)}}}
    base = {**ENCODER} if key == "loss" else {**HAC}
    assert "allow_import" in refused(describe, {**base, **extra})
    for folder in (experiment, package):
        if key == "loss":
            write_config(folder, {**base, **extra})
        else:
            write_config(folder, {**yaml.safe_load((folder / "config.yaml").read_text()), **extra})
        for words in ((), ("--json",)):
            text = command(monkeypatch, capsys, "info", folder, *words)
            assert key in text and "--allow_import" in text and str(folder) in text
    alone = experiment.parent / "config_alone.yaml"
    alone.write_text(yaml.safe_dump({**base, **extra}))
    assert key in command(monkeypatch, capsys, "info", alone)


@pytest.mark.parametrize("part", PARTS)
def test_every_command_that_loads_a_codec(
    experiment, package, marker, make_data_dir, monkeypatch, capsys, part, refused
):
    config = yaml.safe_load((experiment / "config.yaml").read_text())
    write_config(experiment, attacked(config, part, NAMES[0], marker))
    write_config(package, attacked(yaml.safe_load((package / "config.yaml").read_text()), part, NAMES[2], marker))
    data, out = make_data_dir("test"), experiment.parent / "out"
    with open(data / "utt2spk", "w") as table:
        table.writelines(f"test-{i:04d} speaker{i % 2}\n" for i in range(3))
    wave = experiment.parent / "audio/test/test-0000.wav"
    np.savez(out.with_suffix(".npz"), codes=np.zeros((3, 4), np.int64))
    words = {
        "info": [experiment],
        "encode": [package, wave, out.with_name("a.npz")],
        "decode": [experiment, out.with_suffix(".npz"), out.with_name("a.wav")],
        "pack": [experiment, out],
        "tokenize": ["--exp_dir", experiment, "--data", data, "--out", out],
        "convert": ["--exp_dir", experiment, "--data", data, "--out", out / "conversion"],
        "extract": ["--exp_dir", experiment, "--data", data, "--out", out],
    }
    for name, given in words.items():
        assert part in command(monkeypatch, capsys, name, *given), name
    assert not out.exists()
    for folder in (experiment, package):
        assert part in refused(ours.subjects, str(folder), "full", ["float32"], "cpu")


def test_every_command_that_loads_an_encoder(
    bad_encoder, kmeans_file, make_data_dir, monkeypatch, capsys, tmp_path, refused
):
    data, out = make_data_dir("test", counted=True), tmp_path / "out"
    teacher = ["--teacher", "speech", "--teacher_conf", f"source={bad_encoder}"]
    words = {
        "info": [bad_encoder],
        "kmeans": ["--encoder_file", bad_encoder, "--data", data, "--layer", 1, "--out", out / "kmeans.npz"],
        "semantic_tokens": ["--encoder_file", bad_encoder, "--kmeans_file", kmeans_file, "--data", data, "--out", out],
        "extract": ["--encoder_file", bad_encoder, "--layers", 1, "--data", data, "--out", out],
        "dump_teacher": [*teacher, "--data", data, "--out", out],
    }
    for name, given in words.items():
        text = command(monkeypatch, capsys, name, *given)
        assert "encoder 'payload_of_a_test:Payload'" in text and str(bad_encoder) in text, name
    assert "encoder" in refused(load_encoder, bad_encoder)


@pytest.mark.parametrize("part", ["frontend", "normalize", "encoder", "loss"])
def test_a_pre_training(experiment, marker, make_data_dir, monkeypatch, capsys, part):
    data = make_data_dir("test")
    base = {**ENCODER, "loss": "best_rq"}
    write_config(experiment, attacked(base, part, NAMES[0], marker))
    torch.save({}, experiment / "valid.loss.best.pth")
    out = experiment.parent / "out"
    text = command(monkeypatch, capsys, "masked_prediction", "--exp_dir", experiment, "--data", data, "--out", out)
    assert part in text and str(experiment) in text
    if part != "loss":
        text = command(monkeypatch, capsys, "export_encoder", "--exp_dir", experiment, "--out", out / "e.safetensors")
        assert part in text and "--allow_import" in text


class Pickled:
    """What a pickle runs when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.mkdir, (self.marker,)


def pickles(marker: Path, folder: Path) -> list[Path]:
    """Files of weights that are more than that: of torch's two formats, a pickle, and one deep inside."""
    bad, tensors = Pickled(marker), {"codec.a": torch.zeros(2)}
    for name, value in {"a": {**tensors, "b": bad}, "deep": [{"x": ({"y": bad},)}], "key": {1: {"state": bad}}}.items():
        torch.save(value, folder / f"{name}.pth")
        torch.save(value, folder / f"old_{name}.pth", _use_new_zipfile_serialization=False)
    (folder / "plain.pth").write_bytes(pickle.dumps(bad))
    return sorted(folder.glob("*.pth"))


def test_weights_are_no_programs(marker, experiment, tmp_path, monkeypatch, capsys, refused):
    from hasrd.models.import_wav2vec2 import load_wav2vec2
    from hasrd.train.checkpoint import read_training

    (tmp_path / "bad").mkdir()
    ssl = tmp_path / "ssl"
    ssl.mkdir()
    write_config(ssl, {**ENCODER, "loss": "best_rq"})
    for bad in pickles(marker, tmp_path / "bad"):
        for read in (read_torch, read_weights, read_training, lambda path: load_wav2vec2(str(path), "")):
            assert str(bad) in refused(read, bad)
        shutil.copy(bad, experiment / "latest.pth")
        shutil.copy(bad, ssl / "valid.loss.best.pth")
        assert "latest.pth" in refused(load_codec, experiment)
        assert "latest.pth" in command(monkeypatch, capsys, "pack", experiment, tmp_path / "out")
        for name, words in {"export_encoder": ["--out", tmp_path / "out"], "choose_layer": []}.items():
            option = "--probe_dir" if name == "choose_layer" else "--exp_dir"
            assert "best.pth" in command(monkeypatch, capsys, name, option, ssl, *words)


def test_tensors_that_claim_more_than_there_is(tmp_path, refused):
    huge = {
        "expanded": torch.zeros(1).expand(10**13),
        "meta": torch.empty(10**13, device="meta"),
        "sparse": torch.sparse_coo_tensor(torch.zeros((1, 0), dtype=torch.long), torch.zeros(0), (10**13,)),
    }
    for name, tensor in huge.items():
        torch.save({"a": tensor}, tmp_path / f"{name}.pth")
        refused(read_weights, tmp_path / f"{name}.pth")
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 64)
    (tmp_path / "b.safetensors").write_bytes((2**63 - 1).to_bytes(8, "little") + b"{}")
    for name in ("a", "b"):
        assert "not a complete file of weights" in refused(read_weights, tmp_path / f"{name}.safetensors")
    # A zip bomb: 64 MiB of zeros in a few bytes.
    import zipfile

    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 2**26)
    assert "larger than the file" in refused(read_weights, tmp_path / "bomb.pth")


def test_tensors_that_are_not_finite(tmp_path, refused):
    front = build_speech_encoder(ENCODER)
    tensors = dict(front.state_dict())
    name = next(name for name in tensors if name.endswith("weight"))
    for value in (torch.nan, torch.inf):
        bad = tensors[name].clone()
        bad.view(-1)[0] = value
        assert name in refused(load_strict, front, {**tensors, name: bad}, tmp_path / "x.pth")


def test_kmeans_files(tmp_path, marker, refused):
    facts = {"layer": 1, "encoder_sha256": "x"}
    books = np.zeros((2, 3), np.float32)
    bad = [
        {"centroids": np.array([Pickled(marker)], dtype=object), "facts": json.dumps(facts)},
        {"centroids": books, "facts": np.array([Pickled(marker)], dtype=object)},
        {"centroids": books, "facts": json.dumps({**facts, "layer": NAMES[0]})},
        {"centroids": books, "facts": json.dumps([facts])},
        {"centroids": books, "facts": json.dumps({"layer": 1})},
        {"centroids": books * np.nan, "facts": json.dumps(facts)},
        {"centroids": books[0], "facts": json.dumps(facts)},
        {"centroids": books.astype(np.int64), "facts": json.dumps(facts)},
    ]
    for content in bad:
        np.savez(tmp_path / "kmeans.npz", **content)
        assert "kmeans.npz" in refused(load_kmeans, tmp_path / "kmeans.npz")


@pytest.mark.parametrize("header", [{}, {"config": "["}, {"config": "[1]"}, {"config": '{"encoder": NaN}'}])
def test_encoder_files_without_configuration(tmp_path, header, refused):
    save_file({"a": torch.zeros(1)}, tmp_path / "e.safetensors", metadata={"format": "pt", **header})
    refused(read_config_of, tmp_path / "e.safetensors")
    refused(load_encoder, tmp_path / "e.safetensors")


def test_a_teacher_that_a_file_names(marker, tmp_path, bad_encoder, refused):
    """teacher.json names the class that runs during the training, and its encoder's file names more."""
    from hasrd.teacher.cache import build_teacher

    for name in NAMES:
        text = refused(build_teacher, name, {"path": str(marker)}, allow_import=False, from_file=True)
        assert "teacher" in text and "allow_import" in text
    conf = {"source": str(bad_encoder)}
    assert "encoder" in refused(build_teacher, "speech", conf, allow_import=False, from_file=False)
    # No option in the file can allow it.
    conf["allow_import"] = True
    assert "--allow_import" in refused(build_teacher, "speech", conf, allow_import=False, from_file=True)


def test_a_peer(tmp_path, marker, refused):
    (tmp_path / "peer.json").write_text("{}")
    for peer in (NAMES[0], {"kind": NAMES[0]}, {"kind": "mimi", "model": 1}, [1], None, {"kind": {"a": NAMES[2]}}):
        write_config(tmp_path, {"peer": peer, **attacked({}, "decoder", NAMES[0], marker)})
        assert "config.yaml" in refused(hasrd.load, tmp_path)


def test_who_allows_it_gets_it(experiment, tmp_path, monkeypatch, capsys, refused):
    """The other side: with the caller's word, a class of one's own is loaded by everything."""
    (tmp_path / "own_of_a_test.py").write_text("from hasrd.decoder.dac import DACDecoder as Own\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = yaml.safe_load((experiment / "config.yaml").read_text())
    write_config(experiment, {**config, "decoder": "own_of_a_test:Own"})
    assert "decoder" in refused(hasrd.load, experiment)
    assert hasrd.load(experiment, allow_import=True).num_codebooks == 4
    folder = pack(experiment, tmp_path / "packed", allow_import=True)
    assert hasrd.load(folder, allow_import=True).model_sha256 == sha256(experiment / "latest.pth")
    monkeypatch.setattr(sys, "argv", ["info", str(experiment), "--allow_import"])
    run_main(importlib.import_module("hasrd.bin.info").main)
    assert "parameters" in capsys.readouterr().out
    own = {**CODEC, "encoder": "hasrd.encoder.cnn_conformer:CNNConformer"}
    save_encoder(tmp_path / "e.safetensors", own, build_speech_encoder(own))
    assert load_encoder(tmp_path / "e.safetensors")[0]["encoder"] == own["encoder"]
