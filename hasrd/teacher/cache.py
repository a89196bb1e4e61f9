# Copyright 2026 The hasrd authors
# Apache-2.0
"""What a teacher says of a data set, written once. The folder's format is that of `hasrd.data.targets`."""

from __future__ import annotations

import functools
import inspect
import json
import math
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

import numpy as np

from hasrd.arrays import Array, read_npy
from hasrd.data.alignments.labels import SILENCE
from hasrd.data.alignments.tracks import Track, load_ctm
from hasrd.data.features import merge_stats, merge_tables, write_features
from hasrd.data.kaldi import DataDir, write_table
from hasrd.data.targets import (
    EMBEDDINGS,
    FACTS,
    IGNORED,
    STATS,
    UNIT,
    UNITS,
    UTT2UNITS,
    UTTERANCE,
    WORD,
    read_facts,
)
from hasrd.errors import UserError
from hasrd.jobs.atomic import atomic_path, write_json
from hasrd.jobs.chunks import run_in_chunks
from hasrd.jobs.digest import values_sha256
from hasrd.jobs.origin import Origin, is_current, renew, write_record
from hasrd.jobs.sharing import ALONE, Sharing
from hasrd.jobs.workers import worker_device
from hasrd.registry import ForeignClass, resolve
from hasrd.teacher import CHOICES
from hasrd.teacher.source import identity

if TYPE_CHECKING:
    import torch

# Bytes of a value by Kaldi's compression method.
BYTES = {None: 4, 2: 1, 3: 2}
# Utterances of which the statistics are where the features are not kept.
STATS_UTTERANCES = 200
# Padded samples a batch: a minute.
BATCH_SAMPLES = 16000 * 60
# What a killed run loses at most, a process.
UTTERANCES_A_CHUNK, TEXTS_A_CHUNK = 100, 500
# The files of a data set that its text targets depend on, beside its utterances' names.
TEXT_FILES = ("text", "utt2lang", "words.ctm")


def build_teacher(teacher: str, conf: Mapping[str, Any], allow_import: bool, from_file: bool) -> Any:
    """Build a teacher of a class named by short name or import path.

    Args:
        teacher: The class.
        conf: Its arguments.
        allow_import: Import what the file of an encoder (`source`) names by import path; see `hasrd.registry.resolve`.
        from_file: `teacher` stands in a file too, and nobody has typed it: `allow_import` counts for it as well.

    Raises:
        UserError: No such class, one that is not allowed, or arguments that it does not take.
    """
    try:
        cls = resolve(CHOICES, teacher, allow_import or not from_file)
    except ForeignClass as error:
        raise ForeignClass(f"teacher {error}") from error
    if "allow_import" in conf:
        raise UserError("--teacher_conf: allow_import is no option of a teacher's: give --allow_import")
    reads = "allow_import" in inspect.signature(cls).parameters
    try:
        return cls(**conf, **({"allow_import": allow_import} if reads else {}))
    except TypeError as error:
        raise UserError(f"--teacher_conf: {error}") from None


@dataclass(frozen=True)
class _Run:
    """How a teacher is run over a data set; arguments as of `dump_teacher`."""

    teacher: str
    conf: dict[str, Any]
    sharing: Sharing
    ngpu: int
    allow_import: bool

    def build(self) -> Any:
        """Build the teacher."""
        return build_teacher(self.teacher, self.conf, self.allow_import, from_file=False)

    def ready(self) -> tuple[Any, torch.device]:
        """Build it where it computes; return it and the device."""
        device = worker_device(self.ngpu)
        return self.build().ready(device), device

    @property
    def facts(self) -> dict[str, Any]:
        """What teacher.json says of it."""
        found = identity(self.teacher, self.conf)
        if self.teacher not in CHOICES:
            # Of a class of one's own, what it says of itself counts too: its source need not be all that shapes it.
            found = values_sha256(identity=found, model_hash=self.build().model_hash)
        return {"teacher": self.teacher, "conf": self.conf, "identity": found}


def dump_teacher(
    data: str | Path,
    out: str | Path,
    teacher: str,
    conf: Mapping[str, Any],
    *,
    sharing: Sharing = ALONE,
    ngpu: int = 0,
    compression_method: int | None = 3,
    max_gb: float = 100.0,
    languages: Sequence[str] = (),
    allow_import: bool = False,
) -> dict[str, Any] | None:
    """Run a teacher over a data set. A killed run goes on where it was; what is there and up to date stays.

    Args:
        data: Data directory.
        out: Folder of the targets.
        teacher: Short name, or import path, which is imported.
        conf: Its arguments.
        sharing: By whom it is done, with one thread each. A shard does its part; what joins the parts is a run of the
            whole.
        ngpu: 1 computes on the GPU, in one process.
        compression_method: Kaldi's method for the frames of a speech teacher; None stores float32.
        max_gb: Frames that would need more (in units of 2^30 bytes) are not kept, but only their statistics.
        languages: Those that a text teacher knows; none: all.
        allow_import: Import what the file of an encoder names by import path; see `hasrd.registry.resolve`.

    Returns:
        What teacher.json says; None of a shard.

    Raises:
        UserError: Bad input; names file, line and utterance.
    """
    source, out = DataDir.load(data), Path(out)
    if not source.wavs:
        raise UserError(f"{source.path}/wav.scp: no utterances in it")
    of_text = hasattr(resolve(CHOICES, teacher, allow_import=True), "embed")
    run = _Run(teacher, dict(conf), sharing.on_gpu(ngpu), ngpu, allow_import and not of_text)
    if of_text:
        return _dump_text(source, out, run, languages)
    if languages:
        raise UserError("--languages: a speech teacher hears all of them: leave it out")
    return _dump_speech(source, out, run, compression_method, max_gb)


