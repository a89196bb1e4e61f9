# Copyright 2026 The hasrd authors
# Apache-2.0
"""Experiment folders of codecs of other packages: made once, refused when changed, taken by the stages."""

from __future__ import annotations

import json
import shutil
import sys

import kaldiio
import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file, save_file

import hasrd
from hasrd.bin import extract, import_peer, info, tokenize
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.models.load import load_codec
from hasrd.peers import experiment, peer

LENGTHS = (8000, 16000, 700)


def run(monkeypatch, module, *words) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
    module.main()


@pytest.fixture
def copied(published, tmp_path):
    """copied(name) -> the kind and a copy of what was published, which may be changed."""

    def copy(name):
        model = published(name)
        target = tmp_path / "published" / model.path.name
        target.parent.mkdir()
        (shutil.copytree if model.path.is_dir() else shutil.copy)(model.path, target)
        return model.kind, target

    return copy


@pytest.mark.parametrize("name, columns", [("mimi", 8), ("snac", 7)])
def test_the_stages_take_it(name, columns, published, monkeypatch, make_data_dir, tmp_path, capsys):
    model, exp = published(name), tmp_path / "exp/codec_peer"
    import_peer.main(["--kind", model.kind, "--model", str(model.path), "--out", str(exp)])
    data = make_data_dir("test", LENGTHS)
    words = ("--exp_dir", exp, "--model_file", "peer.json", "--data", data)
    run(monkeypatch, tokenize, *words, "--num_books", "1 2", "--out", tmp_path / "tokens")
    run(monkeypatch, extract, *words, "--out", tmp_path / "probe")
    codes = kaldiio.load_scp(str(tmp_path / "tokens/codes.scp"))
    arrays = {kind: kaldiio.load_scp(str(tmp_path / f"probe/{kind}.scp")) for kind in ("latent", "tokens")}
    versions = ["combined", "books_1", "books_2"]
    if name == "mimi":
        versions += ["semantic", "acoustic", "shuffled"]
        assert np.array_equal(
            kaldiio.load_scp(str(tmp_path / "probe/semantic.scp"))["test-0001"], codes["test-0001"][:, :1]
        )
    codec = load_codec(exp)
    for utterance, path in read_table(data / "wav.scp").items():
        wave, _ = soundfile.read(path, dtype="float32")
        tokens = codec.encode(torch.from_numpy(wave)[None])
        assert np.array_equal(codes[utterance], tokens.codes[0].numpy()) and codes[utterance].shape[1] == columns
        assert np.array_equal(arrays["tokens"][utterance], codes[utterance])
        assert len(arrays["latent"][utterance]) == len(codes[utterance])
        for version in versions:
            audio, rate = soundfile.read(read_table(tmp_path / f"tokens/{version}/wav.scp")[utterance])
            assert len(audio) == len(wave) and rate == 16000
    facts = json.loads((tmp_path / "tokens/codes.json").read_text())
    assert facts["frame_rate"] == codec.frame_rate and len(facts["codebook_sizes"]) == columns
    capsys.readouterr()
    # Again: nothing to compute.
    run(monkeypatch, tokenize, *words, "--num_books", "1 2", "--out", tmp_path / "tokens")
    assert "nothing to compute" in capsys.readouterr().err


