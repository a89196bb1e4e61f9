# Copyright 2026 The hasrd authors
# Apache-2.0
"""A description without weights says what the built model is; bad configurations are told in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import CODEC, ENCODER, HAC

from hasrd.codec.build import build_modules
from hasrd.codec.codec import Codec
from hasrd.codec.describe import describe
from hasrd.encoder.encoder import Encoder
from hasrd.encoder.output import EncoderOutput
from hasrd.errors import UserError

DAC = {
    "frontend": "raw",
    "encoder": "dac",
    "encoder_conf": {"channels": 4, "strides": [2, 3], "output_size": 8},
    "quantizer": "residual_vq",
    "quantizer_conf": {"num_codebooks": 2, "codebook_size": 16},
    "decoder": "dac",
    "decoder_conf": {"channels": 8, "strides": [3, 2]},
}
SSL = {**ENCODER, "loss": "best_rq", "loss_conf": {"codebook_size": 32}}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("config", [DAC, CODEC], ids=["dac", "hasrd"])
def test_it_is_what_is_built(config):
    found = describe(config)
    conf = dict(config["quantizer_conf"])
    if config is CODEC:
        conf["semantic_layer"] = 1
    codec = Codec(**build_modules({**config, "quantizer_conf": conf}))
    centroids = codec.quantizer.centroids.numel() if config is CODEC else 0
    wanted = {"encoder": count(codec.encoder), "decoder": count(codec.decoder), "discriminator": None}
    wanted["quantizer"] = count(codec.quantizer) + centroids
    wanted["total"] = count(codec) + centroids
    assert found.parameters == wanted and sum(found.encoder_parameters.values()) == wanted["encoder"]
    assert found.sample_rate == codec.sample_rate and found.frame_rate == codec.frame_rate
    assert found.num_codebooks == codec.num_codebooks
    assert found.codebook_sizes == list(codec.quantizer.codebook_sizes)
    assert found.strides["token"] == codec.frame_shift and found.min_samples == codec.min_samples
    bits = {16: 4, 1024: 10}
    assert found.bitrate_bps == codec.frame_rate * sum(bits[size] for size in codec.quantizer.codebook_sizes)
    state = sum(tensor.numel() for tensor in codec.state_dict().values())
    assert found.memory_bytes["weights_float32"] == 4 * state


def test_memory_of_training():
    found = describe({**CODEC, "frozen_encoder": True, "discriminator": "torch.nn:Bilinear", "optim": "adamw",
                      "discriminator_conf": {"in1_features": 2, "in2_features": 3, "out_features": 4}},
                     allow_import=True)  # fmt: skip
    judge = 2 * 3 * 4 + 4
    assert found.parameters["discriminator"] == judge and found.frozen_encoder
    sizes, training = found.parameters, found.memory_bytes["training"]
    assert sizes["total"] == sizes["encoder"] + sizes["quantizer"] + sizes["decoder"]
    trained = sizes["decoder"] + sizes["quantizer"] - 1024 * 16 + judge  # without encoder and centroids
    assert training == {
        "weights": 4 * (sizes["total"] + judge),
        "gradients": 4 * trained,
        "optimizer": 8 * trained,
    }
    assert describe({**CODEC, "optim": "sgd"}).memory_bytes["training"]["optimizer"] is None
    assert describe(CODEC).memory_bytes["training"]["gradients"] > training["gradients"] + 4 * sizes["encoder"] - 999


def test_pre_training_and_encoder_alone():
    found = describe(SSL)
    assert found.kind == "ssl"
    assert found.parameters["head"] == 16 * 32 + 32  # the random projection and its codebook are frozen
    assert found.parameters["total"] == found.parameters["encoder"] + found.parameters["head"]
    assert found.bitrate_bps is None and found.num_codebooks is None and found.parameters["decoder"] is None
    alone = describe(ENCODER)
    assert alone.kind == "encoder" and alone.parameters["total"] == found.parameters["encoder"]


TAUGHT = {
    "phonetic": {"loss": "frames", "weight": 20.0, "teacher_size": 12},
    "lexical": {"loss": "text", "weight": [[0, 0.0], [9, 10.0]], "word_weight": 0.5, "teacher_size": 10},
}


def test_heads_of_a_distillation(tmp_path):
    """A part of their own: trained, in no model that is used; the teachers are not counted."""
    plain, found = describe(HAC), describe({**HAC, "distillation": TAUGHT})
    heads = (16 + 1) * 12 + (16 + 1) * 10 + 16
    assert "distillation" not in plain.parameters
    assert plain.notes == found.notes == ["32 values of the quantizer (running means) are state, not parameters"]
    assert found.parameters == {**plain.parameters, "distillation": heads, "total": plain.parameters["total"] + heads}
    assert found.memory_bytes["weights_float32"] == plain.memory_bytes["weights_float32"]
    training = found.memory_bytes["training"]
    assert training["gradients"] == plain.memory_bytes["training"]["gradients"] + 4 * heads
    assert training["weights"] == plain.memory_bytes["training"]["weights"] + 4 * heads
    assert found.streams == {"phonetic": 1, "lexical": 1, "acoustic": 2}
    # Where the configuration leaves it to the teacher, its folder says the size.
    (tmp_path / "teacher.json").write_text('{"kind": "text", "identity": "x", "size": 10}')
    lexical = {"loss": "text", "weight": 1.0, "targets": [str(tmp_path)]}
    assert describe({**HAC, "distillation": {**TAUGHT, "lexical": lexical}}).parameters == found.parameters
    unknown = describe({**HAC, "distillation": {**TAUGHT, "lexical": {**lexical, "targets": ["nowhere"]}}})
    assert unknown.parameters["distillation"] == (16 + 1) * 12
    assert any("head of lexical is not counted" in note for note in unknown.notes)


def test_levels_see_the_whole_utterance():
    """The encoder's field bounds the acoustic codes alone."""
    found = describe(HAC).receptive_field["encoder"]
    assert found["samples"] and "the quantizer takes from the whole utterance" in found["note"]
    without = describe({**HAC, "quantizer_conf": {**HAC["quantizer_conf"], "levels": []}}).receptive_field["encoder"]
    assert without == {**found, "note": None}


