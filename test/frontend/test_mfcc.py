# Copyright 2026 The hasrd authors
# Apache-2.0
"""MFCC against torchaudio's port of Kaldi's, and as an encoder of one layer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.bin import import_encoder
from hasrd.encoder.frames import Frames
from hasrd.frontend.mfcc import MFCC
from hasrd.models.checkpoint import load_encoder
from hasrd.models.importing import load_source

kaldi = pytest.importorskip("torchaudio.compliance.kaldi")
compute_deltas = pytest.importorskip("torchaudio.functional").compute_deltas


def reference(wave: torch.Tensor) -> torch.Tensor:
    """HuBERT's features (T, 39) of wave (1, N), as fairseq and ESPnet call torchaudio for them."""
    ceps = kaldi.mfcc(wave, dither=0.0, use_energy=False).T[None]
    first = compute_deltas(ceps)
    return torch.cat([ceps, first, compute_deltas(first)], dim=1)[0].T


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(0, 9000), min_size=1, max_size=3), seed=st.integers(0, 99))
def test_equals_kaldi_in_any_batch(lengths, seed):
    torch.manual_seed(seed)
    waves = [0.1 * torch.randn(length) + 0.05 for length in lengths]
    feats, frames = MFCC()(torch.nn.utils.rnn.pad_sequence(waves, batch_first=True), torch.tensor(lengths))
    for wave, feat, count in zip(waves, feats, frames):
        assert not feat[count:].any()
        if count:
            # The log-mel of white noise, where no bin is near zero, differs in rounding alone; liftering by up to 12.
            torch.testing.assert_close(feat[:count], reference(wave[None]), atol=2e-2, rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(0, 23), min_size=1, max_size=4), stride=st.integers(1, 4))
def test_frames_in_a_batch_are_those_alone(lengths, stride):
    feats = torch.randn(len(lengths), max(lengths), 5)
    for row, length in zip(feats, lengths):
        row[length:] = torch.nan
    output = Frames(5, stride=stride)(feats, torch.tensor(lengths))
    assert output.lengths.tolist() == [len(range(0, length, stride)) for length in lengths]
    for row, found, count in zip(feats, output.last, output.lengths):
        assert torch.equal(found[:count], row[::stride][:count])
        assert not found[count:].any()


def test_features_are_imported_as_an_encoder(tmp_path):
    """A token is a frame of HuBERT's: as many, for any number of samples."""
    out = tmp_path / "mfcc.safetensors"
    import_encoder.main(["features:mfcc", "--out", str(out)])
    config, speech_encoder = load_encoder(out)
    assert config["frontend"] == "mfcc" and load_source("features:mfcc")[0]["encoder"] == "frames"
    samples = torch.arange(3000)
    hubert = ((samples - 400) // 320 + 1).clamp(min=0)
    assert torch.equal(speech_encoder.num_tokens(samples), hubert)
    wave = torch.randn(1, 3000)
    layer = speech_encoder(wave, torch.tensor([3000])).last
    torch.testing.assert_close(layer[0], reference(wave)[::2], atol=2e-2, rtol=1e-4)
