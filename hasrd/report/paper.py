# Copyright 2026 The hasrd authors
# Apache-2.0
"""The papers' tables and numbers (paper.yaml), and which experiment is which of their rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Mapping

from hasrd.config import read_yaml

# What the recipe's own conf/train_codec.yaml and conf/train_ssl.yaml are.
_UNNAMED = {"codec": "hasrd", "ssl": "bestrq_plus"}
_NAME = re.compile(r"(codec|ssl)_(.+)")
_OF_CONFIG = re.compile(r"train_(?:codec|ssl)_(?:(?P<name>.+)_)?[0-9a-f]{8}")
# The set that the paper's numbers are of.
TEST_SET = "test-clean"


@dataclass(frozen=True)
class PaperRow:
    """A row of a table of the paper.

    Attributes:
        paper: Column to number, as printed.
        keys: Row keys of the experiments that are this row, to what tells them apart.
        peer: Whether a codec from elsewhere may be this row.
        system: What the speech is decoded from, and `probe` the tokens that the probe reads (Table 4).
    """

    label: str
    paper: Mapping[str, str]
    keys: Mapping[str, str]
    peer: bool = False
    system: str = ""
    probe: str = ""


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper: its title, what must be known to read it, and its rows."""

    title: str
    note: str
    rows: tuple[PaperRow, ...]


@lru_cache(maxsize=None)
def paper_tables() -> dict[str, PaperTable]:
    """Return table1 to table4 (HASRD, Tables 1-4), and levels (HAC, its abstract)."""
    content = read_yaml(Path(__file__).with_name("paper.yaml"))
    return {
        name: PaperTable(table["title"], table["note"], tuple(PaperRow(**{"keys": {}, **row}) for row in table["rows"]))
        for name, table in content.items()
    }


def row_key(experiment: str) -> str:
    """Return what an experiment is called in the papers' tables.

    That is its name without `codec_` or `ssl_`, `train_codec_` or `train_ssl_`, and the hash of its configuration;
    "hasrd" and "bestrq_plus" for the recipe's own configurations; "" for what is neither codec nor encoder.

    A configuration that options of the command line changed has these in its name, hence a key of its own.
    """
    name = _NAME.fullmatch(experiment.rpartition("/")[2])
    if name is None:
        return ""
    of_config = _OF_CONFIG.fullmatch(name[2])
    if of_config is None:
        return name[2]
    return of_config["name"] or _UNNAMED[name[1]]
