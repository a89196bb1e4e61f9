# Copyright 2026 The hasrd authors
# Apache-2.0
"""Probes on other people's frontends: ESPnet SSL models, S3PRL, and our encoders with layers computed before."""

from __future__ import annotations

import argparse
import copy
import json
import re
import sys
import types
from pathlib import Path

import pytest
import torch
import yaml
from probes import fail, options, train
from safetensors.torch import load_file, save_file

from hasrd.bin import asr_decode
from hasrd.data.kaldi import read_table
from hasrd.encoder.frozen import Frozen
from hasrd.errors import UserError
from hasrd.espnet import decoding
from hasrd.espnet.layer_choice import LOGITS, layer_weights
from hasrd.espnet.upstream import LayerMix, UpstreamFrontend, check_frames, check_frontend, freeze, frozen_sha256
from hasrd.models.checkpoint import load_encoder
from hasrd.tasks.asr import read_upstream
from hasrd.train.entry import load_task

# An ESPnet SSL recipe's configuration, small: HuBERT's loss and masking.
SSL = {
    "frontend": "wav2vec_cnn",
    "frontend_conf": {
        "norm_mode": "layer_norm",
        "conv_mode": "standard",
        "bias": False,
        "shapes": [[8, 10, 5], [8, 8, 8], [8, 8, 8]],
        "normalize_audio": True,
    },
    "preencoder": "linear",
    "preencoder_conf": {"output_size": 16},
    "encoder": "transformer",
    "encoder_conf": {
        "output_size": 16,
        "attention_heads": 2,
        "linear_units": 24,
        "num_blocks": 2,
        "dropout_rate": 0.5,
        "input_layer": "wav2vec",
        "pos_enc_layer_type": "conv",
        "use_flash_attn": False,
    },
    "loss": [{"name": "hubert", "conf": {"num_classes": 5, "final_dim": 8}}],
    "util": [{"name": "mask", "conf": {}}],
    "token_list": ["a", "b"],
}


@pytest.fixture(scope="module")
def ssl_file(tmp_path_factory) -> Path:
    """The weights of an experiment of ESPnet's SSL task, never trained, with config.yaml beside them."""
    task = load_task("espnet2.tasks.ssl:SSLTask")
    folder = tmp_path_factory.mktemp("ssl")
    (folder / "train.yaml").write_text(yaml.safe_dump(SSL))
    args = task.get_parser().parse_args(["--config", str(folder / "train.yaml"), "--output_dir", str(folder)])
    torch.manual_seed(0)
    model = task.build_model(args)
    (folder / "config.yaml").write_text(yaml.safe_dump(vars(args)))
    torch.save(model.state_dict(), folder / "valid.loss.best.pth")
    return folder / "valid.loss.best.pth"


@pytest.fixture
def ssl_upstream(ssl_file, tmp_path) -> Path:
    """A configuration as conf/upstream/espnet_ssl.yaml."""
    template = Path(__file__).parents[2] / "egs2/TEMPLATE/hasrd1/conf/upstream/espnet_ssl.yaml"
    config = yaml.safe_load(template.read_text())
    config["frontend_conf"]["frontend_conf"]["path_or_url"] = str(ssl_file)
    path = tmp_path / "upstream.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def decode(exp_dir: Path, corpus: Path, out: Path, monkeypatch, *words: str) -> dict[str, str]:
    argv = ["--exp_dir", exp_dir, "--kind", "sound", "--inputs", corpus / "valid/wav.scp", "--out", out, *words]
    # An utterance a batch: what one leaves behind is not the next one's.
    monkeypatch.setitem(decoding.BATCH_SIZE, "sound", 1)
    monkeypatch.setattr(sys, "argv", ["asr_decode", *map(str, argv), "--ref", str(corpus / "valid/text")])
    asr_decode.main()
    return read_table(out / "text")


