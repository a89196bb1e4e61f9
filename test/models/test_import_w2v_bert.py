# Copyright 2026 The hasrd authors
# Apache-2.0
"""w2v-BERT 2.0 from a folder of transformers: its features, its layers, and what can't be imported."""

from __future__ import annotations

import json

import pytest
import torch

from hasrd.codec.build import build_modules
from hasrd.codec.codec import Codec
from hasrd.codec.inference import inference_form
from hasrd.encoder import relative
from hasrd.encoder.w2v_bert import W2VBert
from hasrd.models.importing import load_source

transformers = pytest.importorskip("transformers")


@pytest.fixture
def make(make_model, tmp_path):
    """make(class, **changes) -> a small model in the test's folder."""
    return lambda cls="Wav2Vec2BertModel", **changes: make_model(tmp_path, cls, **changes)


@pytest.mark.parametrize("samples, kernel", [(24_321, 5), (24_500, 31)], ids=["even", "odd"])
def test_features_and_layers_are_those_of_transformers(make, tmp_path, samples, kernel):
    model = make(conv_depthwise_kernel_size=kernel)
    extractor = transformers.SeamlessM4TFeatureExtractor()
    extractor.save_pretrained(tmp_path)
    config, front = load_source(str(tmp_path), "")
    assert (config["encoder"], config["normalize"], front.frontend.sample_rate) == ("w2v_bert", "utterance", 16000)
    assert front.frontend.frame_shift * front.encoder.stride == 320
    wave = 0.01 * torch.randn(2, samples).cumsum(1)
    inputs = extractor(list(wave.numpy()), sampling_rate=16000, return_tensors="pt")
    tokens = int(inputs.attention_mask[0].sum())
    lengths = torch.full((2,), samples)
    feats, _ = front.normalize(*front.frontend(wave, lengths))
    with torch.no_grad():
        # Our variance counts all frames, theirs one less; the norm behind takes a common factor out again.
        feats = feats[:, : 2 * tokens] * ((feats.shape[1] - 1) / feats.shape[1]) ** 0.5
        expected = inputs.input_features[:, :tokens].flatten(1)
        # Kaldi's order of rounding against theirs, in bins of little energy.
        torch.testing.assert_close(feats.flatten(1), expected, atol=2e-2, rtol=0)
        assert (feats.flatten(1) - expected).square().mean().sqrt() < 1e-4
        output = model(**inputs, output_hidden_states=True)
        ours = front(wave, lengths)
        assert ours.lengths.tolist() == [tokens, tokens]
        for layer, theirs in zip(ours.layers, output.hidden_states, strict=True):
            torch.testing.assert_close(layer, theirs[:, :tokens], atol=1e-3, rtol=0)
        # On equal features: float32 sums in another order.
        same = front.encoder(inputs.input_features[:, :tokens].unflatten(2, (2, 80)).flatten(1, 2), 2 * ours.lengths)
        for layer, theirs in zip(same.layers, output.hidden_states, strict=True):
            torch.testing.assert_close(layer, theirs[:, :tokens], atol=1e-5, rtol=0)


def test_size_is_that_of_transformers():
    with torch.device("meta"):
        ours, theirs = W2VBert(), transformers.Wav2Vec2BertModel(transformers.Wav2Vec2BertConfig())
    count = sum(parameter.numel() for name, parameter in theirs.named_parameters() if name != "masked_spec_embed")
    # Ours has biases of zero in the convolutions (4 D a block), and of the 3 D biases of q, k and v 2 D are left.
    assert sum(parameter.numel() for parameter in ours.parameters()) == count + 24 * (4 - 1) * 1024 == 580_565_824


def test_blocks_and_kept_positions_change_nothing(make, tmp_path, monkeypatch):
    make()
    encoder = load_source(str(tmp_path), "")[1].encoder
    feats, lengths = torch.randn(2, 160, 80), torch.tensor([160, 101])
    with torch.no_grad():
        whole = encoder(feats, lengths)
        monkeypatch.setattr(relative, "block_sizes", lambda *_: (7, 2))
        inference_form(encoder.conformer)
        for one, other in zip(whole.layers, encoder(feats, lengths).layers, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
        half = encoder.to(torch.bfloat16)(feats, lengths).last
    assert (whole.last - half).square().mean() < 2e-3 * whole.last.square().mean()


def test_a_codec_on_it(make, tmp_path):
    make()
    config, front = load_source(str(tmp_path), "")
    config |= {"quantizer": "residual_vq", "quantizer_conf": {"num_codebooks": 2, "codebook_size": 16}}
    config |= {"decoder": "dac", "decoder_conf": {"channels": 32, "strides": [8, 5, 4, 2], "separable": True}}
    codec = Codec(**build_modules(config, front)).eval()
    assert (codec.frame_shift, codec.frame_rate) == (320, 50.0)
    lengths = [160, 16_000, 12_347]  # less than a token, a second and an odd length
    wave = 0.1 * torch.randn(3, 16_000)
    tokens = codec.encode(wave, torch.tensor(lengths))
    assert tokens.lengths.tolist() == [1, 49, 37]
    for row, length in enumerate(lengths):
        alone = codec.encode(wave[row : row + 1, :length])
        assert torch.equal(alone.codes[0], tokens.codes[row, : tokens.lengths[row]])
        assert codec.decode(alone).shape == (1, length)


def test_a_model_with_a_head(make, tmp_path):
    model = make("Wav2Vec2BertForCTC", vocab_size=7)
    encoder = load_source(str(tmp_path), "")[1].encoder
    feats = torch.randn(1, 40, 80)
    with torch.no_grad():
        expected = model.wav2vec2_bert(feats.unflatten(1, (20, 2)).flatten(2)).last_hidden_state
        torch.testing.assert_close(encoder(feats, torch.tensor([40])).last, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "file, changes, message",
    [
        ("config.json", {"position_embeddings_type": "rotary"}, "position_embeddings_type is 'rotary': only"),
        ("config.json", {"add_adapter": True}, "add_adapter is True: only False"),
        ("config.json", {"feature_projection_input_dim": 80}, "is 80, not 2 frames of 80 bins"),
        ("config.json", {"hidden_size": -3}, "hidden_size"),
        ("config.json", {"num_attention_heads": 5}, "don't fit each other"),
        ("preprocessor_config.json", {"stride": 1}, "stride is 1: only 2"),
    ],
)
def test_configurations_that_can_not_be_imported(make, one_line, tmp_path, file, changes, message):
    make()
    path = tmp_path / file
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **changes}))
    one_line(message, load_source, str(tmp_path), "")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda state: state.pop("encoder.layers.1.self_attn.linear_k.weight"), "no tensor .*blocks.1.attention.k"),
        (lambda state: state.pop("encoder.layers.1.self_attn.linear_out.bias"), "attention.out.bias"),
        (lambda state: state.pop("encoder.layers.1.conv_module.depthwise_conv.weight"), "conv.depthwise.weight"),
        (lambda state: state.update({"encoder.layers.9.ffn1.more": torch.zeros(3)}), "Unexpected.*ffn1.more"),
        (lambda state: state.update({"encoder.layers.0.conv_module.layer_norm.bias": torch.zeros(3)}), "mismatch"),
        (lambda state: state.update({"encoder.layers.0.self_attn.linear_out.weight": torch.zeros(3)}), "t fit each"),
    ],
)
def test_tensors_must_fit(make, is_refused, tmp_path, change, message):
    state = dict(make().state_dict())
    change(state)
    is_refused(tmp_path, state, message)
