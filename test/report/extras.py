# Copyright 2026 The hasrd authors
# Apache-2.0
"""What `make_exp` does not make: other codecs, converted voices, maps. None of it is computed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from exp_tree import put, put_rate

from hasrd.data.kaldi import read_table, write_table


def add_codec(root: Path, name: str, test_set: str = "test", peer: bool = False) -> Path:
    """Add a codec of one stream, which decodes as codec_small does."""
    codec = root / "exp" / name
    shutil.copytree(root / "exp/codec_small/decode" / test_set / "combined", codec / "tokens" / test_set / "combined")
    put(codec, test_set, "combined", mel=1.0)
    put_rate(codec, test_set, [8, 8], ["acoustic", "acoustic"])
    if peer:
        (codec / "config.yaml").write_text("peer:\n  family: dac\n")
    return codec


def add_conversion(root: Path, test_set: str = "test") -> None:
    """Let codec_small convert each utterance to the voice of the next, and a recogniser write down both."""
    decoded = root / "exp/codec_small/decode" / test_set
    wavs = read_table(decoded / "combined" / "wav.scp")
    write_table(decoded / "conversion" / "wav.scp", wavs)
    order = sorted(wavs)
    write_table(decoded / "conversion" / "pairs", dict(zip(order, order[1:] + order[:1])))
    for version, path in (
        ("original", root / "exp/recognised" / test_set),
        ("conversion", decoded / "conversion/recognised"),
    ):
        write_table(path / "text", {utt: f"{version} of {utt}" for utt in wavs})


def add_map(root: Path, test_set: str = "test", speakers: int = 2, count: int = 40) -> Path:
    """Write a token map with made-up points."""
    generator = np.random.default_rng(0)

    def label(accuracy: float) -> dict:
        return {"accuracy": accuracy, "ci95": [accuracy - 0.1, accuracy + 0.1], "chance": 0.2, "count": count}

    streams = {
        name: {
            "points": generator.normal(size=(count, 2)).round(2).tolist(),
            "phone": label(phone),
            "speaker": label(0.6) if speakers > 1 else None,
        }
        for name, phone in (("semantic", 0.7), ("acoustic", 0.3))
    }
    content = {
        "test_set": test_set,
        "phones": [("AA", "T", "S", "CH", "M", "ɾ")[i % 6] for i in range(count)],
        "speakers": [f"<spk{i % speakers}>" for i in range(count)],
        "streams": streams,
    }
    path = root / "exp/codec_small/token_map" / f"{test_set}.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    return path
