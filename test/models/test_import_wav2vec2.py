# Copyright 2026 The hasrd authors
# Apache-2.0
"""wav2vec 2.0 and its kin of transformers, torchaudio and ESPnet: the same outputs from their files; a codec on top."""

from __future__ import annotations

import json
import sys
import types

import pytest
import torch
import yaml

from hasrd.bin import import_encoder
from hasrd.codec.build import build_modules
from hasrd.codec.codec import Codec
from hasrd.encoder.wav2vec2 import CONV_LAYERS
from hasrd.encoder.wavlm import DistanceBias
from hasrd.models.checkpoint import load_encoder
from hasrd.models.import_wav2vec2 import load_wav2vec2

SHAPES = [(16, kernel, stride) for _, kernel, stride in CONV_LAYERS]
WAVE = 0.1 * torch.randn(2, 9000, generator=torch.Generator().manual_seed(0)) + 0.05
LENGTHS = torch.full((2,), 9000)
TORCHAUDIO = {
    "extractor_mode": "group_norm",
    "extractor_conv_layer_config": SHAPES,
    "extractor_conv_bias": False,
    "encoder_embed_dim": 128,
    "encoder_projection_dropout": 0.1,
    "encoder_pos_conv_kernel": 128,
    "encoder_pos_conv_groups": 16,
    "encoder_num_layers": 2,
    "encoder_num_heads": 2,
    "encoder_attention_dropout": 0.1,
    "encoder_ff_interm_features": 96,
    "encoder_ff_interm_dropout": 0.1,
    "encoder_dropout": 0.1,
    "encoder_layer_norm_first": False,
    "encoder_layer_drop": 0.1,
}


def torchaudio_model(**changes):
    models = pytest.importorskip("torchaudio.models")
    torch.manual_seed(0)
    return models.wav2vec2_model(**{**TORCHAUDIO, **changes}, aux_num_out=None).eval()


def run(source, out, monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["import-encoder", str(source), "--out", str(out), *options])
    import_encoder.main()
    return load_encoder(out)


# Of outputs of about 1: float32 sums in another order; our group norm is a factor of the kernels, from statistics in
# float64.
TOLERANCE = 2e-5


def assert_same(front, layers, wave=WAVE):
    """The outputs behind each block, or of all layers, are those of `layers`."""
    with torch.no_grad():
        output = front(wave, torch.full((len(wave),), wave.shape[1]))
    for ours, theirs in zip(output.layers[-len(layers) :], layers, strict=True):
        torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


@pytest.fixture
def transformers_folder(make_model, tmp_path):
    """make(model's class, preprocessor, **changes) -> transformers' model and its folder."""

    def make(cls="HubertModel", preprocessor=None, **changes):
        folder = tmp_path / "transformers"
        model = make_model(folder, cls, **changes)
        if preprocessor is not None:
            (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
        return model, folder

    return make


LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}


@pytest.mark.parametrize("pretraining", [False, True], ids=["model", "pretraining"])
def test_torchaudios_file(tmp_path, monkeypatch, pretraining):
    model = torchaudio_model()
    tensors = model.state_dict()
    if pretraining:
        tensors = {f"wav2vec2.{name}": tensor for name, tensor in tensors.items()}
        heads = ("mask_generator.mask_embedding", "logit_generator.final_proj.bias")
        tensors |= {name: torch.zeros(5) for name in heads}
    else:  # as in the files from before torch 2: weight norm under its old names
        old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        tensors = {
            next((name.replace(new, was) for new, was in old.items() if new in name), name): tensor
            for name, tensor in tensors.items()
        }
        assert "encoder.transformer.pos_conv_embed.conv.weight_g" in tensors
    torch.save(tensors, tmp_path / "hubert.pt")
    config, front = run(tmp_path / "hubert.pt", tmp_path / "encoder.safetensors", monkeypatch)
    assert (config["frontend"], config["normalize"], config["encoder"]) == ("raw", None, "hubert")
    assert_same(front, model.extract_features(WAVE)[0])


