# Copyright 2026 The hasrd authors
# Apache-2.0
"""Training steps side by side."""

from __future__ import annotations

import pytest
import torch

from hasrd.bench import steps, table
from hasrd.errors import UserError

JUDGE = {
    "discriminator": "mpmb",
    "discriminator_conf": {
        "periods": [2], "period_channels": 2, "period_max_channels": 4, "fft_sizes": [512], "band_channels": 2,
    },
    "optim2": "adamw",
    "optim2_conf": {"lr": 1e-4},
}  # fmt: skip


def test_rows(config, arguments):
    models = [config("ssl"), config("dac", **JUDGE), config("hasrd", **JUDGE), "nothing"]
    given = {"modes": None, "seconds": None, "batch_size": None}
    ssl, dac, hasrd, nothing = steps.bench_steps(arguments(models=models, **given))
    assert [row["kind"] for row in (ssl, dac, hasrd)] == ["pre-training", "codec", "codec"]
    assert dac["ratio_to_dac"] == 1 and hasrd["ratio_to_dac"] > 0 and ssl["ratio_to_dac"] is None
    # 30000 values: 375 frames of 80 bins, 128 samples each.
    assert (ssl["batch_size"], ssl["seconds"]) == (1, 15) and (dac["batch_size"], dac["seconds"]) == (2, 0.5)
    for row in (ssl, dac, hasrd):
        assert row["mode"] == "float32"
        assert row["audio_per_second"] == pytest.approx(row["batch_size"] * row["seconds"] / row["step_seconds"])
    assert "no train_codec_nothing.yaml" in nothing["note"]
    text = table.render([ssl, dac, hasrd, nothing])
    assert text.splitlines()[0].startswith("model  kind") and "nothing: no train_codec" in text


def test_a_step_trains_codec_and_discriminator_and_leaves_the_encoder(config, arguments):
    session = steps.Session(steps.Path(config("hasrd", **JUDGE)), "float32", arguments())
    codec, judge = session.model.codec, session.model.discriminator
    watched = {
        "encoder": next(codec.encoder.module.parameters()),
        "decoder": next(codec.decoder.parameters()),
        "discriminator": next(judge.parameters()),
    }
    before = {name: value.detach().clone() for name, value in watched.items()}
    session.steps()
    assert {name: not torch.equal(before[name], watched[name]) for name in watched} == {
        "encoder": False, "decoder": True, "discriminator": True,
    }  # fmt: skip


def test_without_the_discriminator(config, arguments):
    (row,) = steps.bench_steps(arguments(models=[config("dac", **JUDGE)], modes="float32", discriminator=False))
    assert row["kind"] == "codec, no discriminator" and row["step_seconds"] > 0


def test_flops():
    linear, x = torch.nn.Linear(8, 4), torch.randn(16, 8, requires_grad=True)
    # Forward, and backward to input and weights: a product of 16 x 8 x 4 each, two operations an element.
    assert steps.count_flops(lambda: linear(x).sum().backward()) == 3 * 2 * 16 * 8 * 4


@pytest.mark.parametrize(
    ("name", "peak"), [("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H100 PCIe", 756), ("NVIDIA L40S", 362), ("Other", None)]
)
def test_the_peak_of_known_gpus(name, peak):
    assert steps.peak_tflops(name) == peak


def test_memory_and_peak_come_as_fractions(arguments):
    def session(model, **row):
        made = object.__new__(steps.Session)
        made.row = {"model": model, "mode": "bf16", "kind": "codec", "seconds": 5.0, "batch_size": 8, **row}
        made.epoch = [None] * 5
        return made

    base, other = session("dac", memory=1000), session("hasrd", memory=750, flops=10**14)
    times = {base: [10.0, 12.0], other: [5.0, 4.0]}
    row = steps._figures(times, other, base, arguments(peak_tflops=1000.0))
    assert row["step_seconds"] == pytest.approx(0.9) and row["audio_per_second"] == pytest.approx(40 / 0.9)
    assert (row["ratio_to_dac"], row["memory_to_dac"]) == (2.5, 0.75)
    assert row["peak_fraction"] == pytest.approx(100 / 0.9 / 1000)


def test_training_has_no_compiled_mode(arguments):
    with pytest.raises(UserError, match="--modes bf16,compile: training has float32 and bf16"):
        steps.bench_steps(arguments(modes="bf16,compile"))
