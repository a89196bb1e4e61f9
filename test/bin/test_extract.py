# Copyright 2026 The hasrd authors
# Apache-2.0
"""What probes read, from an encoder alone and layer by layer; probes on it, their seeds, and beam search."""

from __future__ import annotations

import sys
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch
import yaml
from probes import options, train, write_probe_corpus

from hasrd.bin import extract, probe
from hasrd.data.audio import read_audio
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.espnet.layer_choice import LOGITS
from hasrd.jobs.origin import read_record
from hasrd.models.checkpoint import load_encoder

LENGTHS = (4000, 16000, 784)


def run(monkeypatch, module, *words) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, words)])
    module.main()


@pytest.fixture
def data(make_data_dir) -> Path:
    """A data directory with the table that validate_data writes."""
    folder = make_data_dir("test", LENGTHS)
    names = read_table(folder / "wav.scp")
    (folder / "utt2num_samples").write_text("".join(f"{name} {length}\n" for name, length in zip(names, LENGTHS)))
    return folder


def layers_of(encoder_file: Path, data: Path) -> dict[str, list[np.ndarray]]:
    """What the encoder gives for each utterance alone."""
    _, front = load_encoder(encoder_file)
    with torch.no_grad():
        waves = {u: torch.from_numpy(read_audio(path, 16000)) for u, path in read_table(data / "wav.scp").items()}
        outputs = {u: front(wave[None], torch.tensor([len(wave)])).layers for u, wave in waves.items()}
    return {u: [x[0].numpy() for x in layers] for u, layers in outputs.items()}


def test_an_encoder_and_its_kmeans(monkeypatch, encoder_file, kmeans_file, codec_dir, data, tmp_path):
    """The same as from the codec that stands on them, in the same files."""
    words = ("--encoder_file", encoder_file, "--kmeans_file", kmeans_file, "--data", data)
    run(monkeypatch, extract, *words, "--layers", "0,2", "--out", tmp_path / "ssl")
    run(monkeypatch, extract, "--exp_dir", codec_dir, "--data", data, "--layers", "2", "--out", tmp_path / "codec")
    for name in ("latent", "semantic", "layer_2"):
        ours, codecs = (kaldiio.load_scp(str(tmp_path / kind / f"{name}.scp")) for kind in ("ssl", "codec"))
        for utterance in read_table(data / "wav.scp"):
            # Rounding: the codec's encoder gets the speech at the codec's level.
            np.testing.assert_allclose(ours[utterance], codecs[utterance], atol=1e-4)
            assert ours[utterance].dtype == codecs[utterance].dtype
        shapes = [(tmp_path / kind / f"{name}_shape").read_text() for kind in ("ssl", "codec")]
        assert shapes[0] == shapes[1]
    assert yaml.safe_load((tmp_path / "ssl/semantic_codebook_sizes").read_text()) == [8]
    assert (tmp_path / "ssl/tokens.scp").exists() and not (tmp_path / "ssl/acoustic.scp").exists()
    expected = layers_of(encoder_file, data)
    for number in (0, 2):
        found = kaldiio.load_scp(str(tmp_path / f"ssl/layer_{number}.scp"))
        for utterance, layers in expected.items():
            np.testing.assert_allclose(found[utterance], layers[number], atol=1e-5)


@pytest.mark.parametrize("source", ["encoder", "codec"])
def test_all_layers(monkeypatch, source, encoder_file, codec_dir, data, tmp_path):
    words = ("--encoder_file", encoder_file) if source == "encoder" else ("--exp_dir", codec_dir)
    run(monkeypatch, extract, *words, "--data", data, "--all_layers", "--out", tmp_path)
    assert yaml.safe_load((tmp_path / "layers_conf").read_text()) == {"num_layers": 3, "size": 16}
    assert (tmp_path / "latent.scp").exists() == (source == "codec")
    found = kaldiio.load_scp(str(tmp_path / "layers.scp"))
    for utterance, layers in layers_of(encoder_file, data).items():
        normal = [(x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) for x in layers]
        np.testing.assert_allclose(found[utterance], np.concatenate(normal, axis=-1), atol=1e-3)
        assert read_table(tmp_path / "layers_shape")[utterance] == f"{len(layers[0])},48"


def test_a_bound_for_all_sets(monkeypatch, capsys, encoder_file, data, tmp_path):
    words = ("--encoder_file", encoder_file, "--data", data, "--all_layers", "--out", tmp_path / "out")
    # 8 + 31 + 1 tokens of 3 layers of 16 numbers of 2 bytes: 3840 bytes a set.
    run(monkeypatch, extract, *words, "--cache_gb", 3900 / 2**30)
    assert (tmp_path / "out/layers.scp").exists()
    run(monkeypatch, extract, *words, "--cache_gb", 3900 / 2**30, "--cache_sets", data, data)
    assert "more than --cache_gb" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("layers*")), "nothing stands there that the recipe would take for whole"
    run(monkeypatch, extract, *words[:4], "--layers", "1", "--out", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").glob("*.scp")} == {"layer_1.scp"}


def test_further_layers_leave_the_others(monkeypatch, capsys, encoder_file, kmeans_file, data, tmp_path):
    words = ("--encoder_file", encoder_file, "--kmeans_file", kmeans_file, "--data", data, "--out", tmp_path / "out")
    run(monkeypatch, extract, *words, "--layers", "1", "--all_layers")
    names = {path.name for path in (tmp_path / "out").glob("*.scp")}
    assert names == {"latent.scp", "tokens.scp", "semantic.scp", "layer_1.scp", "layers.scp"}
    run(monkeypatch, extract, *words, "--layers", "2")
    assert {path.name for path in (tmp_path / "out").glob("*.scp")} == names | {"layer_2.scp"}
    capsys.readouterr()
    run(monkeypatch, extract, *words)
    assert "nothing to compute" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "one of them"),
        (["--exp_dir", "x", "--encoder_file", "y"], "one of them"),
        (["--encoder_file", "ENCODER"], "nothing is asked for"),
        (["--exp_dir", "x", "--kmeans_file", "y"], "a codec has its own"),
        (["--encoder_file", "ENCODER", "--layers", "1,3"], "no layer 3: this encoder has layers 0 to 2"),
        (["--encoder_file", "none", "--all_layers"], "none: no such encoder file"),
        (["--encoder_file", "ENCODER", "--kmeans_file", "none"], "none: no such k-means file"),
    ],
)
def test_options_that_do_not_fit(monkeypatch, words, message, encoder_file, data, tmp_path):
    words = [str(encoder_file) if word == "ENCODER" else word for word in words]
    with pytest.raises(UserError, match=message):
        run(monkeypatch, extract, *words, "--data", data, "--out", tmp_path / "out")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_probe_corpus(tmp_path_factory.mktemp("corpus"), 16)


