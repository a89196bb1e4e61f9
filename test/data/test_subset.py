# Copyright 2026 The hasrd authors
# Apache-2.0
"""Parts of a data directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from hasrd.data.kaldi import DataDir
from hasrd.data.subset import choose, read_list
from hasrd.errors import UserError


@pytest.fixture
def data() -> DataDir:
    utterances = [f"u{index:03d}" for index in range(300)]
    samples = {utt: str(1000 + 100 * (index % 7)) for index, utt in enumerate(utterances)}
    return DataDir(Path("d"), {"wav.scp": {utt: "x" for utt in utterances}, "utt2num_samples": samples})


def test_a_share_of_the_duration(data: DataDir):
    samples = data.samples()
    chosen = choose(data, share=0.1)
    assert sum(samples[utt] for utt in chosen) / sum(samples.values()) == pytest.approx(0.1, abs=0.005)
    assert chosen == sorted(set(chosen)) == choose(data, share=0.1)
    assert set(chosen) < set(choose(data, share=0.2))
    assert chosen != choose(data, share=0.1, seed=1)
    assert choose(data, share=1.0) == data.utterances
    assert len(choose(data, share=1e-9)) == 1


def test_a_number_of_utterances(data: DataDir):
    assert len(choose(data, num_utts=17)) == 17
    assert set(choose(data, num_utts=17)) < set(choose(data, num_utts=18))


@pytest.mark.parametrize("wrong", [{"num_utts": 0}, {"num_utts": 301}, {"share": 0.0}, {"share": 1.1}])
def test_impossible_parts(data: DataDir, wrong: dict):
    with pytest.raises(UserError, match="--(num_utts|share)"):
        choose(data, **wrong)


def test_a_list(tmp_path: Path, data: DataDir):
    path = tmp_path / "list"
    path.write_text("u002 more words\nu001\n")
    assert read_list(path, data) == ["u001", "u002"]
    path.write_text("u001\nnobody\n")
    with pytest.raises(UserError, match=f"{path}:2: utterance 'nobody' is not in d/wav.scp"):
        read_list(path, data)
    path.write_text("")
    with pytest.raises(UserError, match="no utterances"):
        read_list(path, data)
    with pytest.raises(UserError, match="no such file"):
        read_list(tmp_path / "nothing", data)
