# Copyright 2026 The hasrd authors
# Apache-2.0
"""Training steps: the host does not wait, a bad gradient changes nothing, and the numbers are those of the steps."""

from __future__ import annotations

import copy
import math
from contextlib import contextmanager

import pytest
import torch
from waits import adamw, batches, codec_model, ssl_model, train, waits_of

from hasrd.errors import UserError
from hasrd.train.gan_trainer import GANTrainer
from hasrd.train.statistics import Statistics
from hasrd.train.trainer import Trainer
from hasrd.train.update import fuse, update

KINDS = {
    "ssl": lambda: (Trainer, ssl_model(), "speech"),
    "hasrd-istft": lambda: (GANTrainer, codec_model("hasrd", "istft"), "audio"),
    "hasrd-dac": lambda: (GANTrainer, codec_model("hasrd", "dac"), "audio"),
    "residual_vq-istft": lambda: (GANTrainer, codec_model("residual_vq", "istft"), "audio"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_does_not_wait_for_the_device(kind, monkeypatch):
    trainer, model, name = KINDS[kind]()
    optimizers = adamw(model)
    for optimizer in optimizers:
        fuse(optimizer)
    # The first use of a codec looks at its centroids, once.
    train(trainer, model, optimizers, batches(name, 1))
    items, before = batches(name, 2), copy.deepcopy(model.state_dict())

    def epoch(waits) -> None:
        flush = Statistics.flush

        def allowed(statistics) -> None:
            with waits.allowed():
                flush(statistics)

        monkeypatch.setattr(Statistics, "flush", allowed)
        train(trainer, model, optimizers, items)

    assert waits_of(epoch) == []
    assert any(not torch.equal(value, before[key]) for key, value in model.state_dict().items()), "nothing was learned"


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_does_not_wait_for_a_gpu(kind):
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    trainer, model, name = KINDS[kind]()
    model.cuda()
    optimizers = adamw(model)
    for optimizer in optimizers:
        fuse(optimizer)
    items = [(ids, {key: value.cuda() for key, value in batch.items()}) for ids, batch in batches(name, 3)]

    class Watched:
        """The second batch and the third, in whose steps waiting is an error; not in the log lines after them."""

        def __len__(self) -> int:
            return 9

        def __iter__(self):
            torch.cuda.set_sync_debug_mode("error")
            yield from items[1:]
            torch.cuda.set_sync_debug_mode("default")

    try:
        train(trainer, model, optimizers, items[:1], ngpu=1)
        train(trainer, model, optimizers, Watched(), ngpu=1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.sum() > 0),
        lambda x: x[x > 0],
        lambda x: x.tolist(),
        lambda x: x.nonzero(),
        lambda x: torch.tensor([1.0]),
        lambda x: x.index_put((x > 0,), torch.zeros(())),
        lambda x: (x * x.clone().requires_grad_()).sum().backward(),
    ],
)
def test_what_waits_is_seen(call):
    found = waits_of(lambda _: call(torch.ones(3)))
    assert bool(found) == ("backward" not in call.__code__.co_names), found


