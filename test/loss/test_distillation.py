# Copyright 2026 The hasrd authors
# Apache-2.0
"""Distillation: interpolation and spans against loops, SpeechTokenizer's own loss, schedules, gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hasrd.errors import UserError
from hasrd.loss.distillation import (
    Clock,
    DAxisDistillation,
    FrameDistillation,
    TextDistillation,
    build_distillation,
    interpolate,
    span_mask,
)
from hasrd.loss.schedule import Schedule

CLOCK = Clock(first=0.016, shift=0.032)
D, TEACHER = 6, 4


@given(st.lists(st.floats(-3, 12), min_size=1, max_size=6), st.integers(1, 8))
def test_interpolation_is_numpys(places, length):
    x = torch.randn(1, 8, 3, generator=torch.Generator().manual_seed(0))
    found = interpolate(x, torch.tensor([length]), torch.tensor([places]))
    for d in range(3):
        expected = np.interp(places, np.arange(length), x[0, :length, d].numpy())
        np.testing.assert_allclose(found[0, :, d], expected, atol=1e-5)


@given(st.floats(0, 0.3), st.floats(0, 0.3), st.integers(1, 9))
def test_spans_are_the_tokens_centred_in_them_or_the_nearest(start, duration, length):
    span = torch.tensor([[[start, start + duration]]])
    found = span_mask(span, torch.tensor([length]), CLOCK, 9)[0, 0].tolist()
    start, end = span.flatten().tolist()
    centres = [CLOCK.first + CLOCK.shift * u for u in range(length)]
    expected = {u for u, centre in enumerate(centres) if start + 1e-6 <= centre < end - 1e-6}
    # What lies on a border may fall on either side of it.
    border = {u for u, centre in enumerate(centres) if min(abs(centre - start), abs(centre - end)) <= 1e-6}
    inside = {u for u, marked in enumerate(found) if marked}
    assert inside, "a span without a token"
    if expected:
        nearest = min(range(length), key=lambda u: abs(centres[u] - (start + end) / 2))
        assert expected <= inside <= expected | border | {nearest}
    else:
        middle = (start + end) / 2
        assert min(abs(centres[u] - middle) for u in inside) <= min(abs(c - middle) for c in centres) + 1e-5


def test_frames_by_hand():
    """Two utterances at 50 Hz, a level at 31.25 Hz: each teacher frame by itself."""
    torch.manual_seed(0)
    loss = FrameDistillation(D, TEACHER)
    level, lengths = torch.randn(2, 5, D), torch.tensor([5, 2])
    feats, frames = torch.randn(2, 8, TEACHER), torch.tensor([8, 3])
    times = 0.0125 + 0.02 * torch.arange(8).expand(2, -1)
    found = loss(level, lengths, CLOCK, feats=feats, feats_lengths=frames, times=times)["loss"]
    errors = []
    for b in range(2):
        said = loss.head(level[b, : lengths[b]]).detach().numpy()
        for t in range(frames[b]):
            place = (times[b, t].item() - CLOCK.first) / CLOCK.shift
            mine = [np.interp(place, np.arange(len(said)), said[:, d]) for d in range(TEACHER)]
            theirs = feats[b, t].numpy()
            errors.append(1 - np.dot(mine, theirs) / np.linalg.norm(mine) / np.linalg.norm(theirs))
    assert found.item() == pytest.approx(np.mean(errors), abs=1e-5)


def test_d_axis_is_speechtokenizers():
    """Its published loss, on a batch without padding and frames where the tokens are (it cuts both to the shorter)."""
    reason = "the official SpeechTokenizer is not installed: it comes with the extra bench"
    official = pytest.importorskip("speechtokenizer.trainer.loss", reason=reason)
    torch.manual_seed(0)
    loss = DAxisDistillation(D, TEACHER)
    level, feats = torch.randn(3, 7, D), torch.randn(3, 7, TEACHER)
    times = (CLOCK.first + CLOCK.shift * torch.arange(7)).expand(3, -1)
    full = torch.full((3,), 7)
    found = loss(level, full, CLOCK, feats=feats, feats_lengths=full, times=times)["loss"]
    torch.testing.assert_close(found, official.d_axis_distill_loss(loss.head(level), feats), atol=1e-6, rtol=1e-5)


def test_text_by_hand():
    torch.manual_seed(0)
    loss = TextDistillation(D, TEACHER, utterance_weight=0.5, word_weight=2.0)
    level, lengths = torch.randn(2, 9, D), torch.tensor([9, 4])
    spans = torch.tensor([[[0.0, 0.29], [0.0, 0.07], [0.1, 0.2]], [[0.0, 0.13], [0.05, 0.055], [0.0, 0.0]]])
    kinds = torch.tensor([[1, 2, 2], [1, 2, 0]])
    embeddings = torch.randn(2, 3, TEACHER)
    found = loss(level, lengths, CLOCK, embeddings=embeddings, spans=spans, kinds=kinds)
    errors = {1: [], 2: []}
    for b, n in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)):
        tokens = [u for u in range(lengths[b]) if spans[b, n, 0] <= CLOCK.first + CLOCK.shift * u < spans[b, n, 1]]
        tokens = tokens or [1]  # 0.0525 s lies nearest to token 1, at 0.048 s
        part = level[b, tokens]
        attention = (loss.query(part) / math.sqrt(D)).softmax(0)
        said = loss.head((attention * part).sum(0))
        errors[int(kinds[b, n])].append(1 - torch.cosine_similarity(said, embeddings[b, n], dim=0))
    utterance, word = (torch.stack(errors[kind]).mean() for kind in (1, 2))
    torch.testing.assert_close(found["utterance"], utterance)
    torch.testing.assert_close(found["word"], word)
    torch.testing.assert_close(found["loss"], 0.5 * utterance + 2.0 * word)


def test_a_batch_without_text_or_words():
    loss = TextDistillation(D, TEACHER)
    level = torch.randn(1, 4, D, requires_grad=True)
    empty = {"embeddings": torch.zeros(1, 1, TEACHER), "spans": torch.tensor([[[0.0, 0.1]]])}
    found = loss(level, torch.tensor([4]), CLOCK, kinds=torch.tensor([[0]]), **empty)
    assert found["loss"] == 0
    found["loss"].backward()
    assert not level.grad.any() and level.grad.isfinite().all()


@given(st.integers(0, 400))
def test_schedule_is_numpys(step):
    points = [[10, 0.0], [100, 20.0], [300, 5.0]]
    expected = np.interp(step, *np.array(points).T)
    assert Schedule(points)(torch.tensor(step)).item() == pytest.approx(expected, abs=1e-4)
    assert Schedule(3.0)(torch.tensor(step)).item() == 3.0


class Quantizer(torch.nn.Module):
    level_names = ("phonetic", "lexical")
    output_size = D


CONFIG = {"phonetic": {"loss": "frames", "weight": [[0, 0.0], [2, 4.0]], "targets": ["x"], "teacher_size": TEACHER}}


def batch() -> dict[str, torch.Tensor]:
    feats, frames = torch.randn(2, 8, TEACHER), torch.tensor([8, 3])
    times = 0.02 * torch.arange(8.0).expand(2, -1)
    return {"phonetic_feats": feats, "phonetic_feats_lengths": frames, "phonetic_times": times}


def test_weights_follow_the_steps_and_are_resumed():
    distillation = build_distillation(CONFIG, Quantizer(), {"phonetic": TEACHER})
    levels, lengths = {"phonetic": torch.randn(2, 5, D)}, torch.tensor([5, 2])
    weights = []
    for training in (True, False, True, True):
        total, stats = distillation.train(training)(levels, lengths, CLOCK, batch())
        weights.append(float(stats["phonetic_weight"]))
        torch.testing.assert_close(total, stats["phonetic_weight"] * stats["phonetic_loss"])
    assert weights == [0.0, 2.0, 2.0, 4.0]
    again = build_distillation(CONFIG, Quantizer(), {"phonetic": TEACHER})
    again.load_state_dict(distillation.state_dict())
    assert again.eval()(levels, lengths, CLOCK, batch())[1]["phonetic_weight"] == 4.0


@pytest.mark.parametrize(
    "config, message",
    [
        ({"semantic": {"loss": "frames", "weight": 1.0}}, "has no such level, but phonetic, lexical"),
        ({"phonetic": {"weight": 1.0}}, "loss not given"),
        ({"phonetic": {"loss": "frames"}}, "weight not given"),
        ({"phonetic": {"loss": "nothing", "weight": 1.0}}, "unknown class 'nothing'"),
        ({"phonetic": {"loss": "frames", "weight": 1.0, "words": 2}}, "unexpected keyword argument 'words'"),
        ({"phonetic": {"loss": "frames", "weight": [[5, 1.0], [5, 2.0]]}}, "rising steps"),
        ({"phonetic": {"loss": "frames", "weight": "a"}}, "rising steps|give a number"),
    ],
)
def test_configurations_that_cannot_be(config, message):
    with pytest.raises(UserError, match=message):
        build_distillation(config, Quantizer(), dict.fromkeys(config, TEACHER))