@pytest.mark.parametrize(
    "name, encoder, wrapped", [("HUBERT_BASE", "hubert", False), ("WAV2VEC2_XLSR_300M", "wav2vec2", True)]
)
def test_torchaudios_pipeline(tmp_path, monkeypatch, name, encoder, wrapped, one_line):
    pipelines = pytest.importorskip("torchaudio.pipelines")
    model = torchaudio_model()
    # As torchaudio wraps the models that want normalised waveforms.
    given = types.SimpleNamespace(model=model, normalize_waveform=True) if wrapped else model
    monkeypatch.setattr(pipelines, name, types.SimpleNamespace(get_model=lambda: given))
    config, front = run(name, tmp_path / "encoder.safetensors", monkeypatch)
    assert (config["encoder"], config["normalize"]) == (encoder, "utterance" if wrapped else None)
    with torch.no_grad():  # one by one: torchaudio normalises a batch as a whole
        waves = [torch.nn.functional.layer_norm(wave, wave.shape) if wrapped else wave for wave in WAVE[:, None]]
        expected = torch.cat([model.extract_features(wave)[0][-1] for wave in waves])
    assert_same(front, [expected])

    def fail():
        raise OSError("no network")

    monkeypatch.setattr(pipelines, name, types.SimpleNamespace(get_model=fail))
    one_line("could not fetch it .no network.", load_wav2vec2, name, "")
    one_line("has no pipeline of this name", load_wav2vec2, "HUBERT_TINY", "")


@pytest.mark.parametrize(
    "cls, encoder, changes",
    [
        ("HubertModel", "hubert", {}),
        ("HubertModel", "hubert", LARGE),
        ("Wav2Vec2Model", "wav2vec2", {}),
        ("Wav2Vec2Model", "wav2vec2", LARGE),
        ("WavLMModel", "wavlm", {}),
        ("WavLMModel", "wavlm", LARGE),
        ("Data2VecAudioModel", "data2vec", {}),
        ("Data2VecAudioModel", "data2vec", {"conv_bias": True, "conv_pos_kernel_size": 8}),
    ],
)
def test_a_folder_of_transformers(transformers_folder, tmp_path, monkeypatch, cls, encoder, changes):
    model, folder = transformers_folder(cls, **changes)
    config, front = run(folder, tmp_path / "encoder.safetensors", monkeypatch)
    assert config["encoder"] == encoder and front.encoder.num_layers == 3
    # More tokens (199) than WavLM tells apart one by one.
    wave = 0.1 * torch.randn(2, 64_000) + 0.05
    with torch.no_grad():
        output = model(wave, output_hidden_states=True)
    assert_same(front, [*output.hidden_states[:-1], output.last_hidden_state], wave)
    # The same from a pickled file.
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    again = load_wav2vec2(str(folder), "")
    assert again[0]["encoder_conf"] == config["encoder_conf"]
    for name, tensor in front.state_dict().items():
        assert torch.equal(tensor, again[1].state_dict()[name])


def test_wavlms_distances_are_those_of_transformers(transformers_folder):
    model, _ = transformers_folder("WavLMModel")
    attention = model.encoder.layers[0].attention
    ours = DistanceBias(3)
    ours.load_state_dict(attention.rel_attn_embed.state_dict())
    with torch.no_grad():
        expected, actual = attention.compute_bias(900, 900), ours(900)
    for query in (0, 17, 450, 899):
        assert torch.equal(actual[:, 899 - query :][:, :900], expected[:, query])


