# Copyright 2026 The hasrd authors
# Apache-2.0
"""Batches are stated for one process: what ESPnet deals out to each is what the options say."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.tasks.ssl import SSLTask
from hasrd.tasks.training import global_batch


def options_of(monkeypatch, processes: int, rank: int, mode: str, *argv: str):
    parser = SSLTask.get_parser()
    args = parser.parse_args(
        ["--output_dir", "unused", "--train_data_path_and_name_and_type", "a,speech,kaldi_ark", *argv]
    )
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: processes)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    return args, SSLTask.build_iter_options(args, SimpleNamespace(distributed=processes > 1), mode)


@pytest.mark.parametrize("mode", ["train", "valid", "plot_att"])
@pytest.mark.parametrize("processes", [1, 2, 8])
def test_a_batch_is_as_many_times_as_large(mode, processes, monkeypatch, capsys):
    argv = ("--batch_type", "numel", "--batch_bins", "6000000", "--batch_size", "3", "--accum_grad", "2")
    args, options = options_of(monkeypatch, processes, 0, mode, *argv)
    if mode == "plot_att":
        assert (options.batch_size, options.batch_bins) == (1, 0), "one utterance, in the first process alone"
        return
    assert (options.batch_size, options.batch_bins) == (3 * processes, 6_000_000 * processes)
    assert (args.batch_size, args.batch_bins) == (3, 6_000_000), "config.yaml says what was asked for"
    said = capsys.readouterr().err
    if mode == "train":
        assert f"an update learns from {6_000_000 * processes * 2:,} feature values" in said
        options_of(monkeypatch, 8, 3, mode, *argv)
        assert capsys.readouterr().err == "", "once, not by every process"
    else:
        assert said == ""


def test_the_papers_global_batch():
    """600 s of log-mel a GPU, 8 GPUs, accumulation 2: 9600 s."""
    data = [("feats.scp", "speech", "kaldi_ark")]
    args = SimpleNamespace(
        batch_size=1, batch_bins=600 * 125 * 80, accum_grad=2, train_data_path_and_name_and_type=data
    )
    assert f"{9600 * 125 * 80:,} feature values" in global_batch(args, "numel", 8)
    data[0] = ("wav.scp", "speech", "sound")
    args = SimpleNamespace(batch_size=8, batch_bins=600 * 16000, accum_grad=1, train_data_path_and_name_and_type=data)
    assert f"{600 * 16000:,} samples" in global_batch(args, "numel", 1)
    assert "8 utterances: 8 a process x 1 process x" in global_batch(args, "unsorted", 1)


@given(
    seconds=st.lists(st.integers(100, 3000), min_size=40, max_size=120),
    processes=st.sampled_from([1, 2, 4]),
    bins=st.integers(6000, 20000),
)
@settings(deadline=None, max_examples=30)
def test_what_each_process_gets(seconds, processes, bins, tmp_path_factory):
    """ESPnet's sampler and its way of dealing out: a batch is full with its longest utterance, and shares are equal."""
    from espnet2.samplers.num_elements_batch_sampler import NumElementsBatchSampler

    shapes = tmp_path_factory.mktemp("shapes") / "shape"
    shapes.write_text("".join(f"u{i} {frames}\n" for i, frames in enumerate(seconds)))
    length = {f"u{i}": frames for i, frames in enumerate(seconds)}
    for batch in list(NumElementsBatchSampler(bins * processes, [str(shapes)]))[:-1]:
        longest, *others = sorted((length[utterance] for utterance in batch), reverse=True)
        assert not others or len(others) * others[0] <= bins * processes < len(batch) * longest
    # Where utterances are left over that are fewer than the processes, the last batches get one more each.
    for batch in NumElementsBatchSampler(bins * processes, [str(shapes)], min_batch_size=processes):
        shares = [len(batch[rank::processes]) for rank in range(processes)]
        assert max(shares) - min(shares) <= 1 and min(shares) > 0