def run_steps(make: type, pattern: str, value: float, **conf) -> list[list[torch.Tensor]]:
    """Weights and moments after each step: "g" on a good gradient, "b" on one that holds `value`."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
    optimizer = make(model.parameters(), lr=0.1, weight_decay=0.1, **conf)
    fuse(optimizer)
    states = []
    for kind in pattern:
        model(torch.linspace(-1, 1, 20).view(5, 4)).square().sum().backward()
        if kind == "b":
            model[0].weight.grad[1, 2] = value
        assert bool(torch.isfinite(update(optimizer, 1.0))) == (kind == "g")
        optimizer.zero_grad()
        moments = [moment for state in optimizer.state.values() for moment in state.values() if moment is not None]
        states.append(copy.deepcopy([*model.state_dict().values(), *moments]))
    return states


@pytest.mark.parametrize("make", [torch.optim.AdamW, torch.optim.Adam, torch.optim.SGD])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(make, value):
    conf = {"momentum": 0.9} if make is torch.optim.SGD else {"amsgrad": True}
    plain = run_steps(make, "ggg", value, **conf)
    for pattern, good in (("gbg", (0, 2)), ("bgg", (1, 2)), ("gbbgbg", (0, 3, 5))):
        states = run_steps(make, pattern, value, **conf)
        for one, other in zip(plain, (states[step] for step in good)):
            assert all(torch.equal(a, b) for a, b in zip(one, other))
        for step, kind in enumerate(pattern):
            if kind == "b" and step:
                assert all(torch.equal(a, b) for a, b in zip(states[step - 1], states[step]))


def test_fp16_scaler():
    """A scaled loss gives the same step; one that overflows gives none and halves the scale."""
    weights = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=64.0)):
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        fuse(optimizer)
        for factor in (1.0, 2.0):
            loss = model(torch.ones(1, 4)).sum() * factor
            (loss if scaler is None else scaler.scale(loss)).backward()
            update(optimizer, 1.0, scaler=scaler)
            optimizer.zero_grad()
        weights.append(model.weight.detach().clone())
    assert torch.equal(*weights) and scaler.get_scale() == 64.0
    scaler.scale(model(torch.ones(1, 4)).sum() * math.inf).backward()
    assert not torch.isfinite(update(optimizer, 1.0, scaler=scaler))
    assert torch.equal(model.weight, weights[0]) and scaler.get_scale() == 32.0


def test_fused_steps_are_the_plain_ones():
    results = []
    for fused in (True, False):
        torch.manual_seed(0)
        model = torch.nn.Linear(6, 3)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        if fused:
            fuse(optimizer)
        for _ in range(5):
            model(torch.randn(7, 6)).square().sum().backward()
            update(optimizer, 1.0)
            optimizer.zero_grad()
        assert bool(optimizer.param_groups[0]["fused"]) == fused
        results.append(model.weight.detach())
    torch.testing.assert_close(*results)


def test_a_bad_step_is_skipped_and_reported(caplog):
    model = ssl_model()
    optimizers = adamw(model)
    fuse(optimizers[0])
    items = batches("speech", 3)
    items[1][1]["speech"] = torch.full_like(items[1][1]["speech"], math.nan)
    invalid, reporter = train(Trainer, model, optimizers, items)
    assert not invalid and "step 2: the grad_norm is nan" in caplog.text and caplog.text.count("grad_norm is") == 1
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert {int(state["step"]) for state in optimizers[0].state.values()} == {2}
    assert all(math.isfinite(reporter.get_value("train", key)) for key in ("loss", "grad_norm"))
    invalid, _ = train(Trainer, model, optimizers, items[1:2])
    assert invalid


def test_the_log_has_the_numbers_of_the_steps():
    """The average over steps, each with its weight, of what the model returned."""
    trainer, model, name = KINDS["hasrd-istft"]()
    seen: dict[str, list[tuple[float, float]]] = {}
    model.register_forward_hook(
        lambda _, args, output: (
            [
                seen.setdefault(key, []).append((float(value), float(output["weight"])))
                for key, value in output["stats"].items()
            ]
            and None
        )
    )
    items = batches(name, 3)
    items[2][1].update({key: value[:1] for key, value in items[2][1].items()})
    _, reporter = train(trainer, model, adamw(model), items, adversarial_start_step=1, log_interval=2)
    assert len(seen["mel_distance"]) == 3 and len(seen["discriminator_loss"]) == 2, "the discriminator joins in step 2"
    for key, values in seen.items():
        mean = sum(value * weight for value, weight in values) / sum(weight for _, weight in values)
        assert reporter.get_value("train", key) == pytest.approx(mean, rel=1e-5), key
    times = ("iter_time", "train_time", "generator_forward_time", "discriminator_backward_time", "optim0_lr0")
    assert all(reporter.get_value("train", key) > 0 for key in times)
    assert reporter.get_value("train", "generator_clip") in (0, 100 / 3, 200 / 3, 100)


def test_accumulated_gradients_are_those_of_the_whole(monkeypatch):
    model = ssl_model().eval()
    start = copy.deepcopy(model.state_dict())
    mask = model.loss.mask(torch.zeros(3, 122, 80), torch.tensor([122, 46, 84]))[1]
    monkeypatch.setattr(model.loss, "mask", lambda feats, lengths: (feats, mask))
    monkeypatch.setattr(model, "train", lambda: None)  # no dropout
    optimizers = [torch.optim.SGD(model.parameters(), lr=1.0)]
    items, results = batches("speech", 1), []
    for accum in (1, 2):
        model.load_state_dict(start)
        train(Trainer, model, optimizers, items * accum, accum_grad=accum, grad_clip=0.0)
        results.append(copy.deepcopy(model.state_dict()))
    assert not torch.equal(results[0]["loss.head.weight"], start["loss.head.weight"])
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-4)
    with pytest.raises(UserError, match="lower it"):
        train(Trainer, model, optimizers, items, accum_grad=2)


def test_processes_exchange_accumulated_gradients_once(monkeypatch):
    """Of three batches that are accumulated, two stay in `no_sync`, forward and backward."""
    model, inside, seen = ssl_model(), [], []

    @contextmanager
    def no_sync():
        inside.append(True)
        yield
        inside.pop()

    model.no_sync = no_sync
    model.register_forward_hook(lambda *_: seen.append(("forward", bool(inside))))
    model.loss.head.weight.register_hook(lambda _: seen.append(("backward", bool(inside))))
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda *_: None)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 1)
    train(Trainer, model, adamw(model), batches("speech", 6), accum_grad=3, distributed=True)
    assert seen == 2 * [(turn, held) for held in (True, True, False) for turn in ("forward", "backward")]


def test_each_turn_clips_to_a_norm_of_its_own():
    trainer, model, name = KINDS["hasrd-istft"]()
    optimizers = [torch.optim.SGD(optimizer.param_groups[0]["params"], lr=1.0) for optimizer in adamw(model)]
    parts = [list(optimizer.param_groups[0]["params"]) for optimizer in optimizers]
    before = [[p.detach().clone() for p in part] for part in parts]
    _, reporter = train(trainer, model, optimizers, batches(name, 1), grad_clip=0.5, grad_clip2=0.25)
    for part, old, norm, prefix in zip(parts, before, (0.5, 0.25), ("generator", "discriminator")):
        moved = torch.stack([(p - q).norm() for p, q in zip(part, old)]).norm()
        assert float(moved) == pytest.approx(norm, rel=1e-3), prefix
        assert reporter.get_value("train", f"{prefix}_clip") == 100
    _, reporter = train(trainer, model, optimizers, batches(name, 1), grad_clip=1e9, grad_clip2=0.0)
    assert reporter.get_value("train", "generator_clip") == reporter.get_value("train", "discriminator_clip") == 0


def test_the_generators_turn_trains_no_discriminator():
    """Its loss has the gradients for the codec that it had, and none for the discriminator's weights."""
    model = codec_model("residual_vq", "dac")
    (_, batch), *_ = batches("audio", 1)
    model.eval()
    model(**batch)["loss"].backward()
    assert all(parameter.grad is None for parameter in model.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in model.discriminator.parameters())
    found = [parameter.grad.clone() for parameter in model.codec.parameters() if parameter.grad is not None]
    model.zero_grad()
    audio, output = batch["audio"], model.codec(batch["audio"], batch["audio_lengths"])
    fake, real = model.discriminator(output.wave_hat[:, None]), model.discriminator(audio[:, None])
    loss = 15 * model.mel_distance(output.wave_hat, audio) + model.generator_loss(fake)
    loss = loss + 2 * model.feature_loss(fake, real) + 0.25 * output.losses["commitment"] + output.losses["codebook"]
    loss.backward()
    expected = [parameter.grad for parameter in model.codec.parameters() if parameter.grad is not None]
    assert len(expected) == len(found) > 0
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other)
    model(**batch, forward_generator=False)["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.discriminator.parameters())