@pytest.mark.parametrize(
    "cls, inner",
    [
        ("HubertForCTC", "hubert"),
        ("HubertForSequenceClassification", "hubert"),
        ("Wav2Vec2ForPreTraining", "wav2vec2"),
        ("WavLMForXVector", "wavlm"),
        ("Data2VecAudioForCTC", "data2vec_audio"),
    ],
)
def test_models_with_heads(transformers_folder, cls, inner):
    model, folder = transformers_folder(cls, vocab_size=7)
    _, front = load_wav2vec2(str(folder), "")
    with torch.no_grad():
        assert_same(front, [getattr(model, inner)(WAVE).last_hidden_state])


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_transformers_normalisation(transformers_folder, large):
    preprocessor = {"do_normalize": True, "sampling_rate": 8000, "feature_extractor_type": "Wav2Vec2FeatureExtractor"}
    model, folder = transformers_folder("HubertModel", preprocessor, **(LARGE if large else {}))
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    values = extractor(list(WAVE.numpy()), sampling_rate=8000, return_tensors="pt")
    config, front = load_wav2vec2(str(folder), "")
    assert config["normalize"] == "utterance" and front.frontend.sample_rate == 8000
    with torch.no_grad():
        assert_same(front, [model(values.input_values).last_hidden_state])
    (folder / "preprocessor_config.json").write_text('{"do_normalize": false}')
    assert load_wav2vec2(str(folder), "")[0]["normalize"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "sew"},
        {"model_type": None},
        {"add_adapter": True},
        {"model_type": "wavlm", "num_buckets": 100},
        {"model_type": "data2vec-audio", "num_conv_pos_embeddings": 3},
        {"hidden_act": "relu"},
        {"conv_pos_batch_norm": True},
        {"feat_proj_layer_norm": False},
        {"layer_norm_eps": 1e-6},
    ],
)
def test_other_models_of_transformers_are_refused(tmp_path, changes, one_line):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "hubert", **changes}))
    key, value = list(changes.items())[-1]
    one_line(f"{key} is {value!r}: only", load_wav2vec2, str(tmp_path), "")


@pytest.fixture
def espnet(tmp_path):
    """make(**config) -> ESPnet's encoder and the folder that its `hubert` task would leave."""
    encoders = pytest.importorskip("espnet2.asr.encoder.hubert_encoder")

    def make(sizes=None, **changes):
        conf = {key: value for key, value in TORCHAUDIO.items() if key.startswith("encoder")}
        conf |= {"extractor_conv_layer_config": [list(layer) for layer in SHAPES], **(sizes or {})}
        torch.manual_seed(0)
        encoder = encoders.TorchAudioHuBERTPretrainEncoder(1, num_classes=5, final_dim=8, **conf).eval()
        tensors = {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
        torch.save(tensors, tmp_path / "valid.loss.best.pth")
        config = {"input_size": 1, "frontend": None, "preencoder": None, "encoder": "torchaudio_hubert"}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "encoder_conf": conf, **changes}))
        return encoder, tmp_path

    return make


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_espnets_experiment(espnet, monkeypatch, large):
    sizes = {"extractor_mode": "layer_norm", "extractor_conv_bias": True} if large else {}
    encoder, folder = espnet(sizes, normalize="utterance_mvn", normalize_conf={"norm_vars": large})
    config, front = run(folder, folder / "encoder.safetensors", monkeypatch, "--model_file", "valid.loss.best.pth")
    assert config["encoder_conf"].get("conv_norm", "group") == ("layer" if large else "group")
    assert config["normalize"] == ("utterance" if large else None)
    from espnet2.layers.utterance_mvn import utterance_mvn

    wave, _ = utterance_mvn(WAVE.clone(), LENGTHS, norm_vars=large)
    with torch.no_grad():
        layers, _ = encoder.hubert_pretrain_model.wav2vec2.extract_features(wave)
        assert_same(front, layers)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"encoder": "hubert_pretrain"}, "encoder is hubert_pretrain"),
        ({"frontend": "default"}, "frontend is default"),
        ({"normalize": "global_mvn"}, "normalize is global_mvn"),
    ],
)
def test_other_experiments_of_espnet_are_refused(tmp_path, changes, message, one_line):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"encoder": "torchaudio_hubert", **changes}))
    one_line(message, load_wav2vec2, str(tmp_path), "valid.loss.best.pth")


def without(name):
    return lambda tensors: {key: value for key, value in tensors.items() if not key.endswith(name)}


