# Copyright 2026 The hasrd authors
# Apache-2.0
"""Dead quantizers are said on stderr and are in the log's numbers."""

from __future__ import annotations

import json

import pytest
import torch
from children import trains
from espnet2.train.reporter import Reporter
from waits import batches, codec_model, ssl_model

from hasrd.quantizer.usage import CodebookUsage
from hasrd.train.usage import UsageReport


def counter(model: torch.nn.Module) -> CodebookUsage:
    return next(module for module in model.modules() if isinstance(module, CodebookUsage))


@pytest.mark.parametrize("quantizer", ["hasrd", "residual_vq"])
def test_a_codec_counts_its_valid_tokens_once(quantizer):
    model = codec_model(quantizer)
    (_, batch), *_ = batches("audio", 1)
    lengths = batch["audio_lengths"]
    lengths[1] = 500  # shorter than a token, which it gets all the same
    tokens = int(((lengths.clamp(min=784) - 784) // 512 + 1).sum())
    for turns in ([False, True], [True]):
        for forward_generator in turns:
            model(**batch, forward_generator=forward_generator)
        usages = counter(model).take()
        assert [usage.total for usage in usages] == [tokens] * len(model.codec.quantizer.codebook_sizes)
        assert [usage.size for usage in usages] == list(model.codec.quantizer.codebook_sizes)
    codes = model.codec.eval().encode(batch["audio"], lengths)
    model.eval()(**batch)
    for m, usage in enumerate(counter(model).take()):
        valid = [codes.codes[b, :u, m] for b, u in enumerate(codes.lengths.tolist())]
        assert usage.used == len(torch.cat(valid).unique())


def test_pretraining_counts_its_masked_targets():
    model = ssl_model()
    (_, batch), *_ = batches("speech", 1)
    weight = model(**batch)[2]
    (usage,) = counter(model).take()
    assert usage.total == weight and usage.size == 32 and usage.used > 1


def test_a_complaint_is_made_once(capsys):
    model = ssl_model()
    report, reporter = UsageReport(model, distributed=False), Reporter()
    for epoch in (1, 2, 3):
        reporter.set_epoch(epoch)
        for phase in ("train", "valid"):
            with reporter.observe(phase) as sub:
                sub.register({"loss": 1.0})
            labels = torch.full((400, 1), 5) if epoch > 1 else torch.arange(400)[:, None] % 32
            counter(model).add(labels, torch.ones(400, dtype=torch.bool))
            report.note(reporter, phase, complain=phase == "valid")
        assert reporter.get_value("valid", "epoch_used_targets") == (32 if epoch == 1 else 1)
        said = capsys.readouterr().err
        assert ("targets 1 of 32" in said and said.startswith("warning: epoch 2:")) == (epoch == 2)
        assert said.count("\n") == (epoch == 2)


def test_a_training_without_normalisation_is_warned(tasks, corpus, tmp_path):
    """Log-mel features as they are have projections that all point one way."""
    task, options = tasks["ssl"]
    for normalize, warned in (("utterance", False), ("none", True)):
        exp, log = tmp_path / normalize, tmp_path / f"{normalize}.log"
        argv = [*options(corpus, exp, 1), "--normalize", normalize, "--loss_conf", "{codebook_size: 256}"]
        trains(task, argv, log)
        warnings = [line for line in log.read_text().splitlines() if line.startswith("warning:")]
        assert len(warnings) == warned, warnings
        assert not warned or "are the features normalised" in warnings[0]
        epoch = json.loads((exp / "history.json").read_text())["epochs"][0]
        assert epoch["train"]["epoch_used_targets"] >= 1 and epoch["valid"]["epoch_perplexity_targets"] >= 1