class SpeechWork:
    """Frames of one chunk: feats.ark and feats.scp (where they are kept), and their sums in cmvn.npz."""

    def __init__(self, run: _Run, keep: bool, compression_method: int | None) -> None:
        self.teacher, self.device = run.ready()
        self.keep = keep
        self.compression_method = compression_method

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        write_features(folder, final_folder, dict(self.items(inputs)), self.compression_method, self.keep)

    def items(self, inputs: Mapping[str, str]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield utterance and frames (T, D) float32, in no fixed order."""
        import torch

        from hasrd.data.waves import wave_batches

        for utterances, waves, lengths in wave_batches(inputs, self.teacher.sample_rate, BATCH_SAMPLES):
            with torch.inference_mode():
                feats, counts = self.teacher(waves.to(self.device), lengths.to(self.device))
            for utterance, rows, count, length in zip(utterances, feats.float().cpu(), counts.tolist(), lengths):
                rows = rows[:count].numpy()
                if not count:
                    raise UserError(
                        f"{inputs[utterance]}: utterance '{utterance}': {length} samples are less than one frame of "
                        "the teacher: remove the utterance from the data set"
                    )
                if not np.isfinite(rows).all():
                    raise UserError(f"{inputs[utterance]}: utterance '{utterance}': the teacher gives NaN or infinity")
                yield utterance, rows


def _dump_speech(
    source: DataDir, out: Path, run: _Run, compression_method: int | None, max_gb: float
) -> dict[str, Any] | None:
    model = run.build()
    samples = source.samples()
    num_frames = sum(model.num_frames(samples[utterance]) for utterance in source.wavs)
    gigabytes = num_frames * model.size * BYTES[compression_method] / 2**30
    keep = gigabytes <= max_gb
    inputs = source.wavs
    if not keep:
        step = math.ceil(len(inputs) / STATS_UTTERANCES)
        inputs = {utterance: inputs[utterance] for utterance in source.utterances[::step]}
        print(
            f"{out}: the frames would take {gigabytes:.3g} GB, more than --max_gb {max_gb:g}: kept are only the "
            f"statistics over {len(inputs)} utterances, and the teacher will run during the training",
            file=sys.stderr,
        )
    facts = run.facts
    folders = run_in_chunks(
        inputs,
        out / "data",
        functools.partial(SpeechWork, run, keep, compression_method),
        options={"identity": facts["identity"], "keep": keep, "compression_method": compression_method},
        chunk_size=UTTERANCES_A_CHUNK,
        sharing=run.sharing,
        desc=f"teacher {run.teacher} on {source.path}",
        made_from=[out / FACTS, out / "feats.scp"],
    )
    if folders is None or not run.sharing.is_whole:
        return None
    if keep:
        write_table(out / "feats.scp", merge_tables(folders, "feats.scp"))
    count, total, square = merge_stats(folders)
    _write_stats(out, count, total, square)
    return _write_facts(
        out,
        kind="speech",
        **facts,
        model_hash=model.model_hash,
        size=model.size,
        sample_rate=model.sample_rate,
        frame_shift=model.frame_shift,
        first_centre=model.first_centre,
        num_utterances=len(source.wavs),
        num_frames=num_frames,
        cached=keep,
        compression_method=compression_method,
    )


class TextWork:
    """Embeddings of one chunk of texts."""

    def __init__(self, run: _Run) -> None:
        self.teacher, _ = run.ready()

    def __call__(self, inputs: dict[str, str], folder: Path, final_folder: Path) -> None:
        texts = [json.loads(inputs[number]) for number in sorted(inputs)]
        embeddings = self.teacher.embed(texts)
        bad = np.flatnonzero(~np.isfinite(embeddings).all(1))
        if len(bad):
            raise UserError(f"the text '{texts[bad[0]]}': the teacher gives NaN or infinity for it")
        np.save(folder / EMBEDDINGS, embeddings)


def _dump_text(source: DataDir, out: Path, run: _Run, languages: Sequence[str]) -> dict[str, Any] | None:
    facts = run.facts
    made_by = facts["identity"]
    origin = Origin(
        {"teacher": made_by, "languages": sorted(languages), "utterances": values_sha256(names=source.utterances)},
        {name: source.path / name for name in TEXT_FILES if (source.path / name).is_file()},
    )
    if is_current(out / FACTS, origin, again=f"{out}: the text targets are made again", file=sys.stderr):
        print(f"{out}: the text targets are up to date, nothing to compute", file=sys.stderr)
        return read_facts(out)
    record = renew(out / FACTS, origin)
    said, texts = _said(source, languages)
    # In quotes no text is taken for a file's name.
    inputs = {f"{number:09d}": json.dumps(text, ensure_ascii=False) for number, text in enumerate(texts)}
    folders = run_in_chunks(
        inputs,
        out / "chunks",
        functools.partial(TextWork, run),
        options={"identity": made_by},
        chunk_size=TEXTS_A_CHUNK,
        sharing=run.sharing,
        desc=f"teacher {run.teacher} on texts of {source.path}",
    )
    if folders is None or not run.sharing.is_whole:
        return None
    form, advice = Array("f", ("R", "D")), "remove its folder and run the teacher again"
    parts = [read_npy(folder / EMBEDDINGS, form, "file of embeddings", advice, mapped=True) for folder in folders]
    size = parts[0].shape[1] if parts else run.build().size
    with atomic_path(out / EMBEDDINGS) as temporary, open(temporary, "wb") as file:
        # Piece by piece: it may be larger than the memory. Not through a map, where a full disk kills the process.
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(texts), size)}
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part, "<f4").data)
    from hasrd.frontend.normalize import sum_stats

    _write_stats(out, *(sum_stats(parts) if parts else (0, np.zeros(size), np.zeros(size))))
    _write_units(out, said, texts)
    facts = _write_facts(
        out,
        kind="text",
        **facts,
        size=size,
        languages=sorted(languages),
        num_utterances=len(said),
        num_ignored=sum(text is None for text, _ in said.values()),
        num_words=sum(len(words) for _, words in said.values()),
        num_texts=len(texts),
    )
    write_record(out / FACTS, record)
    shutil.rmtree(out / "chunks")
    return facts


Said = dict[str, tuple[str | None, list[tuple[float, float, str]]]]


def _said(source: DataDir, languages: Sequence[str]) -> tuple[Said, list[str]]:
    """What is said in each utterance: its text (None where it is unknown) and words with their times; all texts."""
    texts, spoken = source.table("text"), source.tables.get("utt2lang")
    if languages and spoken is None:
        print(f"{source.path}: no utt2lang there: all of it is taken to be {' or '.join(languages)}", file=sys.stderr)
    tracks: dict[str, Track] = {}
    if (source.path / "words.ctm").is_file():
        tracks = load_ctm(source.path / "words.ctm", "words")
    else:
        print(f"{source.path}: no words.ctm there: targets of whole utterances alone", file=sys.stderr)
    said: Said = {}
    for utterance in source.utterances:
        known = not languages or spoken is None or spoken.get(utterance) in languages
        text = texts.get(utterance) if known else None
        words = tracks.get(utterance, ()) if text else ()
        said[utterance] = (
            text or None,
            [(start, end, word) for start, end, word in words if end > start and word != SILENCE["words"]],
        )
    ignored = sum(text is None for text, _ in said.values())
    if ignored:
        why = "in another language, or without text" if languages else "without text"
        print(f"{source.path}: {ignored} of {len(said)} utterances are {why}: no targets for them", file=sys.stderr)
    different = {text for text, _ in said.values() if text is not None}
    different.update(word for _, words in said.values() for _, _, word in words)
    return said, sorted(different)


def _write_units(out: Path, said: Said, texts: list[str]) -> None:
    rows = {text: row for row, text in enumerate(texts)}
    units = np.zeros(sum(1 + len(words) for _, words in said.values()), UNIT)
    table, first = {}, 0
    for utterance, (text, words) in said.items():
        units[first] = (-1, 0.0, 0.0, IGNORED) if text is None else (rows[text], 0.0, 0.0, UTTERANCE)
        for number, (start, end, word) in enumerate(words, start=first + 1):
            units[number] = rows[word], start, end, WORD
        table[utterance] = f"{first} {1 + len(words)}"
        first += 1 + len(words)
    with atomic_path(out / UNITS) as temporary:
        np.save(temporary, units)
    write_table(out / UTT2UNITS, table)


def _write_stats(out: Path, count: int, total: np.ndarray, square: np.ndarray) -> None:
    mean = total / max(count, 1)
    std = np.sqrt(np.maximum(square / max(count, 1) - mean**2, 0.0))
    with atomic_path(out / STATS) as temporary:
        np.savez(temporary, mean=mean.astype(np.float32), std=std.astype(np.float32))


def _write_facts(out: Path, **facts: Any) -> dict[str, Any]:
    write_json(out / FACTS, facts)
    return facts