@pytest.mark.parametrize(
    "change, message",
    [
        (without("layers.1.attention.k_proj.weight"), "blocks.1.k.weight"),
        (without("layers.1.final_layer_norm.bias"), "Missing.*blocks.1.norm_feed_forward.bias"),
        (lambda tensors: {**tensors, "encoder.extra.weight": torch.zeros(3)}, "Unexpected.*encoder.extra.weight"),
        (lambda tensors: {**tensors, "encoder.layer_norm.bias": torch.zeros(3)}, "size mismatch for norm.bias"),
        # A whole block less than config.json says.
        (lambda tensors: {key: t for key, t in tensors.items() if ".layers.1." not in key}, "Missing.*blocks.1"),
    ],
)
def test_tensors_must_fit(transformers_folder, is_refused, change, message):
    model, folder = transformers_folder()
    is_refused(folder, change(model.state_dict()), message)


def test_sources_that_are_none(tmp_path, one_line):
    one_line("no such model: give", load_wav2vec2, str(tmp_path), "")
    one_line("no such model: give", load_wav2vec2, "facebook/none", "")
    file = tmp_path / "file.pt"
    for content in (b"", b"text", b"\x00" * 100):
        file.write_bytes(content)
        one_line("not a complete file of weights", load_wav2vec2, str(file), "")
    for content, message in (([1], "not a dictionary"), ({"a": torch.zeros(2)}, "none of its tensors")):
        torch.save(content, file)
        one_line(message, load_wav2vec2, str(file), "")
    (tmp_path / "config.json").write_text('{"model_type": "hubert"}')
    one_line("neither model.safetensors", load_wav2vec2, str(tmp_path), "")
    (tmp_path / "config.json").write_text("{")
    one_line("config.json: not JSON", load_wav2vec2, str(tmp_path), "")


def test_a_codec_on_it(tmp_path, monkeypatch):
    torch.save(torchaudio_model().state_dict(), tmp_path / "hubert.pt")
    config, _ = run(tmp_path / "hubert.pt", tmp_path / "encoder.safetensors", monkeypatch)
    config |= {
        "quantizer": "hasrd",
        "quantizer_conf": {"semantic_layer": 1, "num_clusters": 8, "num_codebooks": 2, "codebook_size": 16},
        "decoder": "dac",
        "decoder_conf": {"channels": 32, "strides": [8, 5, 4, 2], "separable": True},
    }
    _, front = load_encoder(tmp_path / "encoder.safetensors")
    codec = Codec(**build_modules(config, front.frozen())).eval()
    codec.quantizer.set_centroids(torch.randn(8, 128))
    assert (codec.frame_shift, codec.frame_rate) == (320, 50.0)
    lengths = [160, 16_000, 12_347]  # 10 ms, a second and an odd length
    wave = 0.1 * torch.randn(3, 16_000)
    tokens = codec.encode(wave, torch.tensor(lengths))
    assert tokens.lengths.tolist() == [1, 49, 38]
    decoded = codec.decode(tokens)
    assert decoded.shape == wave.shape and decoded.isfinite().all()
    for row, length in enumerate(lengths):
        alone = codec.encode(wave[row : row + 1, :length])
        assert torch.equal(alone.codes[0], tokens.codes[row, : tokens.lengths[row]])
        assert codec.decode(alone).shape == (1, length)
        assert not decoded[row, length:].any()


def test_size_of_the_papers_model():
    # HASRD (HuBERT), table 3: 131.7 M; the centroids count, as in HASRD (BestRQ+).
    config = {"frontend": "raw", "normalize": None, "encoder": "hubert"}
    config |= {"quantizer": "hasrd", "quantizer_conf": {"semantic_layer": 9}}
    config |= {"decoder": "dac", "decoder_conf": {"strides": [8, 5, 4, 2], "separable": True}}
    with torch.device("meta"):
        modules = build_modules(config)
    parts = [module for module in modules.values() if isinstance(module, torch.nn.Module)]
    total = sum(part.numel() for module in parts for part in module.parameters())
    total += modules["quantizer"].centroids.numel()
    assert total == 131_444_047 and abs(total / 131.7e6 - 1) < 0.005
