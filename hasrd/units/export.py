# Copyright 2026 The hasrd authors
# Apache-2.0
"""Exports: units of all sets in a format, in one folder that can be read back.

units.json   how the codes are arranged, of which model they are, and the sets with their numbers of utterances
tokens.txt   the vocabulary: the word of id i on line i + 1
bpe.model    the SentencePiece model, where units are joined
...          the files of the format
"""

from __future__ import annotations

import functools
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Callable, Iterator, Sequence

import numpy as np

import hasrd
from hasrd.codec.token_file import TokenFacts
from hasrd.config import read_json
from hasrd.data.kaldi import write_lines
from hasrd.data.lines import read_lines
from hasrd.data.problems import Problems
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_folder, remove_folder, write_json
from hasrd.jobs.digest import values_sha256
from hasrd.jobs.lock import exclusive
from hasrd.jobs.names import inside
from hasrd.jobs.origin import Origin, origin_file, why_stale, write_record
from hasrd.progress import progress
from hasrd.quantizer.streams import select_streams
from hasrd.registry import resolve
from hasrd.units import SPECIAL
from hasrd.units.bpe import UnitBpe
from hasrd.units.formats import CHOICES
from hasrd.units.formats.base import Example, Export, Format
from hasrd.units.layout import Layout
from hasrd.units.source import TokenSet, same_facts

FORMAT = 1
BPE = "bpe.model"
# Tables of the data directories that exports hold.
_BESIDE = ("text", "utt2spk")
_ADVICE = "name a folder that hasrd export-units wrote, or export again"


@dataclass(frozen=True)
class Facts:
    """What units.json says."""

    format: int
    target: str
    kind: str
    dedup: bool
    bpe: int
    codebooks: TokenFacts
    starts: tuple[int, ...]
    sets: dict[str, int]


