# Copyright 2026 The hasrd authors
# Apache-2.0
"""Speech teachers: an encoder of ours and a HuBERT of Hugging Face, layer by layer."""

from __future__ import annotations

import json

import pytest
import torch

from hasrd.models.checkpoint import load_encoder
from hasrd.teacher.source import content_hash
from hasrd.teacher.speech import SpeechTeacher

WAVES = 0.1 * torch.randn(2, 9000, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([9000, 5000])


@pytest.fixture(scope="module")
def ours(encoder_file) -> SpeechTeacher:
    return SpeechTeacher(str(encoder_file))


def hidden_states(model, wave: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        return model(wave[None], output_hidden_states=True).hidden_states


def test_the_mean_of_all_layers_or_one(encoder_file, ours):
    _, front = load_encoder(encoder_file)
    with torch.no_grad():
        output = front(WAVES, LENGTHS)
    feats, lengths = ours(WAVES, LENGTHS)
    assert torch.equal(lengths, output.lengths) and not feats.requires_grad
    torch.testing.assert_close(feats, torch.stack(output.layers).mean(0), atol=1e-6, rtol=0)
    assert not feats[1, lengths[1] :].any()
    for layer in range(3):
        one, _ = SpeechTeacher(str(encoder_file), layer=layer)(WAVES, LENGTHS)
        assert torch.equal(one, output.layers[layer])


def test_what_it_says_of_its_frames(encoder_file, ours):
    # A log-mel frame sees 400 samples, four of them, 128 apart, make a token: 784 samples, 512 apart.
    assert (ours.size, ours.sample_rate) == (16, 16000)
    assert ours.frame_shift == pytest.approx(512 / 16000) and ours.first_centre == pytest.approx(392 / 16000)
    assert ours.model_hash == content_hash(str(encoder_file))
    assert [ours.num_frames(int(n)) for n in LENGTHS] == ours(WAVES, LENGTHS)[1].tolist()
    assert ours.num_frames(783) == 0 and ours.num_frames(784) == 1


def test_frozen_and_in_no_state_dict(encoder_file):
    teacher = SpeechTeacher(str(encoder_file))
    before, _ = teacher(WAVES, LENGTHS)
    model = torch.nn.ModuleDict({"teacher": teacher}).train().requires_grad_(True)
    assert not model.state_dict() and not list(model.parameters())
    after, _ = teacher(WAVES, LENGTHS)
    assert torch.equal(before, after) and not after.requires_grad


def test_its_fast_form_gives_the_same(encoder_file, ours):
    expected, lengths = ours(WAVES, LENGTHS)
    feats, again = SpeechTeacher(str(encoder_file)).ready("cpu")(WAVES, LENGTHS)
    assert torch.equal(again, lengths)
    torch.testing.assert_close(feats, expected, atol=1e-4, rtol=0)


def test_a_hubert_of_hugging_face(tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.HubertConfig(
        conv_dim=[16] * 7, hidden_size=24, num_attention_heads=3, intermediate_size=40, num_hidden_layers=2,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    model = transformers.HubertModel(config).eval()
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    teacher = SpeechTeacher(str(tmp_path))
    # 20 ms apart, each over 25 ms.
    assert (teacher.frame_shift, teacher.first_centre, teacher.size) == (0.02, 0.0125, 24)
    feats, lengths = teacher(WAVES, LENGTHS)
    for row, count, wave, length in zip(feats, lengths.tolist(), WAVES, LENGTHS.tolist()):
        states = hidden_states(model, wave[:length])
        assert count == states[0].shape[1] == teacher.num_frames(length)
        torch.testing.assert_close(row[:count], torch.stack(states).mean(0)[0], atol=1e-5, rtol=0)
    last, _ = SpeechTeacher(str(tmp_path), layer=2)(WAVES[:1], LENGTHS[:1])
    torch.testing.assert_close(last, hidden_states(model, WAVES[0])[2], atol=1e-5, rtol=0)


def test_wrong_sources_and_layers_are_one_line(tmp_path, encoder_file, one_line):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(encoder_file.read_bytes()[:-100])
    for source, layer, said in (
        (str(encoder_file), 3, "no layer 3: this encoder has layers 0 to 2"),
        (str(encoder_file), -1, "no layer -1"),
        (str(encoder_file), "best", "no layer best"),
        (str(encoder_file), True, "no layer True"),
        ("nowhere", "mean", "nowhere: no such model"),
        (str(broken), "mean", "not a complete file of weights"),
        (str(tmp_path), "mean", "no such model"),
    ):
        one_line(said, SpeechTeacher, source, layer=layer)