def test_import_says_what_it_is_and_does_it_once(copied, tmp_path, capsys, monkeypatch):
    kind, model = copied("mimi")
    words = ["--kind", kind, "--model", str(model), "--out", str(tmp_path / "exp")]
    import_peer.main(words)
    first = capsys.readouterr().out
    for text in ("12.5 frames", "1.10 kbps", "1 semantic, 7 acoustic", "16000 to 24000 Hz", "24000 to 16000 Hz"):
        assert text in first, text
    before = (tmp_path / "exp/peer.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setitem(experiment.KINDS, kind, experiment.Kind(experiment.KINDS[kind].files, None, ""))
        import_peer.main(words)  # does not load it
    assert "is there already" in capsys.readouterr().out and (tmp_path / "exp/peer.json").read_bytes() == before
    with pytest.raises(UserError, match="holds another experiment: num_codebooks was null and is 4"):
        import_peer.main([*words, "--num_codebooks", "4"])
    # A kill has left it without its last file: the same import ends it, another one is refused.
    (tmp_path / "exp/peer.json").unlink()
    with pytest.raises(UserError, match="holds another experiment"):
        import_peer.main([*words, "--num_codebooks", "4"])
    import_peer.main(words)
    assert "is there already" not in capsys.readouterr().out and (tmp_path / "exp/peer.json").read_bytes() == before
    # A moved model is the same codec.
    moved = model.rename(model.with_name("moved"))
    with pytest.raises(UserError, match="no such file or folder"):
        load_codec(tmp_path / "exp")
    import_peer.main([*words[:3], str(moved), *words[4:]])
    assert "is there already" in capsys.readouterr().out and (tmp_path / "exp/peer.json").read_bytes() == before
    assert load_codec(tmp_path / "exp").num_codebooks == 8
    info.main([str(tmp_path / "exp")])
    shown = capsys.readouterr().out
    for text in ("12.5 Hz", "1.10 kbps", "8 (1 semantic, 7 acoustic) of 2048", "24000 Hz inside", "model.safetensors"):
        assert text in shown, text
    info.main([str(tmp_path / "exp"), "--json"])
    assert json.loads(capsys.readouterr().out)["bitrate_bps"] == pytest.approx(1100)


def test_changed_files_are_refused(copied, tmp_path):
    kind, model = copied("mimi")
    exp = tmp_path / "exp"
    experiment.import_peer(kind, model, exp)
    load_codec(exp)
    weights, config = model / "model.safetensors", (exp / "config.yaml").read_text()
    tensors = load_file(weights)
    before = weights.read_bytes()
    name = next(name for name in tensors if "encoder" in name and tensors[name].is_floating_point())
    save_file({**tensors, name: tensors[name] + 1e-3}, weights, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"model.safetensors: not what .*config.yaml was made from"):
        load_codec(exp)
    weights.write_bytes(before)
    model.rename(model.with_name("away"))
    with pytest.raises(UserError, match="no such file or folder.*bring it back"):
        load_codec(exp)
    model.with_name("away").rename(model)
    changed = yaml.safe_load(config)
    changed["peer"]["num_codebooks"] = 4
    (exp / "config.yaml").write_text(yaml.safe_dump(changed))
    with pytest.raises(UserError, match="config.yaml: changed since"):
        load_codec(exp)
    (exp / "config.yaml").write_text(config)
    with pytest.raises(UserError, match="latest.pth: no such file: .* peer.json"):
        load_codec(exp, "latest.pth")


def test_a_relative_path_counts_from_any_folder_above(copied, tmp_path, monkeypatch):
    kind, model = copied("dac")
    monkeypatch.chdir(tmp_path)
    experiment.import_peer(kind, model.relative_to(tmp_path), "exp/codec_dac", num_codebooks=2)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_codec(tmp_path / "exp/codec_dac").num_codebooks == 2


@pytest.mark.parametrize(
    "name, options, books, kbps",
    [
        ("encodec", {}, 8, 6.0), ("encodec", {"kbps": 1.5}, 2, 1.5), ("encodec", {"num_codebooks": 5}, 5, 3.75),
        ("mimi", {"num_codebooks": 32}, 32, 4.4), ("mimi", {"kbps": 0.55}, 4, 0.55),
        ("dac", {"num_codebooks": 9}, 9, 2.8125), ("snac", {"num_codebooks": 2}, 3, 0.421875),
    ],
)  # fmt: skip
def test_how_many_codebooks(name, options, books, kbps, published, tmp_path):
    model = published(name)
    facts, _ = experiment.import_peer(model.kind, model.path, tmp_path / "exp", **options)
    assert len(facts["codebook_sizes"]) == books and facts["bitrate_bps"] == pytest.approx(1000 * kbps)
    codec = load_codec(tmp_path / "exp")
    wave = 0.1 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    tokens = codec.encode(wave)
    assert tokens.codes.shape[2] == books and codec.decode(tokens).shape == wave.shape
    # The first of more codebooks are the same.
    experiment.import_peer(model.kind, model.path, tmp_path / "all")
    more = load_codec(tmp_path / "all").encode(wave)
    number = min(books, more.codes.shape[2])
    assert torch.equal(more.codes[..., :number], tokens.codes[..., :number])


def test_what_cannot_be_imported_is_one_line(copied, tmp_path, monkeypatch):
    kind, model = copied("mimi")
    config = json.loads((model / "config.json").read_text())

    def refused(match, *words):
        out = tmp_path / "out"
        with pytest.raises(UserError, match=match) as found:
            import_peer.main([*map(str, words), "--out", str(out)])
        assert "\n" not in str(found.value) and not list(out.glob("*"))

    refused("model_type is 'mimi', but encodec is wanted", "--kind", "encodec", "--model", model)
    refused("no such folder", "--kind", "snac", "--model", tmp_path / "nothing")
    refused("--kind dac takes a file", "--kind", "dac", "--model", model)
    refused("nothing.pth: no such file", "--kind", "dac", "--model", tmp_path / "nothing.pth")
    refused("this codec has 32", "--kind", kind, "--model", model, "--num_codebooks", 33)
    refused("the first codebook alone has", "--kind", kind, "--model", model, "--bandwidth", 0.1)
    (tmp_path / "empty").mkdir()
    refused("neither model.safetensors nor pytorch_model.bin", "--kind", "mimi", "--model", tmp_path / "empty")
    (tmp_path / "empty/config.json").write_text("{}")
    refused("one file of weights is needed", "--kind", "speechtokenizer", "--model", tmp_path / "empty")

    weights, before = model / "model.safetensors", (model / "model.safetensors").read_bytes()
    tensors = load_file(weights)
    tensors.pop(next(name for name in tensors if "decoder" in name))
    save_file(tensors, weights, metadata={"format": "pt"})
    refused("its weights lack", "--kind", kind, "--model", model)
    weights.write_bytes(before[: len(before) // 2])
    refused("cannot be loaded", "--kind", kind, "--model", model)
    weights.write_bytes(before)
    for change, match in (
        ({"architectures": ["BertModel"]}, "which is no codec of transformers"),
        ({"architectures": ["no_such.Model"]}, "which is no codec of transformers"),
        ({"audio_channels": 2}, "cannot be loaded|channels|lack"),
    ):
        (model / "config.json").write_text(json.dumps({**config, **change}))
        refused(match, "--kind", "huggingface", "--model", model)
    (model / "config.json").write_text("{")
    refused("config.json: not JSON", "--kind", kind, "--model", model)
    monkeypatch.setattr(peer.importlib, "import_module", lambda name: __import__("no_such_codec"))
    refused("is not installed .*tools/install.sh --extras bench", "--kind", "dac", "--model", weights)


class Harmful:
    """Would write a file if it were unpickled."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", ["dac", "speechtokenizer", "snac"])
def test_nothing_is_run(name, copied, published, tmp_path):
    kind, model = copied(name)
    weights = model / published(name).weights.name if model.is_dir() else model
    torch.save({"state_dict": {}, "metadata": Harmful(tmp_path / "harm")}, weights)
    with pytest.raises(UserError, match="not a complete file of"):
        experiment.import_peer(kind, model, tmp_path / "exp")
    assert not (tmp_path / "harm").exists() and not (tmp_path / "exp").exists()


def test_official_dac_saved_with_its_code_is_refused(published, tmp_path):
    model = published("dac").model
    model.save(tmp_path / "package.pth")
    with pytest.raises(UserError, match="package=False"):
        experiment.import_peer("dac", tmp_path / "package.pth", tmp_path / "exp")


def test_from_python(published, tmp_path):
    model = published("encodec")
    experiment.import_peer(model.kind, model.path, tmp_path / "exp")
    tokenizer = hasrd.load(tmp_path / "exp")
    wave = 0.1 * torch.randn(1, 20000, generator=torch.Generator().manual_seed(0))
    tokens = tokenizer.encode(wave[0], 16000)
    assert tokens.codes.shape == (1, 94, 8) and tokenizer.frame_rate == 75
    assert torch.equal(tokenizer.decode(tokens), load_codec(tmp_path / "exp").decode(tokens))
    tokenizer.save_tokens(tmp_path / "a.npz", tokens)
    assert torch.equal(tokenizer.load_tokens(tmp_path / "a.npz").codes, tokens.codes)
    assert tokenizer.decode(tokens.codes).shape[1] >= 20000  # without the length: whole tokens
    with pytest.raises(UserError, match="float32"):
        hasrd.load(tmp_path / "exp", dtype="bfloat16")


def test_the_kinds_of_the_command_are_those_that_there_are():
    assert import_peer.KINDS == tuple(experiment.KINDS)


@pytest.mark.parametrize("name", ["PreTrainedTokenizerFast", "AutoTokenizer", "logging", "os.system", ["a"], None])
def test_what_a_hugging_face_folder_names_is_a_model_of_transformers(tmp_path, name):
    """Other classes of the package read other files, and some of these could hold anything."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"")
    auto = {"AutoFeatureExtractor": "evil.Extractor", "AutoModel": "evil.Model", "AutoConfig": "evil.Config"}
    (folder / "config.json").write_text(json.dumps({"architectures": [name], "auto_map": auto}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"auto_map": auto}))
    (folder / "evil.py").write_text("from pathlib import Path\nPath(__file__).with_name('marker').touch()\n")
    with pytest.raises(UserError, match="which is no codec of transformers") as error:
        experiment.import_peer("huggingface", folder, tmp_path / "exp")
    assert "\n" not in str(error.value) and not (folder / "marker").exists()