def test_an_espnet_ssl_model(ssl_file, ssl_upstream, corpus, tmp_path, monkeypatch):
    """One option compares it: it stays as it is, the weights over its layers and the probe learn."""
    exp = tmp_path / "exp"
    train(options(corpus, exp, "--upstream_config", str(ssl_upstream)), tmp_path / "log")
    saved = torch.load(exp / "latest.pth", weights_only=True)
    assert [name for name in saved if name.startswith("frontend.")] == [
        "frontend.global_step",
        "frontend.featurizer.weights",
    ], "the model is in no checkpoint"
    assert saved["frontend.featurizer.weights"].abs().sum() > 0
    config = yaml.safe_load((exp / "config.yaml").read_text())
    assert config["frontend"] == "espnet_ssl" and config["upstream_config"] is None and config["frontend_sha256"]
    ssl_upstream.unlink()
    with pytest.raises(UserError, match="exp/config.yaml: frontend 'espnet_ssl' would load a model of others"):
        decode(exp, corpus, tmp_path / "out", monkeypatch)
    assert list(decode(exp, corpus, tmp_path / "out", monkeypatch, "--allow_import")) == ["valid00", "valid01"]

    probe = decoding.load_probe(exp, "latest.pth", allow_import=True).model
    frontend = probe.train().frontend
    assert frontend.featurizer.weights.requires_grad
    wave, lengths = 0.1 * torch.randn(1, 6000), torch.tensor([6000])
    task = load_task("espnet2.tasks.ssl:SSLTask")
    model = task.build_model_from_file(None, str(ssl_file))[0].eval()
    with torch.no_grad():
        _, layers, count = model.inference_encode(wave.clone(), lengths)
        weights = frontend.featurizer.weights.softmax(0)
        wanted = sum(weight * layer for weight, layer in zip(weights, layers))
        for _ in range(2):
            found, found_count = frontend(wave.clone(), lengths)
            torch.testing.assert_close(found, wanted, msg="no dropout and no masks in the probe's training")
            assert found_count.tolist() == count.tolist()

    states = torch.load(ssl_file, weights_only=True)
    changed = {name: tensor + 0.1 if name.endswith("after_norm.bias") else tensor for name, tensor in states.items()}
    assert not all(torch.equal(states[name], changed[name]) for name in states)
    torch.save(changed, ssl_file)
    try:
        with pytest.raises(UserError, match="espnet_ssl: not the trained model that this probe was trained on"):
            decoding.load_probe(exp, "latest.pth", allow_import=True)
    finally:
        torch.save(states, ssl_file)


def test_what_espnet_would_unpickle_is_refused(ssl_file, tmp_path):
    evil = tmp_path / "x.pth"
    conf = {"frontend_conf": {"path_or_url": str(evil)}}
    with pytest.raises(UserError, match="x.pth: no such file"):
        check_frontend("espnet_ssl", conf)
    torch.save({"a": argparse.Namespace()}, evil)
    with pytest.raises(UserError, match="config.yaml: no such file"):
        check_frontend("espnet_ssl", conf)
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(UserError, match="x.pth: not a complete file of weights") as error:
        check_frontend("espnet_ssl", conf)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="no path_or_url"):
        check_frontend("espnet_ssl", {})
    check_frontend("espnet_ssl", {"frontend_conf": {"path_or_url": str(ssl_file)}})