def export_units(
    sets: Sequence[TokenSet],
    out: str | Path,
    target: str,
    *,
    kind: str | None = None,
    streams: Sequence[str] | None = None,
    dedup: bool = False,
    bpe: int = 0,
    language: str = "en",
) -> bool:
    """Write the units of sets into a folder, which appears when it is complete.

    Args:
        sets: Of one model.
        out: The folder; what an earlier export of other content left there is replaced.
        target: A name of `hasrd.units.formats.CHOICES`.
        kind, dedup: See `Layout`; kind None: what the format takes first.
        streams: Only the codebooks of these; None: all.
        bpe: Join units by a SentencePiece model of so many pieces, trained on the first set; 0: don't.
        language: See `Export`.

    Returns:
        Whether something was written; False: all is up to date.

    Raises:
        UserError: Tokens that can't be arranged so or written in this format, or a folder that is no export.
    """
    out, facts = Path(out), same_facts(sets)
    columns = _columns(facts, streams)
    chosen = _chosen(facts, columns)
    writer: Format = resolve(CHOICES, target, allow_import=False)()
    kind = kind or writer.kinds[0]
    try:
        layout = Layout(kind, chosen, dedup)
    except ValueError as error:
        raise UserError(str(error)) from None
    if kind not in writer.kinds:
        raise UserError(f"--format {target}: takes --kind {' or '.join(writer.kinds)}, not {kind}")
    if (dedup or bpe) and not writer.compact:
        raise UserError(f"--format {target}: takes codes as they are: leave out --dedup and --bpe")
    if bpe and kind != "flat":
        raise UserError(f"--bpe: joins units of one sequence, not --kind {kind}")
    for own in sets:
        for name in writer.needs:
            own.needed(name)
    beside = {own.name: (own.data.tables if own.data else {}) for own in sets}
    origin = Origin(
        {
            "hasrd": hasrd.__version__,
            "format": target,
            "kind": kind,
            "dedup": dedup,
            "bpe": bpe,
            "streams": columns,
            "codebooks": asdict(facts),
            "language": language,
            "samples": {own.name: values_sha256(table=dict(own.samples)) for own in sets},
            **{name: {own: values_sha256(table=data.get(name)) for own, data in beside.items()} for name in _BESIDE},
        },
        files={own.name: own.path for own in sets if own.path.name == "text"},
        tables={own.name: own.path for own in sets if own.path.name != "text"},
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(out.parent, f".{out.name}"):
        if out.exists() and not origin_file(out).is_file():
            raise UserError(f"{out}: is there already, and no export: remove it, or choose another name")
        reason = why_stale(out, origin)
        if not reason:
            return False
        record = origin.record()
        # What is there stays until the new one is complete.
        new = out.with_name(f".{out.name}.new") if out.exists() else out
        if out.exists():
            print(f"{out}: made again: {reason}", file=sys.stderr)
            if new.exists():
                remove_folder(new)
        examples = {own.name: functools.partial(_examples, own, layout, columns) for own in sets}
        export = Export(layout, layout.vocabulary, examples, language)
        with atomic_folder(new) as folder:
            if bpe:
                export = _joined(export, bpe, folder, writer.joins_bpe)
            writer.write(export, folder, out.resolve())
            write_lines(folder / "tokens.txt", export.vocabulary)
            counts = {own.name: len(own.entries) for own in sets}
            said = Facts(FORMAT, target, kind, dedup, bpe, chosen, layout.starts, counts)
            write_json(folder / "units.json", asdict(said))
            write_record(folder, record)
        if new != out:
            remove_folder(out)
            new.rename(out)
    return True


def read_export(folder: str | Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield set, utterance and codes (T, M) of an export, as they were before they were arranged.

    What a language model wrote in the same format is read like that as well.

    Raises:
        UserError: No export, or one that is damaged; names the file.
    """
    folder = Path(folder)
    facts = read_json(folder / "units.json", Facts, _ADVICE)
    if facts.format > FORMAT:
        raise UserError(f"{folder}/units.json: written by a newer hasrd: update hasrd")
    try:
        layout = Layout(facts.kind, facts.codebooks, facts.dedup)
    except ValueError as error:
        raise UserError(f"{folder}/units.json: {error}: {_ADVICE}") from None
    problems = Problems()
    vocabulary = [word for _, word in read_lines(folder / "tokens.txt", problems)]
    problems.raise_if_any()
    reader: Format = resolve(CHOICES, facts.target, allow_import=False)()
    joined = _read_bpe(folder / BPE, layout) if facts.bpe and not reader.joins_bpe else None
    for name in facts.sets:
        inside(folder, name)
        for utterance, units in reader.read(folder, name, layout, vocabulary):
            try:
                if joined is not None:
                    units = replace(units, ids=joined.decode(units.ids) + len(SPECIAL))
                yield name, utterance, layout.restore(units)
            except ValueError as error:
                raise UserError(f"{folder}: set '{name}', utterance '{utterance}': {error}: {_ADVICE}") from None


def _columns(facts: TokenFacts, streams: Sequence[str] | None) -> list[int]:
    """Return the codebooks of some streams."""
    try:
        names = select_streams(facts.stream_names, streams)
    except ValueError as error:
        raise UserError(f"--streams: {error}") from None
    return [book for book, name in enumerate(facts.stream_names) if name in names]


def _chosen(facts: TokenFacts, columns: Sequence[int]) -> TokenFacts:
    """Return what is known of some codebooks."""
    strides = facts.codebook_strides
    return replace(
        facts,
        stream_names=tuple(facts.stream_names[book] for book in columns),
        codebook_sizes=tuple(facts.codebook_sizes[book] for book in columns),
        codebook_strides=None if strides is None else tuple(strides[book] for book in columns),
    )


def _examples(tokens: TokenSet, layout: Layout, columns: Sequence[int]) -> Iterator[Example]:
    data = {} if tokens.data is None else tokens.data.tables
    shown = progress(tokens, total=len(tokens.entries), desc=f"units of {tokens.name}")
    for utterance, codes, samples in shown:
        try:
            if codes.shape[1] != len(tokens.facts.codebook_sizes):
                raise ValueError(f"{codes.shape[1]} codebooks, not {len(tokens.facts.codebook_sizes)}")
            units = layout.arrange(codes[:, columns])
        except ValueError as error:
            raise UserError(f"{tokens.path}: utterance '{utterance}': {error}: make the tokens again") from None
        text, speaker = data.get("text", {}).get(utterance), data.get("utt2spk", {}).get(utterance, "")
        yield Example(utterance, units, samples, text, speaker)


def _joined(export: Export, size: int, folder: Path, as_units: bool) -> Export:
    """Return an export with units joined by a model that its first set trains; the model is written to the folder.

    Args:
        as_units: Leave the units as they are.
    """
    count, first = sum(export.layout.sizes), next(iter(export.sets.values()))
    model = UnitBpe.train((example.units.ids - len(SPECIAL) for example in first()), count, size)
    (folder / BPE).write_bytes(model)
    bpe = UnitBpe(model, count)

    def encoded(examples: Callable[[], Iterator[Example]]) -> Iterator[Example]:
        for example in examples():
            ids = bpe.encode(example.units.ids - len(SPECIAL))
            yield replace(example, units=replace(example.units, ids=ids))

    sets = {name: functools.partial(encoded, examples) for name, examples in export.sets.items()}
    return replace(export, vocabulary=bpe.vocabulary, sets=export.sets if as_units else sets)


def _read_bpe(path: Path, layout: Layout) -> UnitBpe:
    try:
        return UnitBpe(path.read_bytes(), sum(layout.sizes))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file: {_ADVICE}") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
