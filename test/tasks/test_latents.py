# Copyright 2026 The hasrd authors
# Apache-2.0
"""A codec's training on the latents of whole utterances."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from children import codec_options, error_of, finish, start, write_corpus

from hasrd.bin.dump_latents import main as dump
from hasrd.codec.latent_cache import FACTS
from hasrd.encoder.layers import length_mask
from hasrd.espnet.codec_model import CodecModel
from hasrd.jobs.origin import difference
from hasrd.models.load import load_codec
from hasrd.train.entry import load_task
from hasrd.train.origin import origin_of, read_options

TASK = "hasrd.tasks.codec:CodecTask"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    write_corpus(root, {"train": 4, "valid": 2})
    return root


def options(corpus: Path, out: Path, encoder_file: Path, kmeans_file: Path, *more: str) -> list[str]:
    argv = codec_options(corpus, out, 1)
    for name in ("--encoder", "--encoder_conf", "--quantizer_conf"):
        while name in argv:
            at = argv.index(name)
            del argv[at : at + 2]
    return [
        *argv, "--encoder_file", str(encoder_file), "--kmeans_file", str(kmeans_file), "--quantizer", "hasrd",
        "--quantizer_conf", "{num_codebooks: 2, codebook_size: 16, codebook_dim: 4}", *more,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def latents(corpus, encoder_file) -> list[str]:
    sets = [str(corpus / name) for name in ("train", "valid")]
    words = ["--encoder_file", str(encoder_file), "--out", str(corpus / "latents"), "--data", *sets]
    dump([*words, "--loudness=-16"])
    return [str(corpus / "latents" / name) for name in ("train", "valid")]


def test_a_training(corpus, latents, encoder_file, kmeans_file, tmp_path):
    out = tmp_path / "codec"
    argv = options(corpus, out, encoder_file, kmeans_file, "--latent_dirs", *latents)
    finish(start(load_task(TASK), argv, tmp_path / "log"), tmp_path / "log")
    assert load_codec(out).loudness == -16.0


def test_with_them_it_is_another_training(corpus, latents, encoder_file, kmeans_file, tmp_path):
    """What they are made from is known already: of them nothing but the description is hashed."""
    argv = options(corpus, tmp_path, encoder_file, kmeans_file)
    without, origin = (origin_of(read_options(words)) for words in (argv, [*argv, "--latent_dirs", *latents]))
    assert "latent_dirs" in difference(without.record(), origin.record())
    added = {name: Path(path).name for name, path in origin.files.items() if name not in without.files}
    assert added == {"latent_dirs.0/latents.json": FACTS, "latent_dirs.1/latents.json": FACTS}


def test_of_another_level_they_are_refused(corpus, latents, encoder_file, kmeans_file, tmp_path):
    argv = options(corpus, tmp_path / "codec", encoder_file, kmeans_file, "--latent_dirs", *latents, "--loudness=-20")
    process = start(load_task(TASK), argv, tmp_path / "log")
    process.join()
    assert process.exitcode == 1
    assert "the latents are of loudness -16.0, the codec has -20.0" in error_of(tmp_path / "log")


def test_of_an_utterance_from_its_start_on_the_model_gives_what_it_gives_of_the_wave(codec_dir, speech):
    """Where a segment is the whole utterance, the encoder gives the same layers."""
    torch.manual_seed(0)
    model = CodecModel(load_codec(codec_dir), None).eval()
    wave = torch.from_numpy(speech[:30000])[None].repeat(2, 1)
    lengths = torch.tensor([30000, 17000])
    wave = wave * length_mask(lengths, 30000)
    encoded = model.codec.features(wave, lengths)
    layers = torch.cat(encoded.layers, -1)
    live = model(wave, lengths)
    cached = model(wave, lengths, encoder_layers=layers, encoder_layers_lengths=encoded.lengths)
    assert live["stats"].keys() == cached["stats"].keys()
    for name, value in live["stats"].items():
        assert torch.equal(value, cached["stats"][name]), name
