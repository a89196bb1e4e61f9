# Copyright 2026 The hasrd authors
# Apache-2.0
"""The teachers of a codec's levels: kept on disk or run on the batch, with the same targets; what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hasrd.bin.dump_teacher import main
from hasrd.data.audio import read_audio
from hasrd.data.kaldi import read_table
from hasrd.errors import UserError
from hasrd.loss.distillation import Clock, build_distillation
from hasrd.quantizer.hac import HACQuantizer
from hasrd.tasks.preprocess import Segment
from hasrd.teacher.levels import open_levels

pytest.importorskip("kaldiio")
LENGTHS = (16000, 9000, 12000)


@pytest.fixture
def data(make_data_dir) -> Path:
    return make_data_dir("train", LENGTHS, counted=True)


def dump(data: Path, out: Path, encoder_file: Path, *words: str) -> str:
    source = f"source={encoder_file}"
    main(["--teacher", "speech", "--teacher_conf", source, "--data", str(data), "--out", str(out), *words])
    return str(out)


def config(*targets: str, **more) -> dict:
    return {"phonetic": {"loss": "frames", "weight": 1.0, "targets": list(targets), **more}}


def test_a_teacher_that_runs_on_the_batch_says_what_it_said_before(data, tmp_path, encoder_file):
    kept = dump(data, tmp_path / "kept", encoder_file, "--compression_method", "none")
    live = dump(data, tmp_path / "live", encoder_file, "--max_gb", "0")
    kept, live = open_levels(config(kept)), open_levels(config(live))
    assert set(kept.cached) == set(live.live) == {"phonetic"} and not kept.live and not live.cached
    teacher = live.live["phonetic"]()
    for name, path in read_table(data / "wav.scp").items():
        wave = torch.from_numpy(read_audio(path, 16000))
        expected = kept.cached["phonetic"](name, 0.0, len(wave) / 16000)
        found = teacher(wave[None], torch.tensor([len(wave)]))
        for key in ("feats", "times"):
            torch.testing.assert_close(found[key][0], torch.from_numpy(expected[key]), atol=1e-3, rtol=1e-3)
    assert not list(teacher.state_dict()) and not list(teacher.parameters())


def test_a_loss_takes_either(data, tmp_path, encoder_file):
    """A whole training step's distillation, through the loader's segment or with the teacher on the wave."""
    torch.manual_seed(0)
    quantizer = HACQuantizer(8, levels=["phonetic"], codebook_size=16, attention_dim=8, attention_heads=2, num_blocks=1)
    name, path = next(iter(read_table(data / "wav.scp").items()))
    wave = torch.from_numpy(read_audio(path, 16000))
    losses = []
    for words in (("--compression_method", "none"), ("--max_gb", "0")):
        folder = dump(data, tmp_path / words[0], encoder_file, *words)
        levels = open_levels(config(folder))
        made = {level: make() for level, make in levels.live.items()}
        torch.manual_seed(1)
        distillation = build_distillation(config(folder), quantizer, levels.sizes, made).eval()
        cut = Segment(len(wave), "audio", False, 16000, levels.cached)(name, {"audio": wave.numpy()})
        batch = {key: torch.as_tensor(value)[None] for key, value in cut.items()}
        batch |= {f"{key}_lengths": torch.tensor([value.shape[1]]) for key, value in batch.items()}
        level = torch.linspace(-1, 1, 31 * 8).view(1, 31, 8)
        total, _ = distillation({"phonetic": level}, torch.tensor([31]), Clock(0.016, 0.032), batch)
        losses.append(float(total))
    assert losses[0] == pytest.approx(losses[1], abs=1e-3) and 0 < losses[0] < 2


def test_what_does_not_fit(data, tmp_path, encoder_file):
    folder = dump(data, tmp_path / "kept", encoder_file)
    with pytest.raises(UserError, match="targets not given: run stage 4"):
        open_levels({"phonetic": {"loss": "frames", "weight": 1.0}})
    with pytest.raises(UserError, match="teacher_size is 768, but the teacher's is 16"):
        open_levels(config(folder, teacher_size=768))
    with pytest.raises(UserError, match="no such file: run the teacher"):
        open_levels(config(str(tmp_path / "nothing")))


def test_the_scale_is_the_losses_choice(data, tmp_path, encoder_file):
    folder = dump(data, tmp_path / "kept", encoder_file)
    by_loss = {
        loss: open_levels({"a": {"loss": loss, "targets": [folder]}}).cached["a"] for loss in ("frames", "d_axis")
    }
    assert by_loss["frames"].mean.any() and not by_loss["d_axis"].mean.any()
    plain = open_levels({"a": {"loss": "frames", "targets": [folder], "standardize": False}}).cached["a"]
    assert not plain.mean.any()
