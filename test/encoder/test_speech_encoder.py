# Copyright 2026 The hasrd authors
# Apache-2.0
"""Frontend, normalisation and encoder as one: rates, the shortest speech, batches and masks, of every pair there is."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_encoders import SMALL

from hasrd import encoder, frontend
from hasrd.codec.build import build_speech_encoder
from hasrd.encoder.speech_encoder import MaskedOutput, SpeechEncoder
from hasrd.frontend.log_mel import LogMel
from hasrd.loss.best_rq import BestRQLoss
from hasrd.registry import resolve

# Samples of the windows and shifts, and frames of the strides, such that some don't divide each other.
FRONTENDS = {
    "log_mel": {"num_mels": 10, "window": 130, "frame_shift": 48},
    "whisper_log_mel": {"num_mels": 10},
    "raw": {},
}
PAIRS = [
    (wave, name)
    for wave in FRONTENDS
    for name, conf in SMALL.items()
    if conf["input_size"] == FRONTENDS[wave].get("num_mels", 1)
]


@pytest.fixture(scope="module")
def models() -> dict[tuple[str, str], SpeechEncoder]:
    torch.manual_seed(0)
    found = {}
    for wave, name in PAIRS:
        conf = {key: value for key, value in SMALL[name].items() if key != "input_size"}
        config = {"frontend": wave, "frontend_conf": FRONTENDS[wave], "encoder": name, "encoder_conf": conf}
        found[wave, name] = build_speech_encoder({**config, "normalize": "utterance"}).eval()
    return found


def test_all_that_is_registered_is_in_a_pair():
    # Features as they are, without an encoder that is trained, are tested in test/frontend/test_mfcc.py.
    assert {wave for wave, _ in PAIRS} == set(frontend.CHOICES) - {"mfcc"}
    # The one that needs ESPnet is tested with its frontend in test/espnet/test_ssl_encoder.py.
    assert {name for _, name in PAIRS} == set(encoder.CHOICES) - {"espnet_ssl", "frames"}


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_the_shortest_speech_is_exact(models, pair):
    model = models[pair]
    samples = model.min_samples
    assert samples >= model.frontend.window
    for missing, tokens in ((0, 1), (1, 0), (samples, 0)):
        assert model.num_tokens(samples - missing) == tokens
        output = model(0.1 * torch.randn(1, samples - missing), torch.tensor([samples - missing]))
        assert output.lengths.tolist() == [tokens]
        assert [layer.shape for layer in output.layers] == [(1, tokens, model.output_size)] * model.num_layers


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(0, 4000), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_a_batch_has_the_tokens_that_its_rates_say_and_each_utterance_what_it_has_alone(models, pair, lengths, seed):
    model = models[pair]
    samples = torch.tensor([*lengths, model.min_samples])
    torch.manual_seed(seed)
    wave = 0.1 * torch.randn(len(samples), int(samples.max()))
    for row, length in zip(wave, samples):
        row[length:] = torch.nan  # nothing that stands in the padding may leak
    with torch.no_grad():
        batch = model(wave, samples)
        assert torch.equal(batch.lengths, model.num_tokens(samples))
        for row, (own, length) in enumerate(zip(wave, samples.tolist())):
            alone = model(own[None, :length], torch.tensor([length]))
            tokens = model.num_tokens(length)
            assert alone.lengths.tolist() == [tokens]
            for together, single in zip(batch.layers, alone.layers, strict=True):
                assert single.shape == (1, tokens, model.output_size)
                # Layers are of about 1; sums of another order, after a logarithm of silence at the worst.
                torch.testing.assert_close(together[row, :tokens], single[0], atol=1e-3, rtol=0)
                assert not together[row, tokens:].any()


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@given(samples=st.integers(0, 100_000))
def test_a_token_more_for_each_shift(models, pair, samples):
    model = models[pair]
    samples += model.min_samples
    assert model.num_tokens(samples + model.frame_shift) == model.num_tokens(samples) + 1
    assert int(model.num_tokens(torch.tensor(samples))) == model.num_tokens(samples)


def test_another_number_of_layers_than_stated_is_refused(models, one_line):
    """In place of a codec whose numbers of layers mean others."""
    stated, frozen = models["log_mel", "cnn_conformer"], models["log_mel", "cnn_conformer"].frozen()
    for model in (SpeechEncoder(stated.frontend, None, stated.encoder), frozen):
        model.num_layers += 1
        words = f"gives {model.num_layers - 1} layers, but its num_layers is {model.num_layers}"
        one_line(f"{type(stated.encoder).__name__}: forward {words}", model, torch.zeros(1, 9000), torch.tensor([9000]))


def test_the_papers_rates():
    """HASRD, section 3: 31.25 tokens a second; 4 frames of 25 ms, 8 ms apart, make the first."""
    model = build_speech_encoder({"frontend": "log_mel", "encoder": "cnn_conformer"}, weightless=True)
    assert (model.sample_rate, model.frame_shift, model.sample_rate / model.frame_shift) == (16000, 512, 31.25)
    assert model.min_samples == model.span(4) == 400 + 3 * 128


def test_the_mask_stands_between_normalisation_and_encoder(models):
    model = models["log_mel", "log_mel_cnn"]
    loss = BestRQLoss(10, 14, stack=model.encoder.stride, codebook_size=8, codebook_dim=4)
    wave, samples = 0.1 * torch.randn(2, 6000), torch.tensor([6000, 3000])
    feats, frames = model.normalize(*model.feats(wave, samples))
    torch.manual_seed(1)
    masked, mask = loss.mask(feats, frames)
    expected = model.encoder(masked, frames)
    torch.manual_seed(1)
    found = model(wave, samples, loss.mask)
    assert isinstance(found, MaskedOutput) and mask.any() and torch.equal(found.mask, mask)
    assert torch.equal(found.feats, feats) and not torch.equal(found.feats, masked)
    assert torch.equal(found.last, expected.last) and torch.equal(found.lengths, expected.lengths)
    assert not torch.equal(found.last, model(wave, samples).last)


def test_features_that_come_ready_made(models):
    model = models["log_mel", "cnn_conformer"]
    bare = SpeechEncoder(None, model.normalize, model.encoder)
    wave, samples = 0.1 * torch.randn(2, 6000), torch.tensor([6000, 3000])
    feats = model.feats(wave, samples)
    assert torch.equal(bare.feats(*feats)[0], feats[0])
    assert torch.equal(bare(*feats).last, model(wave, samples).last)


def test_frozen_it_gives_the_same_and_has_no_tensors(models):
    model = models["raw", "dac"]
    frozen = model.frozen().train().requires_grad_(True)
    wave, samples = 0.1 * torch.randn(2, 600), torch.tensor([600, 300])
    output = frozen(wave, samples)
    assert torch.equal(output.last, model(wave, samples).last) and not output.last.requires_grad
    assert not frozen.state_dict() and not list(frozen.parameters())
    assert (frozen.frame_shift, frozen.min_samples) == (model.frame_shift, model.min_samples)


def test_names_of_the_tensors_are_those_of_files():
    config = {"frontend": "log_mel", "normalize": "global", "normalize_conf": {"mean": [0.0] * 80, "std": [1.0] * 80}}
    conf = {"channels": (8, 12, 16), "output_size": 14}
    model = build_speech_encoder({**config, "encoder": "log_mel_cnn", "encoder_conf": conf})
    own = resolve(encoder.CHOICES, "log_mel_cnn", allow_import=False)(80, **conf).state_dict()
    assert list(model.state_dict()) == ["normalize.mean", "normalize.std", *(f"encoder.{name}" for name in own)]
    assert not LogMel().state_dict()
