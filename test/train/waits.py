# Copyright 2026 The hasrd authors
# Apache-2.0
"""Small models and what watches their training steps."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Callable, Iterator, Sequence

import torch
from espnet2.train.reporter import Reporter
from small_models import CODEC, ENCODER
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import hasrd
from hasrd.codec.build import build_modules, build_speech_encoder
from hasrd.codec.codec import Codec
from hasrd.discriminator.mpmb import MultiPeriodMultiBandDiscriminator
from hasrd.encoder.frozen import Frozen
from hasrd.espnet.codec_model import CodecModel
from hasrd.espnet.ssl_model import SSLModel
from hasrd.loss.best_rq import BestRQLoss

DECODERS = {"istft": CODEC["decoder_conf"], "dac": {"channels": 32, "separable": True}}
SECONDS = (1.0, 0.4, 0.7)


def ssl_model() -> SSLModel:
    """A model of 0.03 M parameters."""
    torch.manual_seed(0)
    return SSLModel(build_speech_encoder(ENCODER), BestRQLoss(80, 16, codebook_size=32, codebook_dim=4))


def codec_model(quantizer: str = "hasrd", decoder: str = "istft") -> CodecModel:
    """A codec with a small discriminator; with "hasrd" on a frozen encoder."""
    torch.manual_seed(0)
    config = {**ENCODER, "quantizer": quantizer, "quantizer_conf": CODEC["quantizer_conf"]}
    config.update(decoder=decoder, decoder_conf=DECODERS[decoder])
    front = None
    if quantizer == "hasrd":
        config["quantizer_conf"] = {**CODEC["quantizer_conf"], "semantic_layer": 1, "num_clusters": 8}
        front = build_speech_encoder(config)
        front.encoder = Frozen(front.encoder)
    codec = Codec(**build_modules(config, front))
    if quantizer == "hasrd":
        codec.quantizer.set_centroids(torch.randn(8, 16))
    judge = MultiPeriodMultiBandDiscriminator(
        periods=[2], period_channels=4, period_max_channels=8, fft_sizes=[512], band_channels=4
    )
    return CodecModel(codec, judge)


def batches(name: str, number: int = 2) -> list:
    """Batches of noise as ESPnet's iterators give them: ids, then waves and lengths."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([int(16000 * seconds) for seconds in SECONDS])
    ids = [f"utt{i}" for i in range(len(lengths))]
    shape = (len(lengths), int(lengths.max()))
    return [
        (ids, {name: 0.1 * torch.randn(shape, generator=generator), f"{name}_lengths": lengths}) for _ in range(number)
    ]


def adamw(model: SSLModel | CodecModel) -> list[torch.optim.Optimizer]:
    """The optimisers of a task: of the codec and of its discriminator, or of the whole model."""
    parts = [model.codec, model.discriminator] if isinstance(model, CodecModel) else [model]
    return [torch.optim.AdamW([p for p in part.parameters() if p.requires_grad], lr=1e-3) for part in parts]


def train(
    trainer: type, model, optimizers: Sequence, items: Sequence, schedulers=(None, None), distributed=False, **options
) -> tuple:
    """Run `trainer.train_one_epoch`; return its verdict and the reporter."""
    defaults = {
        "ngpu": 0, "accum_grad": 1, "log_interval": None, "grad_clip": 1.0, "grad_clip2": 1.0, "grad_clip_type": 2.0,
        "grad_noise": False, "use_wandb": False, "adversarial_start_step": 0, "output_dir": "exp",
    }  # fmt: skip
    reporter = Reporter()
    reporter.set_epoch(1)
    with reporter.observe("train") as sub:
        invalid = trainer.train_one_epoch(
            model=model, iterator=items, optimizers=optimizers, schedulers=schedulers, scaler=None, reporter=sub,
            summary_writer=None, options=SimpleNamespace(**{**defaults, **options}),
            distributed_option=SimpleNamespace(distributed=distributed),
        )  # fmt: skip
    return invalid, reporter


# Their result, or its size, has to come from the device before the host can go on; `lift_fresh` is torch.tensor(),
# which sends numbers there and waits for their arrival, and a window is made on the host.
OPERATIONS = {
    "_local_scalar_dense", "nonzero", "nonzero_numpy", "masked_select", "unique_dim", "_unique", "_unique2",
    "unique_consecutive", "bincount", "equal", "is_nonzero", "allclose", "histc", "lift_fresh",
    "hann_window",
}  # fmt: skip
METHODS = {getattr(torch.Tensor, name) for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__array__")}


class Waits(TorchDispatchMode):
    """Notes the operations, forward and backward, for which the host would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.paused = False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Note and call."""
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        waits = name in OPERATIONS or (name == "repeat_interleave" and func._overloadname == "Tensor")
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            waits = any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
        if waits:
            self.note(str(func))
        return func(*args, **kwargs)

    def note(self, name: str) -> None:
        """Remember what waits, unless it may, or our line that wants it asks first whether the device is a CPU."""
        package = str(Path(hasrd.__file__).parent)
        lines = [frame.line or "" for frame in traceback.extract_stack() if frame.filename.startswith(package)]
        if not self.paused and not (lines and 'device.type == "cpu" and' in lines[-1]):
            self.found.append(f"{name}: {lines[-1] if lines else ''}")

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """A place where the host may wait."""
        self.paused = True
        yield
        self.paused = False


class Asks(TorchFunctionMode):
    """Notes the methods that bring a tensor to the host without an operation."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Note and call."""
        if func in METHODS:
            self.waits.note(func.__name__)
        return func(*args, **(kwargs or {}))


def waits_of(call: Callable[[Waits], object]) -> list[str]:
    """What `call` waits for."""
    waits = Waits()
    with Asks(waits), waits:
        call(waits)
    return waits.found