def test_statistics_of_the_data_are_not_needed():
    config = {**SSL, "normalize": "global"}
    assert describe(config).parameters == describe(SSL).parameters
    stated = {**config, "normalize_conf": {"mean": [0.0] * 80, "std": [1.0] * 80}}
    assert describe(stated).parameters == describe(SSL).parameters


def test_receptive_field_in_samples():
    field = describe(DAC).receptive_field
    assert field["encoder"]["note"] is None and field["encoder"]["ms"] == field["encoder"]["samples"] / 16
    mel = {**DAC, "frontend": "log_mel", "encoder": "log_mel_cnn", "encoder_conf": {"channels": [4, 4, 4]}}
    mel |= {"normalize": "utterance", "decoder_conf": {"channels": 8, "strides": [16, 32]}}
    extent = describe(mel).receptive_field["encoder"]
    assert extent["samples"] == 400 + (252 - 1) * 128 and "utterance" in extent["note"]
    assert describe({**mel, "normalize": None}).receptive_field["encoder"]["note"] is None
    assert describe(CODEC).receptive_field["encoder"]["samples"] is None


class NeedsValues(Encoder):
    """An encoder that looks at its weights while it is built."""

    output_size, num_layers, stride, input_window = 8, 1, 6, 6

    def __init__(self, input_size: int):
        super().__init__()
        self.linear = torch.nn.Linear(input_size, 8)
        self.scale = float(self.linear.weight.abs().max())

    def forward(self, feats, lengths):
        return EncoderOutput((self.linear(feats[:, 5::6]),), lengths // 6)


def test_a_class_that_needs_values_gets_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "needs_values", sys.modules[__name__])
    found = describe({**DAC, "encoder": "needs_values:NeedsValues", "encoder_conf": {}}, allow_import=True)
    assert found.parameters["encoder"] == 8 + 8


def test_without_espnet():
    code = f"""
import sys
sys.modules["espnet2"] = None
from hasrd.codec.describe import describe
found = describe({ {**DAC, "discriminator": "mpmb"}!r})
assert found.parameters["discriminator"] is None and "ESPnet" in found.notes[0], found
assert found.parameters["total"] == {describe(DAC).parameters["total"]}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"encoder": None}, "encoder not given"),
        ({"decoder_conf": {"strides": [2, 2]}}, "config: a token is 6 samples"),
        ({"decoder_conf": {"channels": "many"}}, "^config: "),
        ({"quantizer": "no_such"}, "no_such"),
        ({"discriminator": "no_such"}, "no_such"),
        ({"distillation": {"phonetic": {"loss": "frames", "weight": 1.0, "teacher_size": 2}}}, "no such level"),
        ({"distillation": [1]}, "distillation: give each level"),
        ({"discriminator": "mpmb", "discriminator_conf": {"x": 1}}, "discriminator_conf: .*MultiBand"),
        ({"discriminator": "torch.nn:Linear"}, "discriminator 'torch.nn:Linear' is no class of hasrd"),
    ],
)
def test_errors(change, message):
    with pytest.raises(UserError, match=message):
        describe({**DAC, **change})


VALUES = st.none() | st.booleans() | st.integers(-2, 9) | st.text("ab.:_", max_size=4) | st.lists(st.integers(-2, 4))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([f"{part}{end}" for part in ("frontend", "normalize", "encoder", "quantizer", "decoder", "loss")
                         for end in ("", "_conf")]),
        VALUES | st.dictionaries(st.sampled_from(["channels", "strides", "num_codebooks", "output_size"]), VALUES),
        max_size=3,
    )
)  # fmt: skip
def test_anything_is_described_or_refused(change):
    try:
        describe({**DAC, **change})
    except UserError as error:
        assert "\n" not in str(error)
