# Copyright 2026 The hasrd authors
# Apache-2.0
"""Dumped features against torchaudio's Kaldi filterbank, and what goes with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hasrd.data.archive import read_archives
from hasrd.data.audio import read_audio
from hasrd.data.features import dump_features
from hasrd.data.kaldi import read_table
from hasrd.data.waves import batches
from hasrd.errors import UserError
from hasrd.jobs.sharing import Sharing

kaldi = pytest.importorskip("torchaudio.compliance.kaldi")
pytest.importorskip("kaldiio")

# The limits: largest and mean difference from torchaudio.
LARGEST, MEAN = 1e-2, 1e-5


def reference(path: str) -> np.ndarray:
    wave = torch.from_numpy(read_audio(path, 16000))[None]
    return kaldi.fbank(wave, num_mel_bins=80, frame_length=25.0, frame_shift=8.0, dither=0.0).numpy()


def assert_like_torchaudio(dump: Path) -> None:
    wavs = read_table(dump / "wav.scp")
    differences = []
    for utterance, features in read_archives(dump / "feats.scp"):
        expected = reference(wavs[utterance])
        assert features.shape == expected.shape and features.dtype == np.float32
        differences.append(np.abs(features - expected).ravel())
    everything = np.concatenate(differences)
    assert everything.max() < LARGEST and everything.mean() < MEAN
    assert len(differences) == len(wavs)


def test_noise_of_unequal_lengths_is_like_torchaudios(tmp_path: Path, make_data_dir):
    lengths = [784, 16000, 5001, 784, 400, 30000, 12345]
    data = make_data_dir("train", lengths)
    frames = dump_features(data, tmp_path / "dump", chunk_size=3)
    assert_like_torchaudio(tmp_path / "dump")
    counts = read_table(tmp_path / "dump" / "utt2num_frames")
    assert [int(count) for count in counts.values()] == [1 + (length - 400) // 128 for length in lengths]
    assert frames == sum(int(count) for count in counts.values())


def test_real_speech_is_like_torchaudios(tmp_path: Path, librispeech: Path):
    files = sorted(librispeech.glob("test-other/*/*/*.flac"))[::9][:12]
    if not files:
        pytest.skip("no test-other in LIBRISPEECH")
    data = tmp_path / "data"
    data.mkdir()
    (data / "wav.scp").write_text("".join(f"{path.stem} {path}\n" for path in files))
    dump_features(data, tmp_path / "dump", chunk_size=7)
    assert_like_torchaudio(tmp_path / "dump")


def test_tables_are_copied_and_statistics_cover_all_frames(tmp_path: Path, make_data_dir):
    data = make_data_dir("train", [5000, 6000, 7000, 8000])
    dump_features(data, tmp_path / "dump", chunk_size=3, sharing=Sharing(2))
    for name in ("wav.scp", "text", "utt2spk"):
        assert (tmp_path / "dump" / name).read_text() == (data / name).read_text()
    features = np.concatenate([matrix for _, matrix in read_archives(tmp_path / "dump" / "feats.scp")])
    with np.load(tmp_path / "dump" / "cmvn.npz") as stats:
        assert int(stats["count"]) == len(features)
        np.testing.assert_allclose(stats["sum"], features.sum(0, dtype=np.float64))
        np.testing.assert_allclose(stats["sum_square"], np.square(features, dtype=np.float64).sum(0))


def test_another_configuration_is_dumped_anew(tmp_path: Path, make_data_dir):
    data = make_data_dir("train", [5000, 6000])
    dump_features(data, tmp_path / "dump")
    dump_features(data, tmp_path / "dump", feats_conf={"num_mels": 40})
    assert {matrix.shape[1] for _, matrix in read_archives(tmp_path / "dump" / "feats.scp")} == {40}


def test_compressed_features_stay_close(tmp_path: Path, make_data_dir):
    data = make_data_dir("train", [5000, 6000])
    dump_features(data, tmp_path / "dump", compression_method=3)
    for utterance, matrix in read_archives(tmp_path / "dump" / "feats.scp"):
        assert np.abs(matrix - reference(read_table(data / "wav.scp")[utterance])).max() < 2e-2


def test_a_bad_file_is_named_with_its_line(tmp_path: Path, make_data_dir):
    data = make_data_dir("train", [5000, 6000, 7000])
    Path(read_table(data / "wav.scp")["train-0001"]).write_bytes(b"no audio")
    with pytest.raises(UserError, match=rf"{data}/wav.scp:2: utterance 'train-0001': .*corrupt"):
        dump_features(data, tmp_path / "dump")
    assert not (tmp_path / "dump" / "feats.scp").exists()


def test_less_than_a_frame_is_named(tmp_path: Path, make_data_dir):
    data = make_data_dir("train", [5000, 399])
    with pytest.raises(UserError, match="wav.scp:2: .*less than one frame"):
        dump_features(data, tmp_path / "dump")


def test_an_unknown_argument_of_the_frontend_is_named(tmp_path: Path, make_data_dir):
    with pytest.raises(UserError, match="--feats_conf: .*speed"):
        dump_features(make_data_dir(), tmp_path / "dump", feats_conf={"speed": 2})


def test_no_utterances(tmp_path: Path):
    (tmp_path / "wav.scp").touch()
    with pytest.raises(UserError, match="no utterances"):
        dump_features(tmp_path, tmp_path / "dump")


def test_batches_cover_everything_within_the_limit():
    lengths = {f"u{index}": 1 + (index * 37) % 100 for index in range(200)}
    cut = list(batches(lengths, 300))
    assert sorted(utt for batch in cut for utt in batch) == sorted(lengths)
    for batch in cut:
        assert len(batch) == 1 or len(batch) * max(lengths[utt] for utt in batch) <= 300
    # One that is longer than the limit has a batch of its own.
    assert list(batches({"a": 500, "b": 1}, 300)) == [["a"], ["b"]]