def states_of(argv: list[str], out: Path) -> dict[str, torch.Tensor]:
    train(argv, out.with_suffix(".log"))
    return torch.load(out / "latest.pth", weights_only=True)


def test_the_mix_of_layers_computed_before(monkeypatch, encoder_file, corpus, tmp_path):
    """It is the mix computed on the fly: after the same steps the same weights, but for the archive's 16 bits."""
    for part in ("train", "valid"):
        words = ("--encoder_file", encoder_file, "--data", corpus / part, "--all_layers")
        run(monkeypatch, extract, *words, "--out", tmp_path / "cache" / part)
        for table in ("text", "utt2num_samples"):
            (tmp_path / "cache" / part / table).write_text((corpus / part / table).read_text())
    (tmp_path / "cache/tokens.txt").write_text((corpus / "tokens.txt").read_text())
    conf = (tmp_path / "cache/train/layers_conf").read_text()
    # Adam would bring gradients that are nothing but rounding to full size.
    words = ("--optim", "sgd", "--optim_conf", "lr=0.1", "--grad_clip", "1", "--frontend")
    cached = options(
        tmp_path / "cache", tmp_path / "cached", *words, "layer_mix", "--frontend_conf", conf,
        scp="layers.scp", kind="kaldi_ark",
    )  # fmt: skip
    live = options(corpus, tmp_path / "live", *words, "upstream", "--frontend_conf", f"encoder_file={encoder_file}")
    ours, theirs = states_of(cached, tmp_path / "cached"), states_of(live, tmp_path / "live")
    assert ours.keys() == theirs.keys() and ours[LOGITS].abs().max() > 1e-3
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], atol=1e-4, rtol=0)


def test_seeds(monkeypatch, encoder_file, kmeans_file, corpus, tmp_path):
    """The same seed gives the same weights; another one other initial weights and batches, from the same inputs."""
    for part in ("train", "valid"):
        words = ("--encoder_file", encoder_file, "--kmeans_file", kmeans_file, "--data", corpus / part)
        run(monkeypatch, extract, *words, "--out", tmp_path / part)
        for table in ("text", "utt2num_samples"):
            (tmp_path / part / table).write_text((corpus / part / table).read_text())
    (tmp_path / "tokens.txt").write_text((corpus / "tokens.txt").read_text())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.ark")}

    def with_seed(name: str, seed: int) -> tuple[dict[str, torch.Tensor], str]:
        words = ("--input_size", "16", "--seed", str(seed), "--log_interval", "1", "--batch_type", "unsorted")
        argv = options(tmp_path, tmp_path / name, *words, scp="latent.scp", kind="kaldi_ark")
        states = states_of(argv, tmp_path / name)
        log = (tmp_path / name).with_suffix(".log").read_text()
        return states, [part.split(",")[0] for part in log.split("loss_ctc=")[1:]]

    (first, order), (again, same_order), (other, other_order) = (
        with_seed(name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1000))
    )
    assert all(torch.equal(first[name], again[name]) for name in first) and order == same_order
    assert not any(torch.equal(first[name], other[name]) for name in first) and order != other_order
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.ark")} == before
    # Codes come through an embedding; what a configuration does to features is not done to them.
    sizes = (tmp_path / "train/semantic_codebook_sizes").read_text()
    words = ("--input_size", "1", "--encoder_conf", f"codebook_sizes={sizes}")
    words += ("--normalize", "utterance_mvn", "--normalize_conf", "norm_vars=true", "--specaug", "specaug")
    codes = states_of(options(tmp_path, tmp_path / "d", *words, scp="semantic.scp", kind="kaldi_ark"), tmp_path / "d")
    assert codes["encoder.embeddings.0.weight"].shape == (8, 8)
    # hasrd.bin.probe: training, done already, and decoding in one command.
    out = tmp_path / "decoded"
    words = ["--exp_dir", tmp_path / "a", "--model_file", "latest.pth", "--inputs", tmp_path / "valid/latent.scp"]
    words += ["--ref", corpus / "valid/text", "--out", out]
    training = ["--", "--output_dir", tmp_path / "a", "--max_epoch", "2"]
    for beam, stamp in ((1, None), (4, None), (4, "same")):
        known = (out / "text").stat().st_mtime_ns if stamp else None
        run(monkeypatch, probe, *words, "--beam_size", beam, *training)
        assert list(read_table(out / "text")) == ["valid00", "valid01"]
        assert read_record(out / "text")["options"]["beam_size"] == int(beam)
        assert known in (None, (out / "text").stat().st_mtime_ns), "done already"
