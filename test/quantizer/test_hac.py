# Copyright 2026 The hasrd authors
# Apache-2.0
"""HAC's levels: what they add up to, alone, left out, and without any of them DAC's residual VQ."""

from __future__ import annotations

import copy

import pytest
import torch

from hasrd.quantizer.hac import HACQuantizer
from hasrd.quantizer.residual_vq import ResidualVQ

D, LENGTHS = 16, torch.tensor([9, 5, 0])
STREAMS = ("phonetic", "lexical", "acoustic")


def make(**conf) -> tuple[HACQuantizer, tuple[torch.Tensor]]:
    torch.manual_seed(0)
    conf = {
        "num_codebooks": 3, "codebook_size": 32, "codebook_dim": 4, "attention_dim": 8, "attention_heads": 2,
        "linear_units": 12, "num_blocks": 2, **conf,
    }  # fmt: skip
    return HACQuantizer(D, **conf).eval(), (torch.randn(3, 9, D),)


def test_streams_and_sizes():
    quantizer, layers = make()
    assert quantizer.stream_names == ("phonetic", "lexical", "acoustic", "acoustic", "acoustic")
    assert quantizer.codebook_sizes == (32,) * 5 and quantizer.output_size == D
    output = quantizer(layers, LENGTHS)
    assert output.codes.shape == (3, 9, 5) and output.latent.shape == (3, 9, D)
    assert not output.codes[1, 5:].any() and not output.codes[2].any()
    assert torch.equal(quantizer.encode(layers, LENGTHS), output.codes)


def test_the_latent_is_the_sum_of_the_streams_alone():
    quantizer, layers = make()
    output = quantizer(layers, LENGTHS)
    parts = {name: quantizer.decode(output.codes, [name]) for name in STREAMS}
    for b, length in enumerate(LENGTHS):
        torch.testing.assert_close(output.latent[b, :length], sum(parts.values())[b, :length])
        for name, level in output.levels.items():
            torch.testing.assert_close(level[b, :length], parts[name][b, :length])
    assert not quantizer.decode(output.codes, []).any()


def test_each_stream_reads_z_itself():
    """Acoustic tokens are a residual VQ of Z, a level's the nearest entry to its Transformer's output."""
    quantizer, layers = make()
    codes = quantizer.encode(layers, LENGTHS)
    alone = ResidualVQ(D, num_codebooks=3, codebook_size=32, codebook_dim=4)
    alone.acoustic.load_state_dict(quantizer.acoustic.state_dict())
    assert torch.equal(codes[..., 2:], alone.encode(layers, LENGTHS))
    for m, level in enumerate(quantizer.levels.values()):
        looked_up = level.vq.books[0].in_proj(level.encode(layers[0], LENGTHS))
        cosine = torch.cosine_similarity(looked_up[:, :, None], level.vq.books[0].codebook.weight, dim=-1)
        for b, length in enumerate(LENGTHS):
            assert torch.equal(codes[b, :length, m], cosine[b, :length].argmax(-1))


def test_an_utterance_does_not_depend_on_its_batch():
    quantizer, layers = make()
    codes = quantizer.encode(layers, LENGTHS)
    alone = quantizer.encode((layers[0][1:2, :5],), LENGTHS[1:2])
    assert torch.equal(alone[0], codes[1, :5])


def test_without_levels_it_is_dacs():
    quantizer, layers = make(levels=[])
    dac = ResidualVQ(D, num_codebooks=3, codebook_size=32, codebook_dim=4)
    dac.load_state_dict(quantizer.state_dict())
    for mode in (False, True):
        outputs = []
        for module in (quantizer.train(mode), dac.train(mode)):
            torch.manual_seed(1)
            outputs.append(module(layers, LENGTHS))
        for name in ("latent", "codes", "commitment_loss", "codebook_loss"):
            assert torch.equal(getattr(outputs[0], name), getattr(outputs[1], name)), name
    assert not outputs[0].levels


