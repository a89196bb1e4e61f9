# Copyright 2026 The hasrd authors
# Apache-2.0
"""Data sets of ESPnet's package for speech language models (`espnet2.speechlm`), for its task text_only.

<set>/dataset.json              entry text1, which its reader of text reads, and the utterances
<set>/text                      and the tables beside it, as in plain text
stats/stats_text_only_<set>.jsonl  words of each utterance, from which batches are made
registry.yaml                   the sets by name, for ESPNET_DATASET_REGISTRY
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from hasrd.data.kaldi import write_lines
from hasrd.jobs.atomic import write_json, write_text
from hasrd.units.formats.base import Export
from hasrd.units.formats.text import TextFormat


class SpeechLMFormat(TextFormat):
    """See the file."""

    kinds = ("flat",)
    may_be_empty = False

    def write(self, export: Export, folder: Path, final: Path) -> None:
        """Write the tables and the description of each set."""
        super().write(export, folder, final)
        for name in export.sets:
            lengths: dict[str, int] = {}
            with open(folder / name / "text", encoding="utf-8") as lines:
                for line in lines:
                    utterance, *words = line.split()
                    lengths[utterance] = len(words)
            entry = {"name": "text1", "path": str(final / name / "text"), "reader": "text"}
            write_json(folder / name / "dataset.json", {"data_entry": [entry], "samples": list(lengths)})
            statistics = (json.dumps({utterance: length}) for utterance, length in lengths.items())
            write_lines(folder / "stats" / f"stats_text_only_{name}.jsonl", statistics)
        registry = {name: {"path": str(final / name / "dataset.json")} for name in export.sets}
        write_text(folder / "registry.yaml", yaml.safe_dump(registry))
