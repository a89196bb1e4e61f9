# Copyright 2026 The hasrd authors
# Apache-2.0
"""BEST-RQ's labels, against loops over flattened frames."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
import torch

from hasrd.frontend.normalize import UtteranceNorm
from hasrd.quantizer.random_projection import RandomProjectionQuantizer


def test_labels_are_nearest_by_cosine_over_features():
    quantizer = RandomProjectionQuantizer(input_size=10, codebook_size=50, seed=3)
    feats = torch.randn(3, 23, 10)
    labels = quantizer(feats)
    assert labels.shape == (3, 5)
    for b in range(3):
        for u in range(5):
            stacked = feats[b, 4 * u : 4 * u + 4].flatten().double()
            projected = stacked @ quantizer.projection.double()
            cosine = torch.nn.functional.cosine_similarity(projected[None], quantizer.codebook.double())
            assert labels[b, u] == cosine.argmax()


def test_sizes_and_initialisation():
    quantizer = RandomProjectionQuantizer()
    assert quantizer.projection.shape == (320, 16) and quantizer.codebook.shape == (8192, 16)
    bound = (6 / 336) ** 0.5  # Xavier
    assert 0.98 * bound < quantizer.projection.abs().max() <= bound
    assert torch.allclose(quantizer.codebook.norm(dim=1), torch.ones(8192), atol=1e-5)
    assert not list(quantizer.parameters()) and len(quantizer.state_dict()) == 2


def test_seed_alone_decides():
    torch.manual_seed(1)
    first = RandomProjectionQuantizer(seed=7)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = RandomProjectionQuantizer(seed=7)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.projection, second.projection)
    assert torch.equal(first.codebook, second.codebook)
    assert not torch.equal(first.codebook, RandomProjectionQuantizer(seed=8).codebook)


def test_a_label_depends_on_its_own_frames_only():
    quantizer = RandomProjectionQuantizer(codebook_size=512)
    feats = torch.randn(2, 40, 80)
    labels = quantizer(feats)
    changed = feats.clone()
    changed[:, 8:12] = torch.randn(2, 4, 80)
    after = quantizer(changed)
    same = torch.arange(10) != 2
    assert torch.equal(labels[:, same], after[:, same])
    assert not torch.equal(labels, after)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(quantizer(feats), labels)


# In a process of its own: hypothesis looks into all modules that are loaded, and SpeechBrain's lazy ones fail then.
SPEECHBRAIN = """
import sys, torch
from speechbrain.nnet.quantisers import RandomProjectionQuantizer
projection, codebook, *flats = torch.load(f"{sys.argv[1]}/in.pt")
quantizer = RandomProjectionQuantizer(320, 16, len(codebook))
quantizer.P.copy_(projection)
quantizer.CB.copy_(codebook)
# (1, N, 320) in: SpeechBrain 1.1 normalises the third axis, the one of the features.
torch.save([quantizer(flat[None])[0] for flat in flats], f"{sys.argv[1]}/out.pt")
"""


@pytest.mark.parametrize("codebook_size", [64, 8192])
def test_labels_are_those_of_speechbrain(codebook_size, tmp_path):
    """An independent BEST-RQ with our projection and codebook; its input is stacked by hand, one utterance at a time.

    Labels may differ only where two entries are equally near but for float32's rounding, within 1e-5.
    """
    if importlib.util.find_spec("speechbrain") is None:
        pytest.skip("speechbrain (extra dev) is not installed")
    torch.manual_seed(0)
    ours = RandomProjectionQuantizer(codebook_size=codebook_size, seed=4)
    lengths = torch.tensor([4 * 60, 4 * 37 + 3])
    feats = torch.randn(2, 4 * 60, 80).cumsum(dim=1)  # neighbours are alike, as in speech
    feats, _ = UtteranceNorm()(feats, lengths)
    labels = ours(feats)
    flats = [feats[row, : length // 4 * 4].reshape(-1, 320) for row, length in enumerate(lengths.tolist())]  # (N, 320)
    torch.save([ours.projection, ours.codebook, *flats], tmp_path / "in.pt")
    subprocess.run([sys.executable, "-c", SPEECHBRAIN, tmp_path], check=True, timeout=250)
    references = torch.load(tmp_path / "out.pt")
    for row, (flat, reference) in enumerate(zip(flats, references)):
        found = labels[row, : len(flat)]
        assert len(found.unique()) > 10
        code = torch.nn.functional.normalize((flat @ ours.projection).double(), dim=-1)
        distance = torch.cdist(code, ours.codebook.double())
        differ = found != reference
        near = [distance.gather(1, index[:, None])[differ] for index in (found, reference)]
        assert differ.float().mean() < 0.02 and torch.allclose(*near, atol=1e-5, rtol=0)
