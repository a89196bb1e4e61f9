# Copyright 2026 The hasrd authors
# Apache-2.0
"""TextGrid files in the forms that Praat and the Montreal Forced Aligner write, cut off, and damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.data.alignments.textgrid import read_textgrid
from hasrd.data.problems import Problems
from hasrd.errors import UserError

# As Praat writes it, blanks at the ends of lines included.
LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 
xmax = 1.5 
tiers? <exists> 
size = 3 
item []: 
    item [1]:
        class = "IntervalTier" 
        name = "words" 
        xmin = 0 
        xmax = 1.5 
        intervals: size = 3 
        intervals [1]:
            xmin = 0 
            xmax = 0.25 
            text = "" 
        intervals [2]:
            xmin = 0.25 
            xmax = 1 
            text = "say ""xmin = 3"" ! 4" 
        intervals [3]:
            xmin = 1 
            xmax = 1.5 
            text = "b" 
    item [2]:
        class = "TextTier" 
        name = "notes" 
        xmin = 0 
        xmax = 1.5 
        points: size = 1 
        points [1]:
            number = 0.5 
            mark = "words" 
    item [3]:
        class = "IntervalTier" 
        name = "phones" 
        xmin = 0 
        xmax = 1.5 
        intervals: size = 1 
        intervals [1]:
            xmin = 0 
            xmax = 1.5 
            text = "AA1" 
"""  # noqa: W291
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
1.5
<exists>
3
"IntervalTier"
"words"
0
1.5
3
0
0.25
""
0.25
1
"say ""xmin = 3"" ! 4"
1
1.5
"b"
"TextTier"
"notes"
0
1.5
1
0.5
"words"
"IntervalTier"
"phones"
0
1.5
1
0
1.5
"AA1"
"""
WORDS = [(0.0, 0.25, "<sil>"), (0.25, 1.0, 'say_"xmin_=_3"_!_4'), (1.0, 1.5, "b")]
PHONES = [(0.0, 1.5, "AA")]


def read(path: Path, content: str | bytes) -> dict[str, list]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    problems = Problems()
    tracks = read_textgrid(path, ("words", "phones"), problems)
    assert all(line.startswith(f"{path}:") and len(line.splitlines()) == 1 for line in problems.lines)
    problems.raise_if_any()
    return {kind: list(track) for kind, track in tracks.items()}


FORMS = {
    "as it is": lambda text: text,
    "old short": lambda text: text.replace('"ooTextFile"', '"ooTextFile short"').replace("Object class = ", ""),
    "no empty line": lambda text: text.replace("\n\n", "\n"),
    "more empty lines": lambda text: text.replace("\n", "\n\n"),
    "exponents": lambda text: text.replace("0.25", "2.5e-1").replace("1.5", "15E-1"),
    "signs and dots": lambda text: text.replace("0.25", "+0.25").replace("1.5", "1.50000000000000001"),
    "comments": lambda text: text.replace("0.25", '0.25 ! a quarter: "0.3"\n! more <absent>\n'),
    "indented": lambda text: text.replace("\n", "\n\t  "),
    "one line": lambda text: text.replace("\n", " "),
    "Windows": lambda text: text.replace("\n", "\r\n"),
    "old Mac": lambda text: text.replace("\n", "\r"),
    "no last line end": str.rstrip,
    "speaker": lambda text: text.replace('"words"\n', '"HALE - words"\n').replace('"words" \n', '"HALE - words" \n', 1),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
def test_forms(tmp_path: Path, text: str, encoding: str, form: str):
    content = FORMS[form](text).encode(encoding)
    content = b"\xfe\xff" + content if encoding == "utf-16-be" else content
    assert read(tmp_path / "u.TextGrid", content) == {"words": WORDS, "phones": PHONES}


@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
def test_wherever_it_is_cut_off_it_is_refused(tmp_path: Path, text: str):
    whole = len(text.rstrip())
    for size in range(whole):
        with pytest.raises(UserError, match="u.TextGrid:.*(cut off|not a TextGrid file)"):
            read(tmp_path / "u.TextGrid", text[:size])
    for size in range(whole, len(text)):
        assert read(tmp_path / "u.TextGrid", text[:size]) == {"words": WORDS, "phones": PHONES}


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=80), st.tuples(st.integers(0, 900), st.binary(max_size=4), st.integers(0, 9))))
def test_whatever_the_file_holds_there_are_tracks_or_clear_lines(tmp_path_factory, change):
    content = change
    if isinstance(change, tuple):
        at, new, skipped = change
        content = LONG.encode()[:at] + new + LONG.encode()[at + skipped :]
    try:
        tracks = read(tmp_path_factory.mktemp("grid") / "u.TextGrid", content)
    except UserError:
        return
    assert set(tracks) <= {"words", "phones"} and tracks


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("size = 3 \nitem", "size = 2 \nitem", ":37: more than the 2 tiers"),
        ("size = 3 \nitem", "size = 4 \nitem", ": it ends where a tier's class should follow: the file was cut off"),
        ("intervals: size = 3", "intervals: size = 2", ":24: '1' stands where a tier's class should be"),
        ("intervals: size = 3", "intervals: size = 4", ":28: 'TextTier' stands where a time should be"),
        ("intervals: size = 3", "intervals: size = 3.0", ":14: '3.0' stands where the number of intervals should be"),
        ("intervals: size = 3", f"intervals: size = {'9' * 5000}", ":14: '999"),
        ('"b" \n', "b \n", ":26: 'b' stands where a label should be"),
        ('"b" \n', '"b \n', ":29: 'notes' stands where a tier's class should be"),
        ("xmax = 0.25", "xmax = 1e999", ":17: '1e999' is no time"),
        ("xmax = 0.25", "xmax = 0,25", ":17: '0,25' is no time"),
        ('"b" \n', '"\x1b" \n', ":24: tier 'words': the label '\\x1b' has a control character"),
        ('"TextTier"', '"PitchTier"', ":28: 'PitchTier' stands where a tier's class should be"),
        ("xmax = 0.25", "xmax = nan", ":17: 'nan' stands where the end of an interval should be"),
        ("xmin = 0.25", "xmin = -0.5", ":20: the time -0.5 s is negative"),
        ("xmin = 0.25", "xmin = abc", ":20: 'abc' stands where a time should be"),
        ("xmin = 0.25", "xmin = 0.2", ":20: tier 'words': it starts at 0.2 s, but the segment before ends at 0.25"),
        ("xmax = 1 ", "xmax = 0.2 ", ":20: tier 'words': it ends at 0.2 s before it starts"),
        ("<exists>", "<absent>", ": no interval tier named 'words' or 'phones', but none"),
        ('"phones"', '"words"', ": 2 tiers of words ('words', 'words'): one speaker a file"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, old: str, new: str, message: str):
    with pytest.raises(UserError) as caught:
        read(tmp_path / "u.TextGrid", LONG.replace(old, new, 1))
    assert f"{tmp_path}/u.TextGrid{message}" in str(caught.value)


def test_tiers_of_other_names_are_named(tmp_path: Path):
    content = LONG.replace('"words" \n', '"notes" \n', 1).replace('"phones"', '"tones"')
    with pytest.raises(UserError) as caught:
        read(tmp_path / "u.TextGrid", content)
    assert "no interval tier named 'words' or 'phones', but 'notes', 'notes', 'tones'" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        # Other files of Praat.
        b"ooBinaryFile\x08TextGrid\x00\x00", b'"Praat chronological TextGrid text file"\n0 1\n',
        b"", b"hello", b"{}", b"3", b"\xff\xfe\x00", "é".encode("latin-1"),
    ],
)  # fmt: skip
def test_no_textgrid_at_all(tmp_path: Path, content: bytes):
    with pytest.raises(UserError, match="u.TextGrid: (not a TextGrid file|neither UTF-8)"):
        read(tmp_path / "u.TextGrid", content)


@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
def test_praatio_reads_the_same_from_what_it_reads(text: str, tmp_path: Path):
    textgrid_io = pytest.importorskip("praatio.utilities.textgrid_io")
    tiers = textgrid_io.parseTextgridStr(text, includeEmptyIntervals=True)["tiers"]
    theirs = [(float(start), float(end), label) for start, end, label in tiers[0]["entries"]]
    ours = read(tmp_path / "u.TextGrid", text)["words"]
    assert [segment[:2] for segment in theirs] == [segment[:2] for segment in ours]
    assert theirs[2][2] == ours[2][2] == "b"


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(UserError, match="u.TextGrid: no such file"):
        read_textgrid(tmp_path / "u.TextGrid", ("words",), Problems())
