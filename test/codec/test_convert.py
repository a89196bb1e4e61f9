# Copyright 2026 The hasrd authors
# Apache-2.0
"""Exchange of acoustic tokens between utterances."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.codec.convert import exchange, match_frames, word_centroids
from hasrd.codec.streams import is_split, word_streams
from hasrd.codec.tokens import Tokens
from hasrd.models.load import load_codec

NAMES, SIZES = ("semantic", "acoustic", "acoustic"), (6, 9, 9)
CENTROIDS = [torch.tensor([[0.0], [1.0], [2.1], [10.0], [11.0], [20.0]])]


def make(lengths: list[int], seed: int) -> Tokens:
    generator = torch.Generator().manual_seed(seed)
    frames = max(lengths)
    codes = torch.stack([torch.randint(0, size, (len(lengths), frames), generator=generator) for size in SIZES], -1)
    for row, length in enumerate(lengths):
        codes[row, length:] = 0
    counts = torch.tensor(lengths)
    return Tokens(codes, counts, counts * 512 + 7, 31.25, NAMES, SIZES)


@given(
    lengths=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12)), min_size=1, max_size=3),
    method=st.sampled_from(["cycle", "match"]),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_words_of_one_and_voice_of_the_other(lengths, method, seed):
    source, target = (make([pair[i] for pair in lengths], seed + i) for i in (0, 1))
    before = source.codes.clone(), target.codes.clone()
    out = exchange(source, target, method, CENTROIDS)
    assert torch.equal(out.codes[..., 0], source.codes[..., 0]), "the semantic codes are the source's"
    assert torch.equal(out.lengths, source.lengths) and torch.equal(out.num_samples, source.num_samples)
    for row, (length, available) in enumerate(lengths):
        assert not out.codes[row, length:].any()
        pairs = set(map(tuple, target.codes[row, :available, 1:].tolist()))
        assert set(map(tuple, out.codes[row, :length, 1:].tolist())) <= pairs, "whole frames of the target"
        alone = exchange(source.item(row), target.item(row), method, CENTROIDS)
        assert torch.equal(alone.codes[0], out.codes[row, :length]), "as in any batch"
    assert torch.equal(source.codes, before[0]) and torch.equal(target.codes, before[1])


def test_cycle():
    source, target = make([7], 0), make([3], 1)
    out = exchange(source, target, "cycle").codes[0, :, 1:]
    assert torch.equal(out, target.codes[0, [0, 1, 2, 0, 1, 2, 0], 1:])


def frames_of(source: list[int], target: list[int]) -> list[int]:
    return match_frames(torch.tensor(source)[:, None], torch.tensor(target)[:, None], CENTROIDS).tolist()


def test_match():
    assert frames_of([3, 0, 5], [5, 0, 3]) == [2, 1, 0], "the same code"
    assert frames_of([1, 4], [3, 2, 0, 5]) == [2, 0], "else the nearest centroid"
    assert frames_of([0, 0, 3, 0, 0], [0, 3, 0, 0]) == [0, 2, 1, 2, 3], "the next such frame"
    assert frames_of([0, 0, 0], [3, 0, 0]) == [1, 2, 1], "after the last the first"
    assert frames_of([4, 1, 0, 2], [4, 1, 0, 2]) == [0, 1, 2, 3]


def test_an_utterance_in_its_own_voice_is_itself():
    tokens = make([9, 5], 3)
    assert torch.equal(exchange(tokens, tokens, "cycle").codes, tokens.codes)
    # Every code once: there is nothing to choose from.
    codes = torch.tensor([[[3, 1, 2], [0, 4, 5], [5, 7, 8]]])
    distinct = replace(tokens.item(0), codes=codes, lengths=torch.tensor([3]))
    assert torch.equal(exchange(distinct, distinct, "match", CENTROIDS).codes, distinct.codes)


def test_further_streams_stay_the_sources():
    source, target = (replace(make([4], i), stream_names=("semantic", "acoustic", "lexical")) for i in (0, 1))
    for out in (exchange(source, target, "cycle"), exchange(source, target, "match", CENTROIDS + [torch.eye(9)])):
        assert torch.equal(out.codes[..., [0, 2]], source.codes[..., [0, 2]])
    assert torch.equal(exchange(source, target, "cycle").codes[..., 1], target.codes[..., 1])


def test_match_looks_at_every_stream_but_the_acoustic():
    """Squared distances add up over the codebooks."""
    books = [torch.tensor([[0.0], [3.0]]), torch.tensor([[0.0], [4.0], [9.0]])]

    def found(source, target):
        return match_frames(torch.tensor(source), torch.tensor(target), books).tolist()

    assert found([[0, 0]], [[0, 1], [1, 0]]) == [1], "16 against 9"
    assert found([[1, 1]], [[0, 0], [1, 2], [0, 1]]) == [2], "25, 25, 9"
    assert found([[0, 1], [0, 1]], [[1, 1], [0, 1], [0, 1]]) == [1, 2], "the next of equal frames"


def test_refuses():
    source = make([4], 0)
    with pytest.raises(ValueError, match="choose one of cycle, match"):
        exchange(source, source, "knn")
    for wrong in (None, [], [CENTROIDS[0][:5]], CENTROIDS * 2):
        with pytest.raises(ValueError, match=r"not acoustic, \[6\] of them: needed"):
            exchange(source, source, "match", wrong)
    with pytest.raises(ValueError, match="of two codecs"):
        exchange(source, replace(source, frame_rate=50.0), "cycle")
    with pytest.raises(ValueError, match="1 utterances, but 2 targets"):
        exchange(source, make([4, 4], 0), "cycle")
    with pytest.raises(ValueError, match="target 0 has no tokens"):
        exchange(source, replace(source, lengths=torch.tensor([0])), "cycle")
    one = source.select(["acoustic"])
    assert not is_split(one.stream_names) and not is_split(["semantic"]) and not word_streams(one.stream_names)
    with pytest.raises(ValueError, match="acoustic tokens and others are needed"):
        exchange(one, one, "cycle")


def test_word_centroids(codec_dir, hac_dir):
    codec = load_codec(codec_dir)
    (centroids,) = word_centroids(codec)
    assert torch.equal(centroids, codec.quantizer.centroids)
    codec = load_codec(hac_dir)
    assert word_streams(codec.stream_names) == ["phonetic", "lexical"] and is_split(codec.stream_names)
    for level, own in zip(codec.quantizer.levels.values(), word_centroids(codec), strict=True):
        torch.testing.assert_close(own, level.vq.books[0].decode(torch.arange(16)))
