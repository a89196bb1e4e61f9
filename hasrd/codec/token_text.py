# Copyright 2026 The hasrd authors
# Apache-2.0
"""Files of tokens as text, for people and for programs (`hasrd tokens`)."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Iterator, Sequence

from hasrd.codec.token_file import TokenFile, read_token_file
from hasrd.data.file_lists import PIPE, standard_input
from hasrd.data.file_work import raise_failed
from hasrd.errors import of_one_input


def print_tokens(paths: Sequence[Path], as_json: bool) -> None:
    """Print the tokens of files, of which "-" is standard input.

    Args:
        paths: Files of `hasrd encode`.
        as_json: Print one JSON object a line for each file, else a table.

    Raises:
        UserError: Files that cannot be read; the others are printed.
    """
    failed = []
    for path in paths:
        try:
            with standard_input(".npz") if path == PIPE else nullcontext(path) as named:
                file = read_token_file(named)
        except Exception as error:
            failed.append(of_one_input(error))
            if len(paths) > 1:
                print(f"failed: {failed[-1]}", file=sys.stderr)
            continue
        for line in [json.dumps(token_facts(path, file))] if as_json else token_lines(path, file):
            print(line)
    raise_failed(failed, len(paths))


def token_facts(path: Path, file: TokenFile) -> dict[str, Any]:
    """Return what a file says, as JSON holds it: T lists of M codes, and None for what it does not say."""
    return {"file": str(path), **vars(file), "codes": file.codes.tolist()}


def token_lines(path: Path, file: TokenFile) -> Iterator[str]:
    """Yield a line about the file, one of headings, and one for each frame: its number, its start and its codes."""
    frames, books = file.codes.shape
    facts = [f"{frames} tokens of {books} codebook{'s' if books != 1 else ''}"]
    if file.frame_rate:
        facts.append(f"{file.frame_rate:g} a second")
    if file.num_samples is not None:
        facts.append(f"{file.num_samples} samples")
    if file.loudness is not None:
        facts.append(f"{file.loudness:.1f} LUFS")
    if file.model:
        facts.append(f"model {file.model[:12]}")
    yield f"{path}: {', '.join(facts)}"
    names = file.stream_names or [f"codebook {book}" for book in range(books)]
    widths = [max(len(name), 5) for name in names]
    seconds = ["seconds"] if file.frame_rate else []
    yield "  ".join(["frame", *seconds, *(f"{name:>{width}}" for name, width in zip(names, widths))])
    for frame, row in enumerate(file.codes):
        start = [f"{frame / file.frame_rate:>7.3f}"] if file.frame_rate else []
        yield "  ".join([f"{frame:>5}", *start, *(f"{code:>{width}}" for code, width in zip(row, widths))])