@pytest.mark.parametrize(
    "text, message",
    [
        ("frontend: s3prl\nfrontend_conf: {frontend_conf: {upstream: fbank}}\n", "S3PRL can't be imported .*s3prl"),
        ("frontend: upstream\nlr: 3\n", "upstream.yaml: unknown key lr"),
        ("frontend_conf: {}\n", "upstream.yaml: no frontend"),
    ],
)
def test_one_line_for_what_can_not_be_had(text, message, corpus, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3prl", None)
    path = tmp_path / "upstream.yaml"
    path.write_text(text)
    line = fail(options(corpus, tmp_path / "exp", "--upstream_config", str(path)), tmp_path / "log")
    assert re.search(message, line), line


class Upstream(torch.nn.Module):
    """What ESPnet's frontend asks of S3PRLUpstream."""

    def __init__(self, name, path_or_url=None, normalize=False, extra_conf=None):
        super().__init__()
        self.upstream = torch.nn.Dropout(0.5)
        self.linear = torch.nn.Linear(160, 6)
        self.load_state_dict({"linear.weight": torch.ones(6, 160), "linear.bias": torch.arange(6.0)})

    @classmethod
    def available_names(cls):
        return ["hubert", "hubert_base", "fbank"]

    def forward(self, wave, lengths):
        x = self.upstream(self.linear(wave[:, : wave.shape[1] // 160 * 160].unflatten(1, (-1, 160))))
        return [x, 2 * x], [lengths // 160] * 2


class Featurizer(torch.nn.Module):
    def __init__(self, upstream, layer_selections=None):
        super().__init__()
        self.downsample_rate, self.output_size = 160, 6
        self.weights = torch.nn.Parameter(torch.zeros(2))

    def forward(self, layers, lengths):
        return sum(weight * layer for weight, layer in zip(self.weights.softmax(0), layers)), lengths[0]


@pytest.fixture
def s3prl(monkeypatch):
    """In the place of S3PRL: nothing is downloaded, and its import costs a minute."""
    modules = {name: types.ModuleType(name) for name in ("s3prl", "s3prl.nn")}
    modules["s3prl.nn"].S3PRLUpstream, modules["s3prl.nn"].Featurizer = Upstream, Featurizer
    modules["s3prl"].nn = modules["s3prl.nn"]
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def test_s3prl_through_espnet(s3prl, corpus, tmp_path):
    """ESPnet's own frontend, frozen; also in a fused one, whose projections learn."""
    conf = {"frontend_conf": {"upstream": "hubert_base"}, "multilayer_feature": True}
    template = Path(__file__).parents[2] / "egs2/TEMPLATE/hasrd1/conf/upstream"
    fused = yaml.safe_load((template / "fused.yaml").read_text())
    for part in fused["frontend_conf"]["frontends"]:
        part.pop("download_dir", None)
    for name, config in (("s3prl", {"frontend": "s3prl", "frontend_conf": conf}), ("fused", fused)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        train(options(corpus, tmp_path / name, "--upstream_config", path), tmp_path / f"{name}.log")
        saved = torch.load(tmp_path / name / "latest.pth", weights_only=True)
        assert not [key for key in saved if "upstream" in key]
        learned = "frontend.featurizer.weights" if name == "s3prl" else "frontend.projection_layers.1.weight"
        assert saved[learned].abs().sum() > 0
        decoding.load_probe(tmp_path / name, "latest.pth", allow_import=True)
    with pytest.raises(UserError, match="no upstream 'hubert_x' in S3PRL: it has hubert, hubert_base"):
        check_frontend("s3prl", {"frontend_conf": {"upstream": "hubert_x"}})
    with pytest.raises(UserError, match="no upstream 'x' in S3PRL$"):
        check_frontend("fused", {"frontends": [{"frontend_type": "s3prl", "frontend_conf": {"upstream": "x"}}]})


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """What a foreign module leaves when it is imported."""
    (tmp_path / "payload_of_a_probe.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('marker').touch()\nclass Payload: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "marker"
    assert not (tmp_path / "marker").exists(), "code out of a file has run"


FOREIGN = "payload_of_a_probe:Payload"


@pytest.mark.parametrize(
    "key, name",
    [(key, FOREIGN) for key in ("frontend", "specaug", "normalize", "model", "preencoder", "encoder", "postencoder",
                                "decoder", "preprocessor")]
    + [("encoder", "os:mkdir"), ("encoder", "os.mkdir"), ("encoder", ["rnn"]), ("encoder", {"a": 1})]
    # Classes of ESPnet's that fetch or unpickle what others have made.
    + [("frontend", name) for name in ("s3prl", "whisper", "huggingface", "fused", "espnet_ssl")]
    + [("encoder", name) for name in ("wav2vec2", "hubert", "hubert_pretrain", "whisper", "avhubert", "beats")]
    + [("postencoder", "hugging_face_transformers"), ("decoder", "whisper"), ("decoder", "hugging_face_transformers")],
)  # fmt: skip
def test_a_probe_from_a_file_runs_no_code(marker, corpus, tmp_path, monkeypatch, key, name):
    config = {"encoder": "blstm_probe", "input_size": 3, key: name, f"{key}_conf": {"path": str(marker)}}
    # What a file says of trust counts for nothing.
    config |= {"allow_import": True, "upstream_config": str(tmp_path / "upstream.yaml")}
    (tmp_path / "upstream.yaml").write_text(yaml.safe_dump({"frontend": FOREIGN}))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    torch.save({}, tmp_path / "latest.pth")
    with pytest.raises(UserError, match=f"config.yaml: {key}") as error:
        decode(tmp_path, corpus, tmp_path / "out", monkeypatch, "--model_file", "latest.pth")
    assert "\n" not in str(error.value)


def test_the_encoder_of_a_probe_runs_no_code(marker, encoder_file, corpus, tmp_path):
    """The file that an upstream names is read without trust too, whatever its arguments say."""
    own = tmp_path / "encoder.safetensors"
    own.write_bytes(encoder_file.read_bytes())
    words = ("--frontend", "upstream", "--frontend_conf", f"encoder_file={own}")
    train(options(corpus, tmp_path / "exp", *words), tmp_path / "log")
    save_file(load_file(own), own, metadata={"config": json.dumps({"frontend": FOREIGN, "encoder": "cnn_conformer"})})
    where = tmp_path / "exp/config.yaml"
    config = yaml.safe_load(where.read_text())
    for name in ("upstream", "hasrd.espnet.upstream:UpstreamFrontend"):
        config |= {"frontend": name, "frontend_conf": {"encoder_file": str(own), "allow_import": True}}
        where.write_text(yaml.safe_dump(config))
        with pytest.raises(UserError, match=f"frontend '{FOREIGN}' is no class of hasrd"):
            decoding.load_probe(tmp_path / "exp", "latest.pth")
    log = tmp_path / "again"
    assert f"frontend '{FOREIGN}' is no class of hasrd" in fail(options(corpus, tmp_path / "new", *words), log)


def test_freezing():
    frontend_class = type("S3prlFrontend", (torch.nn.Module,), {})
    frontend = frontend_class()
    frontend.upstream, frontend.featurizer = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    frontend.pretrained_params = copy.deepcopy(frontend.upstream.state_dict())
    assert frozen_sha256(frontend) is None
    parts = torch.nn.ModuleDict({"a": frontend})
    freeze(parts)
    assert isinstance(frontend.upstream, Frozen) and not hasattr(frontend, "pretrained_params")
    assert [name for name, _ in parts.named_parameters()] == ["a.featurizer.weight", "a.featurizer.bias"]
    first = frozen_sha256(parts)
    with torch.no_grad():
        frontend.featurizer.weight += 1
        assert frozen_sha256(parts) == first
        frontend.upstream.module.weight[0, 0] += 1
        assert frozen_sha256(parts) != first


def test_layers_of_an_encoder(encoder_file):
    wave, lengths = 0.1 * torch.randn(2, 8000), torch.tensor([8000, 5000])
    _, front = load_encoder(encoder_file)
    with torch.no_grad():
        layers = front(wave, lengths).layers
        one, counts = UpstreamFrontend(str(encoder_file), layer=1)(wave, lengths)
        assert torch.equal(one, layers[1])
        mix, cached = UpstreamFrontend(str(encoder_file)), LayerMix(len(layers), 16)
        mix.layer_logits += torch.tensor([0.0, 1.0, -1.0])
        cached.load_state_dict(mix.state_dict())
        normalized = torch.cat([torch.nn.functional.layer_norm(x, x.shape[-1:]) for x in layers], dim=-1)
        torch.testing.assert_close(cached(normalized, counts)[0], mix(wave, lengths)[0])
        assert mix.output_size() == cached.output_size() == 16
        weights = torch.tensor([0.0, 1.0, -1.0]).softmax(0)
        torch.testing.assert_close(mix.layer_weights, weights)
        wanted = sum(w * x for w, x in zip(weights, normalized.split(16, dim=-1)))
        torch.testing.assert_close(mix(wave, lengths)[0], wanted)
    for layer in (-1, 3):
        with pytest.raises(UserError, match=f"no layer {layer}: this encoder has layers 0 to 2"):
            UpstreamFrontend(str(encoder_file), layer=layer)


@pytest.mark.parametrize("name", ["HubertModel", "WavLMModel"])
def test_a_folder_of_transformers(name, tmp_path):
    """conf/upstream/huggingface.yaml with a local folder: transformers' own layers, and a frame for each of its."""
    transformers = pytest.importorskip("transformers")
    cls = getattr(transformers, name)
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 40, "num_hidden_layers": 2}
    positions = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    model = cls(cls.config_class(**sizes, **positions, conv_dim=[16] * 7)).eval()
    model.save_pretrained(tmp_path / "model")
    template = Path(__file__).parents[2] / "egs2/TEMPLATE/hasrd1/conf/upstream/huggingface.yaml"
    (tmp_path / "upstream.yaml").write_text(
        template.read_text().replace("downloads/hubert-base-ls960", str(tmp_path / "model"))
    )
    args = argparse.Namespace(upstream_config=str(tmp_path / "upstream.yaml"))
    read_upstream(args)
    assert args.frontend == "upstream"
    frontend = UpstreamFrontend(**args.frontend_conf, fs="16k")
    wave = 0.1 * torch.randn(1, 9000)
    with torch.no_grad():
        hidden = model(wave, output_hidden_states=True).hidden_states
        found, lengths = frontend(wave, torch.tensor([9000]))
        normalized = [torch.nn.functional.layer_norm(x, x.shape[-1:]) for x in hidden]
    assert lengths.tolist() == [hidden[0].shape[1]] == [found.shape[1]]
    # As of the importer, behind a normalisation.
    torch.testing.assert_close(found, sum(normalized) / len(hidden), atol=1e-4, rtol=0)
    with pytest.raises(UserError, match="takes speech at 16000 Hz, not at 24k"):
        UpstreamFrontend(**args.frontend_conf, fs="24k")
    with pytest.raises(UserError, match="no such file"):
        UpstreamFrontend(str(tmp_path / "none"))


def test_a_frontend_that_takes_samples_for_frames_is_refused():
    """ESPnet's own for models of transformers, unless they take features."""
    frontend = type("HuggingFaceFrontend", (torch.nn.Module,), {})()
    fused = torch.nn.ModuleDict({"frontend": frontend})
    frontend.processor = argparse.Namespace(model_input_names=["input_features", "attention_mask"])
    check_frames(fused)
    frontend.processor.model_input_names = ["input_values"]
    with pytest.raises(UserError, match="frontend huggingface: .* take the frontend upstream"):
        check_frames(fused)


def test_another_encoder_is_refused(encoder_file, corpus, tmp_path):
    from hasrd.models.checkpoint import save_encoder

    own = tmp_path / "encoder.safetensors"
    own.write_bytes(encoder_file.read_bytes())
    words = ("--frontend", "upstream", "--frontend_conf", f"encoder_file={own}")
    train(options(corpus, tmp_path / "exp", *words), tmp_path / "log")
    assert len(layer_weights(tmp_path / "exp", "latest.pth")) == 3
    assert LOGITS in torch.load(tmp_path / "exp/latest.pth", weights_only=True)
    decoding.load_probe(tmp_path / "exp", "latest.pth")
    config, front = load_encoder(own)
    with torch.no_grad():
        next(front.parameters()).add_(0.1)
    save_encoder(own, config, front)
    with pytest.raises(UserError, match="not the trained model that this probe was trained on"):
        decoding.load_probe(tmp_path / "exp", "latest.pth")
