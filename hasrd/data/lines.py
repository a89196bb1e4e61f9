# Copyright 2026 The hasrd authors
# Apache-2.0
"""Lines of text files, with nothing in them that another program would read otherwise.

Kaldi's programs end a line at LF and separate fields at blanks and tabs. Python's text files end it at a lone CR, too,
`str.splitlines` at nine more characters, and `str.split` separates at NBSP, the ideographic space and others. A file
that has none of these means the same to all of them.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from pathlib import Path
from typing import Iterator

from hasrd.data.problems import Problems
from hasrd.errors import UserError

# Blanks other than space and tab (what ends lines is among them), control characters, and the byte order mark, which
# some programs drop and others take for a letter.
_STRANGE = re.compile(r"[^\S \t]|[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")


def strange_character(text: str) -> str:
    """Name the first character of one line that programs read in different ways, such as "U+00A0 (NO-BREAK SPACE)".

    Returns:
        Its name, or "" where there is none.
    """
    match = _STRANGE.search(text)
    if not match:
        return ""
    name = unicodedata.name(match[0], "control character")
    return f"U+{ord(match[0]):04X} ({'byte order mark' if match[0] == chr(0xFEFF) else name})"


def read_lines(
    path: str | Path,
    problems: Problems,
    *,
    allow_mark: bool = False,
    last_must_end: bool = False,
    begin: tuple[int, int] = (0, 1),
    count: int | None = None,
) -> Iterator[tuple[int, str]]:
    """Yield number (from 1) and text of each line of a UTF-8 file; LF and CR LF end a line.

    Args:
        path: The file.
        problems: Takes the lines that are not UTF-8 or hold a strange character; these are not yielded.
        allow_mark: Drop a byte order mark at the start of the file, as editors on Windows write it.
        last_must_end: Take a last line without its end for a sign that the file was cut off.
        begin: Byte at which to begin, and the number of the line there.
        count: Lines to read; None: all that follow.

    Raises:
        UserError: No such file, or a folder.
    """
    try:
        with open(path, "rb") as file:
            file.seek(begin[0])
            for number, raw in enumerate(islice(file, count), start=begin[1]):
                if last_must_end and not raw.endswith(b"\n"):
                    problems.add(
                        f"{path}:{number}: the last line has no end: the file was cut off: get it again, or add a line "
                        "end if it is whole"
                    )
                    continue
                try:
                    line = raw.decode("utf-8-sig" if allow_mark and number == 1 else "utf-8")
                except UnicodeDecodeError:
                    problems.add(f"{path}:{number}: not UTF-8 text: convert the file (iconv -t UTF-8)")
                    continue
                line = line.removesuffix("\n").removesuffix("\r")
                strange = strange_character(line)
                if strange:
                    problems.add(f"{path}:{number}: {strange} in it, which programs read in different ways: remove it")
                    continue
                yield number, line
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, but a file is needed") from None