@pytest.mark.parametrize(
    "conf", [{"levels": ["lexical"]}, {"num_codebooks": 0}, {"levels": ["phonetic"], "num_codebooks": 0}]
)
def test_a_stream_left_out(conf):
    quantizer, layers = make(**conf)
    output = quantizer.train()(layers, LENGTHS)
    output.latent.sum().backward()
    names = (*conf.get("levels", STREAMS[:2]), *("acoustic",) * conf.get("num_codebooks", 3))
    assert quantizer.stream_names == names
    assert output.codes.shape[-1] == len(names)
    torch.testing.assert_close(quantizer.eval().decode(output.codes)[0].shape, (9, D))


def test_the_first_codebooks(monkeypatch):
    quantizer, layers = make(dropout_rate=0.0)
    codes = quantizer.encode(layers, LENGTHS)
    books = [*(level.vq.books[0] for level in quantizer.levels.values()), *quantizer.acoustic.books]
    for number in range(1, 6):
        first = quantizer.decode(codes[..., :number])
        expected = sum(book.decode(codes[..., m]) for m, book in enumerate(books[:number]))
        torch.testing.assert_close(first, expected)
        # Training keeps the levels at least; a Transformer or a codebook that it moved would give other codes.
        if number >= 2:
            kept = torch.full((3,), number - 2)
            monkeypatch.setattr("hasrd.quantizer.quantizer.draw_kept", lambda *_, kept=kept: kept)
            torch.testing.assert_close(copy.deepcopy(quantizer).train()(layers, LENGTHS).latent[0], first[0])


def test_levels_are_always_kept_in_training():
    quantizer, layers = make(quantizer_dropout=1.0, dropout_rate=0.0)
    output = quantizer.train()(layers, LENGTHS)
    acoustic = quantizer.decode(output.codes, ["acoustic"])[0]
    levels = output.levels["phonetic"] + output.levels["lexical"]
    assert not torch.allclose((output.latent - levels)[0], acoustic), "all acoustic codebooks were kept"
    torch.testing.assert_close(levels[0], quantizer.decode(output.codes, ["phonetic", "lexical"])[0])


def test_gradients_of_a_level_reach_z_and_the_level_alone():
    quantizer, layers = make()
    z = layers[0].requires_grad_()
    quantizer((z,), LENGTHS).levels["lexical"].square().sum().backward()
    assert z.grad[0].abs().sum() > 0 and not z.grad[2].any()
    touched = {name.split(".")[1] for name, p in quantizer.named_parameters() if p.grad is not None and p.grad.any()}
    assert touched == {"lexical"}


def test_nothing_depends_on_padding():
    quantizer, (z,) = make()
    other = z.clone()
    other[1, 5:], other[2] = 7.0, -3.0
    first, second = quantizer((z,), LENGTHS), quantizer((other,), LENGTHS)
    assert torch.equal(first.codes, second.codes)
    for name in ("commitment_loss", "codebook_loss"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize(
    "conf", [{"levels": ["acoustic"]}, {"levels": ["lexical", "lexical"]}, {"levels": [], "num_codebooks": 0}]
)
def test_levels_that_cannot_be(conf):
    with pytest.raises(ValueError, match="levels"):
        make(**conf)


def test_learns_two_clusters_apart():
    """A distilled level takes what it is taught, whatever else the latents hold."""
    torch.manual_seed(0)
    quantizer = make(dropout_rate=0.0)[0].train()
    head = torch.nn.Linear(D, 2)
    optimizer = torch.optim.Adam([*quantizer.parameters(), *head.parameters()], lr=1e-2)
    for _ in range(60):
        z, label = torch.randn(4, 12, D), torch.randint(0, 2, (4, 12))
        z[..., 0] = 2.0 * label - 1.0
        output = quantizer((z,), torch.full((4,), 12))
        loss = torch.nn.functional.cross_entropy(head(output.levels["phonetic"]).flatten(0, 1), label.flatten())
        optimizer.zero_grad()
        (loss + 0.25 * output.commitment_loss + output.codebook_loss).backward()
        optimizer.step()
    trained = copy.deepcopy(quantizer).eval()
    codes = trained.encode((z,), torch.full((4,), 12))[..., 0]
    pure = sum(max((label[codes == c] == k).sum() for k in (0, 1)) for c in codes.unique())
    assert pure / label.numel() > 0.95
