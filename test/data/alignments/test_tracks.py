# Copyright 2026 The hasrd authors
# Apache-2.0
"""Labels, and CTM files: what is written is read again, and what is wrong is named with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.data.alignments.labels import SILENCE, fold_timit, is_arpabet, is_silence, normal, phone, word
from hasrd.data.alignments.tracks import Rules, Track, load_ctm, read_ctm, write_ctm
from hasrd.data.problems import Problems
from hasrd.errors import UserError

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
LABEL = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), max_size=12)


@pytest.mark.parametrize(
    "label", ["", " ", "SIL", "sil", "sp", "spn", "<sil>", "<eps>", "</s>", "[NOISE]", "++BREATH++", "{SL}", "<unk>"]
)
def test_silence_has_many_names(label: str):
    assert is_silence("phones", label) and is_silence("words", label)
    assert (word(label), phone(label)) == (SILENCE["words"], SILENCE["phones"])


def test_phones_lose_stress_and_position_alone():
    given_, wanted = "AA1 AH0 ER2 B SIL_S T_E AA1_B ʃ ɪ a1 S2 h# tʃ_B", "AA AH ER B SIL T AA ʃ ɪ a1 S2 SIL tʃ"
    assert [phone(label) for label in given_.split()] == wanted.split()
    assert is_arpabet("ah0") and is_arpabet("ZH") and not is_arpabet("THE")


# The 61 symbols of TIMIT's documentation (phoncode.doc).
TIMIT_61 = (
    "b d g p t k dx q bcl dcl gcl pcl tcl kcl jh ch s sh z zh f th v dh m n ng em en eng nx l r w y hh hv el iy ih eh "
    "ey ae aa aw ay ah ao oy ow uh uw ux er ax ix axr ax-h pau epi h#"
).split()


def test_timit_folds_to_39_classes():
    assert len(TIMIT_61) == 61
    folded = {label: fold_timit(label) for label in TIMIT_61}
    assert folded.pop("q") is None
    assert len(set(folded.values())) == 39
    # Their groups, with the symbols that their 48 already join.
    for group in ("bcl dcl gcl pcl tcl kcl epi pau h#", "l el", "n en nx", "m em", "ng eng", "sh zh", "aa ao", "ih ix",
                  "ah ax ax-h", "er axr", "uw ux", "hh hv"):  # fmt: skip
        assert len({folded.pop(label) for label in group.split()}) == 1
    assert all(label == own for label, own in folded.items())
    assert fold_timit("H#") == "sil" and all(fold_timit(label) == label for label in set(filter(None, folded.values())))
    with pytest.raises(KeyError):
        fold_timit("AA1")


def test_words_lose_case_and_variant():
    labels = {"THE(2)": "the", "It's": "it's", "pau": "pau", "o_s": "o_s", "uh huh": "uh_huh"}
    labels |= {"<sil>(2)": "<sil>", "a(2)(3)": "a"}
    assert {label: word(label) for label in labels} == labels


@settings(max_examples=60)
@given(st.sampled_from(["words", "phones"]), TEXT)
def test_the_normal_form_is_its_own_and_one_word(kind: str, label: str):
    once = normal(kind, label)
    assert normal(kind, once) == once and len(once.split()) == 1


@st.composite
def tracks(draw) -> dict[str, Track]:
    found = {}
    names = st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True)
    for utterance in draw(st.lists(names, min_size=1, max_size=4, unique=True)):
        pairs = draw(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 30000), LABEL), min_size=1, max_size=6))
        times = np.cumsum([tick for gap, length, _ in pairs for tick in (gap, length)]) / 10000
        labels = tuple(normal("words", label) for *_, label in pairs)
        found[utterance] = Track(np.round(times[::2], 6), np.round(times[1::2], 6), labels)
    return found


@settings(max_examples=60)
@given(tracks())
def test_a_ctm_file_gives_back_what_was_written(tmp_path_factory, written: dict[str, Track]):
    path = tmp_path_factory.mktemp("ctm") / "words.ctm"
    write_ctm(path, written)
    read = load_ctm(path, "words")
    assert {utt: list(track) for utt, track in read.items()} == {utt: list(track) for utt, track in written.items()}


@settings(max_examples=60)
@given(st.lists(TEXT, max_size=8))
def test_whatever_the_file_holds_there_is_a_track_or_one_clear_error(tmp_path_factory, fields: list[str]):
    path = tmp_path_factory.mktemp("ctm") / "words.ctm"
    path.write_text("u 1 0.0 0.5 a\n" + " ".join(fields) + "\n", encoding="utf-8")
    try:
        assert "u" in load_ctm(path, "words")
    except UserError as error:
        assert f"{path}:" in str(error)


@pytest.mark.parametrize(
    "line, message",
    [
        ("u 1 0.5 abc x", "'abc' is no time"),
        ("u 1 nan 0.1 x", "'nan' is no time"),
        ("u 1 inf 0.1 x", "'inf' is no time"),
        ("u 1 -0.5 0.1 x", "the start -0.5 s is negative"),
        ("u 1 0.5 -0.1 x", "the duration -0.1 s is negative"),
        ("u 1 0.40 0.1 x", "starts at 0.4 s, but the segment before ends at 0.5 s"),
        ("u 1 0.5 0.1", "a line needs 'utterance channel start duration token'"),
        ("v 1 0 1 x\nu 1 0.5 0.1 x", "its lines do not stand together"),
        ("u 1 1_0 0.1 x", "'1_0' is no time"),
        ("u 1 ١ 0.1 x", "'١' is no time"),
        ("u 1 1e999 0.1 x", "'1e999' is no time"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, line: str, message: str):
    path = tmp_path / "words.ctm"
    path.write_text(f";; a comment\nu 1 0.0 0.5 a\n{line}\n")
    with pytest.raises(UserError, match=f"words.ctm:{3 + line.count(chr(10))}: utterance 'u': .*{message}"):
        load_ctm(path, "words")


def test_rounding_may_overlap_a_little_and_is_cut(tmp_path: Path):
    path = tmp_path / "words.ctm"
    path.write_text("u 1 0.00 0.51 a\nu 1 0.50 0.20 b 0.98 lex\n")
    assert list(load_ctm(path, "words")["u"]) == [(0.0, 0.51, "a"), (0.51, 0.7, "b")]


@given(st.integers(0, 80))
def test_a_file_that_is_cut_off_within_a_line_is_refused(tmp_path_factory, size: int):
    whole = "u 1 0.00 0.51 abc\nu 1 0.51 0.20 b 0.98 lex\nv 1 0.5 1.25e1 caf\u00e9\n".encode()
    path = tmp_path_factory.mktemp("ctm") / "words.ctm"
    path.write_bytes(whole[:size])
    if whole[:size].endswith(b"\n"):
        assert sum(map(len, load_ctm(path, "words").values())) == whole[:size].count(b"\n")
    else:
        message = "cut off" if size else "no alignment in it"
        with pytest.raises(UserError, match=message):
            load_ctm(path, "words")


def test_overlaps_are_trimmed_on_demand(tmp_path: Path):
    path = tmp_path / "words.ctm"
    path.write_text("u 1 0.0 0.5 a\nu 1 0.3 0.4 b\nu 1 0.35 0.1 c\nu 1 0.7 0.1 d\n")
    problems = Problems()
    assert not read_ctm(path, "words", problems)[0] and "or trim them (--trim_overlaps true)" in problems.lines[0]
    tracks, _ = read_ctm(path, "words", problems, rules=Rules(trim_overlaps=True))
    assert list(tracks["u"]) == [(0.0, 0.5, "a"), (0.5, 0.7, "b"), (0.7, 0.7, "c"), (0.7, 0.8, "d")]
    # What is not sorted is no overlap.
    path.write_text("u 1 0.4 0.5 a\nu 1 0.3 0.4 b\n")
    assert not read_ctm(path, "words", problems, rules=Rules(trim_overlaps=True))[0]


def test_other_utterances_are_counted_and_not_read(tmp_path: Path):
    path = tmp_path / "words.ctm"
    path.write_text("x 1 bad bad a\nu 1 0 1 a\ny 1 bad\ny 1 bad\n")
    problems = Problems()
    read, unknown = read_ctm(path, "words", problems, {"u"})
    assert (list(read), unknown, problems.lines) == (["u"], {"x", "y"}, [])


def test_files_that_are_none(tmp_path: Path):
    with pytest.raises(UserError, match="no.ctm: no such file"):
        load_ctm(tmp_path / "no.ctm", "words")
    (tmp_path / "empty.ctm").write_text("\n")
    with pytest.raises(UserError, match="empty.ctm: no alignment in it"):
        load_ctm(tmp_path / "empty.ctm", "words")
    (tmp_path / "latin.ctm").write_bytes("u 1 0 1 é\n".encode("latin-1"))
    with pytest.raises(UserError, match="latin.ctm:1: not UTF-8"):
        load_ctm(tmp_path / "latin.ctm", "words")
