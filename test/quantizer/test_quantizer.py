# Copyright 2026 The hasrd authors
# Apache-2.0
"""What the base does for every quantizer, on one of two streams that says no more than it must."""

from __future__ import annotations

import pytest
import torch

from hasrd.quantizer.output import QuantizerOutput
from hasrd.quantizer.quantizer import Quantizer

LENGTHS = torch.tensor([6, 2, 0])


class Rounding(Quantizer):
    """The whole part of each number, then tenths (acoustic), then hundredths (acoustic) of what is left."""

    STEPS = (1.0, 0.1, 0.01)

    def __init__(self, input_size: int, num_layers: int, quantizer_dropout: float | None = 1.0) -> None:
        super().__init__(input_size, ("semantic", "acoustic", "acoustic"), (11, 21, 21), quantizer_dropout)
        self.seen: list[tuple[torch.dtype, bool]] = []

    def look_up(self, layers, mask):
        rest, codes = layers[-1], []
        self.seen.append((rest.dtype, torch.is_autocast_enabled("cpu")))
        for step in self.STEPS:
            codes.append((rest[..., 0] / step).round().long() + 10)
            rest = rest - step * (codes[-1] - 10)[..., None]
        return torch.stack(codes, dim=-1)

    def vectors(self, codebook, codes):
        return (self.STEPS[codebook] * (codes - 10).float())[..., None].expand(*codes.shape, self.output_size)

    def quantize(self, layers, mask, keep):
        codes = self.look_up(layers, mask)
        parts = [self.vectors(m, codes[..., m]) for m in range(3)]
        kept = [(keep >= m)[:, None, None] for m in range(3)]
        latent = sum(part * use for part, use in zip(parts, kept))
        zero = latent.new_zeros(())
        return QuantizerOutput(latent, codes, zero, zero, {"own": mask.sum()})


@pytest.fixture
def quantizer():
    return Rounding(2, 1).eval()


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return (torch.full((3, 6, 2), torch.inf), (2 * torch.randn(3, 6, 1)).clamp(-9, 0.4).expand(-1, -1, 2))


def test_codes_are_zero_on_padding_and_stats_are_of_the_rest(quantizer, layers):
    output, codes = quantizer(layers, LENGTHS), quantizer.encode(layers, LENGTHS)
    assert torch.equal(output.codes, codes)
    assert not codes[1, 2:].any() and not codes[2].any() and codes[0].all()
    assert list(output.stats) == [f"{what}_{m}" for m in range(3) for what in ("used", "perplexity")] + ["own"]
    assert output.stats["used_0"] == len(torch.cat([codes[0, :, 0], codes[1, :2, 0]]).unique())


def test_streams_and_first_codebooks_add_up(quantizer, layers):
    codes = quantizer.encode(layers, LENGTHS)
    parts = [quantizer.vectors(m, codes[..., m]) for m in range(3)]
    assert torch.equal(quantizer.decode(codes), parts[1] + parts[2] + parts[0]), "the acoustic ones come first"
    assert torch.equal(quantizer.decode(codes, ["semantic"]), parts[0])
    assert torch.equal(quantizer.decode(codes[..., :2], ["acoustic"]), parts[1])
    assert torch.equal(quantizer.decode(codes, []), torch.zeros(3, 6, 2))
    assert torch.equal(quantizer.decode(codes[..., :0]), torch.zeros(3, 6, 2))
    assert (quantizer.decode(codes) - layers[1])[0].abs().max() < 0.006
    with pytest.raises(ValueError, match="no stream named lexical: there are semantic, acoustic"):
        quantizer.decode(codes, ["lexical"])


def test_float32_without_autocast(quantizer, layers):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quantizer([layer.bfloat16() for layer in layers], LENGTHS)
        quantizer.encode([layer.bfloat16() for layer in layers], LENGTHS)
    assert quantizer.seen == [(torch.float32, False)] * 2


def test_dropout_is_of_acoustic_codebooks_in_training(quantizer, layers):
    whole = quantizer(layers, LENGTHS).latent
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        output = quantizer.train()(layers, LENGTHS)
        options = [quantizer.decode(output.codes[..., : 1 + kept])[0] for kept in range(3)]
        distances = [float((option - output.latent[0]).abs().max()) for option in options]
        seen.add(distances.index(min(distances)))
    assert seen == {0, 1, 2}
    state = torch.get_rng_state()
    without = Rounding(2, 1, quantizer_dropout=None).train()(layers, LENGTHS)
    assert torch.equal(without.latent, whole) and torch.equal(torch.get_rng_state(), state)


def test_what_others_ask_has_an_answer(quantizer):
    assert quantizer.semantic_layer is None and quantizer.layer_weights is None and quantizer.level_names == ()
    assert not quantizer.needs_kmeans and quantizer.num_parameters == 0
    with pytest.raises(ValueError, match="Rounding takes no centroids"):
        quantizer.set_centroids(torch.zeros(11, 2))
