# Copyright 2026 The hasrd authors
# Apache-2.0
"""What tables.yaml says: the tables of a report, and the papers' numbers; which experiment is which of their rows."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Mapping, Sequence

import msgspec

from hasrd.config import read_yaml
from hasrd.metrics.scores import MEASURES

# What the recipe's own conf/train_codec.yaml and conf/train_ssl.yaml are.
_UNNAMED = {"codec": "hasrd", "ssl": "bestrq_plus"}
_NAME = re.compile(r"(codec|ssl)_(.+)")
_OF_CONFIG = re.compile(r"train_(?:codec|ssl)_(?:(?P<name>.+)_)?[0-9a-f]{8}")
# The set that the numbers of HASRD's tables are of.
TEST_SET = "test-clean"
PARAMETERS = "parameters"


class ColumnSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column; tables.yaml says what its keys are."""

    header: str = ""
    measure: str | tuple[str, ...] = ()
    role: str = ""
    field: str = "mean"
    interval: str = "ci95"
    count: bool = False
    digits: int | None = None
    scale: float = 1.0
    text: str = ""
    spread: bool = False

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that it may be of."""
        return (self.measure,) if isinstance(self.measure, str) else self.measure


class RowSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row, or rows of one kind; tables.yaml says what its keys are."""

    label: str = ""
    each: str = ""
    systems: str | Mapping[str, str] = ""
    fields: Mapping[str, str] = {}
    keys: Mapping[str, str] = {}
    peer: bool = False
    paper: Mapping[str, str] = {}
    without: str = ""


class TableSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of table; tables.yaml says what its keys are."""

    title: str
    first: str
    sets: tuple[str, ...]
    columns: Mapping[str, ColumnSpec]
    rows: tuple[RowSpec, ...]
    about: str = ""
    expected: bool = False
    per: str = ""
    least: int = 1
    of_encoders: bool = False
    paper: str = ""
    experiments: str = ""
    note: str = ""
    note_of_first: str = ""
    sources: tuple[str, ...] = ()
    loudness: bool = False


class _Specification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    digits: Mapping[str, int]
    tables: Mapping[str, TableSpec]


@lru_cache(maxsize=None)
def _specification() -> _Specification:
    return read_yaml(Path(__file__).with_name("tables.yaml"), _Specification)


@lru_cache(maxsize=None)
def table_specs() -> dict[str, TableSpec]:
    """Return key (table1, codecs, ...) to each kind of table, in the order of a report, what a column leaves out filled
    in.
    """
    return {key: msgspec.structs.replace(spec, columns=_filled(spec)) for key, spec in _specification().tables.items()}


def _filled(spec: TableSpec) -> dict[str, ColumnSpec]:
    columns = {}
    for name, column in spec.columns.items():
        measure = column.measure or name
        shown = column.header or header(measure)
        columns[name] = msgspec.structs.replace(column, measure=measure, header=shown)
    return columns


def digits_of(measure: str, unit: str) -> int:
    """Return how many digits a mean of a measure is shown with."""
    digits = _specification().digits
    return digits.get(measure, digits.get(unit, 2))


def header(measure: str) -> str:
    """Return a column's header: label, unit, and which way is better."""
    known = MEASURES[measure]
    return f"{measure_label(measure)} {'↑' if known.higher_is_better else '↓'}"


def measure_label(measure: str) -> str:
    """Return what a measure is called, with its unit."""
    known = MEASURES[measure]
    return f"{known.label} ({known.unit})" if known.unit else known.label


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


def keys_of(rows: Sequence[RowSpec]) -> set[str]:
    """Return the keys of all these rows."""
    return {key for row in rows for key in row.keys}
