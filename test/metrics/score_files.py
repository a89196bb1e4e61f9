# Copyright 2026 The hasrd authors
# Apache-2.0
"""Files that can be scored, and `hasrd score` with its options by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping

import numpy as np
import soundfile

from hasrd.bin.score import main
from hasrd.data.archive import write_archive
from hasrd.data.kaldi import write_table


def score(measures: str, **options: Any) -> None:
    """Run `hasrd score`, of the set "test" unless `test_set` is given; a list or tuple is several words."""
    main([measures, *words_of({"test_set": "test", **options})])


def words_of(options: Mapping[str, Any]) -> list[str]:
    """Return options as a command line has them."""
    words = []
    for name, value in options.items():
        words += [f"--{name}", *map(str, value if isinstance(value, (list, tuple)) else [value])]
    return words


def write_wavs(folder: Path, waves: Mapping[str, np.ndarray], rate: int = 16000, subtype: str | None = None) -> Path:
    """Write `<utt>.wav` each and their wav.scp, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    for utterance, wave in waves.items():
        soundfile.write(folder / f"{utterance}.wav", wave, rate, subtype)
    write_table(folder / "wav.scp", {utterance: str(folder / f"{utterance}.wav") for utterance in waves})
    return folder / "wav.scp"


def write_arrays(stem: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write integers as `<stem>.ark` and `<stem>.scp`, which is returned."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    ark, scp = (stem.with_name(f"{stem.name}.{kind}") for kind in ("ark", "scp"))
    write_table(scp, write_archive(ark, ark, arrays.items()))
    return scp
