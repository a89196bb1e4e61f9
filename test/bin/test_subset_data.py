# Copyright 2026 The hasrd authors
# Apache-2.0
"""The entry point that takes a part of a data directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from hasrd.bin.subset_data import main
from hasrd.data.kaldi import read_table
from hasrd.errors import run_main


def test_all_tables_keep_the_same_utterances(tmp_path: Path, make_data_dir, capsys):
    data = Path(make_data_dir())
    utterances = read_table(data / "text")
    spoken = {utt: f"{utt} 1 0.00 0.50 hello\n{utt} 1 0.50 0.25 you\n" for utt in utterances}
    (data / "words.ctm").write_text("".join(spoken.values()))
    main(["--data", str(data), "--out", str(tmp_path / "part"), "--num_utts", "2"])
    assert "2 of 3 utterances" in capsys.readouterr().out
    keys = [list(read_table(tmp_path / "part" / name)) for name in ("wav.scp", "text", "utt2spk")]
    assert len(keys[0]) == 2 and keys[0] == keys[1] == keys[2]
    assert (tmp_path / "part/words.ctm").read_text() == "".join(spoken[utterance] for utterance in keys[0])
    assert not (tmp_path / "part/phones.ctm").exists()


def test_a_share_needs_sample_counts(tmp_path: Path, make_data_dir):
    arguments = ["--data", str(make_data_dir()), "--out", str(tmp_path / "part"), "--share", "0.5"]
    with pytest.raises(SystemExit, match="utt2num_samples: no such file"):
        run_main(lambda: main(arguments))
