# Copyright 2026 The hasrd authors
# Apache-2.0
"""The CTC probe: on a CPU it computes what torch's bidirectional LSTM computes on packed sequences."""

from __future__ import annotations

import pytest
import torch
from espnet2.asr.ctc import CTC
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from hasrd.espnet.probe import BLSTMProbe, CTCLossPerLabel
from hasrd.tasks.asr import ASRTask

LENGTHS = torch.tensor([7, 20, 1])


def packed(probe: BLSTMProbe, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    sequence = pack_padded_sequence(probe.projection(x), lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(probe.blstm(sequence)[0], batch_first=True, total_length=x.shape[1])[0]


@pytest.mark.parametrize("num_layers", [1, 2])
def test_equals_packed_sequences(num_layers):
    torch.manual_seed(0)
    probe = BLSTMProbe(5, projection_size=6, hidden_size=8, num_layers=num_layers).eval()
    x = torch.randn(3, 20, 5)
    ours, theirs = (
        (y, torch.autograd.grad(y.square().sum(), list(probe.parameters())))
        for y in (probe(x, LENGTHS)[0], packed(probe, x, LENGTHS))
    )
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_padding_and_codes():
    torch.manual_seed(0)
    probe = BLSTMProbe(2, codebook_sizes=[11, 7], projection_size=6, hidden_size=8).eval()
    codes = torch.randint(7, (3, 20, 2), dtype=torch.int32)
    batch, lengths, _ = probe(codes, LENGTHS)
    assert batch.shape == (3, 20, probe.output_size()) and lengths.tolist() == LENGTHS.tolist()
    for row, length in enumerate(LENGTHS.tolist()):
        alone = probe(codes[row : row + 1, :length], torch.tensor([length]))[0][0]
        torch.testing.assert_close(batch[row, :length], alone, atol=1e-6, rtol=1e-5)


def test_codes_out_of_archives():
    """As floats, and padded with 0, they give what integers do that are padded with -1."""
    probe = BLSTMProbe(2, codebook_sizes=[2**14, 7], projection_size=6, hidden_size=8).eval()
    codes = torch.stack([torch.randint(2**14, (3, 20)), torch.randint(7, (3, 20))], dim=-1)
    padding = torch.arange(20)[:, None] >= LENGTHS[:, None, None]
    integers = probe(codes.masked_fill(padding, -1), LENGTHS)[0]
    floats = probe(codes.float().masked_fill(padding, 0.0), LENGTHS)[0]
    assert torch.equal(floats, integers)


def test_dropout_in_training_only():
    probe = BLSTMProbe(5, projection_size=6, hidden_size=8, dropout=0.5)
    x = torch.randn(3, 20, 5)
    assert not torch.equal(probe(x, LENGTHS)[0], probe(x, LENGTHS)[0])
    probe.eval()
    assert torch.equal(probe(x, LENGTHS)[0], probe(x, LENGTHS)[0])


def test_float32_under_autocast():
    probe = BLSTMProbe(5, projection_size=6, hidden_size=8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert probe(torch.randn(3, 20, 5), LENGTHS)[0].dtype == torch.float32


def test_stacked_frames():
    torch.manual_seed(0)
    plain = BLSTMProbe(15, projection_size=6, hidden_size=8)
    stacked = BLSTMProbe(5, projection_size=6, hidden_size=8, stack=3)
    stacked.load_state_dict(plain.state_dict())
    x = torch.randn(3, 20, 5)
    lengths = torch.tensor([7, 20, 3])
    wide = torch.stack([torch.cat(list(x[:, 3 * i : 3 * i + 3].unbind(1)), dim=-1) for i in range(6)], dim=1)
    expected, counts, _ = plain.eval()(wide, torch.tensor([2, 6, 1]))
    found, found_counts, _ = stacked.eval()(x, lengths)
    assert torch.equal(found, expected) and found_counts.tolist() == counts.tolist() == [2, 6, 1]


@given(
    lengths=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 8)), min_size=1, max_size=5), seed=st.integers(0, 99)
)
@settings(deadline=None, max_examples=30)
def test_the_loss_of_a_probe_is_s3prls(lengths, seed):
    """torch.nn.CTCLoss as S3PRL makes it (reduction "mean", zero_infinity), also where labels do not fit."""
    torch.manual_seed(seed)
    frames, labels = (torch.tensor(column) for column in zip(*lengths))
    ctc = CTC(6, 4)
    ctc.ctc_loss = CTCLossPerLabel(ctc.ctc_loss.zero_infinity)
    hidden = torch.randn(len(lengths), int(frames.max()), 4)
    padded = torch.randint(1, 6, (len(lengths), max(1, int(labels.max()))))
    found = ctc(hidden, frames, padded, labels)
    theirs = torch.nn.CTCLoss(zero_infinity=True)
    expected = theirs(ctc.ctc_lo(hidden).log_softmax(-1).transpose(0, 1), padded, frames, labels)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_only_a_model_that_is_ctc_alone_is_a_probe(weight, tmp_path):
    conf = ["--encoder", "blstm_probe", "--encoder_conf", "{projection_size: 8, hidden_size: 8, num_layers: 1}"]
    args = ASRTask.get_parser().parse_args(
        ["--output_dir", str(tmp_path), "--input_size", "8", "--normalize", "none", *conf, "--decoder", "rnn"]
        + ["--model_conf", f"ctc_weight={weight}", "--ctc_conf", "zero_infinity=false"]
    )
    args.token_list = ["<blank>", "<unk>", "A", "<sos/eos>"]
    loss = ASRTask.build_model(args).ctc.ctc_loss
    assert isinstance(loss, CTCLossPerLabel) == (weight == 1.0) and not loss.zero_infinity
