# Copyright 2026 The hasrd authors
# Apache-2.0
"""The three layouts, and what the import makes of them for a data directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasrd.bin import import_alignments
from hasrd.data.alignments.importing import read_alignments
from hasrd.data.alignments.labels import normal
from hasrd.data.alignments.tracks import load_ctm
from hasrd.errors import UserError

WORDS = [("", 0.0, 0.5), ("HELLO", 0.5, 1.0), ("WORLD", 1.0, 1.4)]
PHONES = [("sil", 0.0, 0.5), ("HH", 0.5, 0.7), ("AH0", 0.7, 1.0), ("W", 1.0, 1.4)]
SECONDS = {"u-0": 24000, "u-1": 24000}


def write_grid(path: Path, tiers: dict[str, list], form: str = "long_textgrid", encoding: str = "utf-8") -> Path:
    textgrid = pytest.importorskip("praatio.textgrid")
    grid = textgrid.Textgrid()
    for name, segments in tiers.items():
        entries = [(start, end, label) for label, start, end in segments]
        grid.addTier(textgrid.IntervalTier(name, entries, 0, segments[-1][2]))
    path.parent.mkdir(parents=True, exist_ok=True)
    grid.save(str(path), form, includeBlankSpaces=True)
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    return path


def write_chapter(path: Path, utterances: dict[str, list]) -> Path:
    lines = [
        f'{utt} "{",".join(label for label, *_ in segments)}" "{",".join(str(end) for *_, end in segments)}"\n'
        for utt, segments in utterances.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))
    return path


def write_segments(path: Path, utterances: dict[str, list]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{utt} 1 {start:.3f} {end - start:.3f} {label or '<eps>'}\n"
        for utt, segments in utterances.items()
        for label, start, end in segments
    ]
    path.write_text("".join(lines))
    return path


def plain(segments: list, kind: str) -> list:
    return [(start, end, normal(kind, label)) for label, start, end in segments]


def found(source: Path, kind: str = "auto", samples: dict[str, int] = SECONDS, nj: int = 1) -> dict:
    tracks = read_alignments(source, samples, 16000, kind, nj).tracks
    return {kind: {utt: list(track) for utt, track in own.items()} for kind, own in tracks.items()}


def test_all_layouts_give_the_same(tmp_path: Path):
    for utterance in SECONDS:
        write_grid(tmp_path / "mfa" / "u" / f"{utterance}.TextGrid", {"words": WORDS, "phones": PHONES})
    write_chapter(tmp_path / "libri" / "u" / "1" / "u-1.alignment.txt", {utt: WORDS for utt in SECONDS})
    write_segments(tmp_path / "ctm" / "words.ctm", {utt: WORDS for utt in SECONDS})
    write_segments(tmp_path / "ctm" / "phones.ctm", {utt: PHONES for utt in SECONDS})
    words = {utt: plain(WORDS, "words") for utt in SECONDS}
    phones = {utt: plain(PHONES, "phones") for utt in SECONDS}
    both = {"words": words, "phones": phones}
    assert found(tmp_path / "mfa") == both == found(tmp_path / "ctm")
    assert found(tmp_path / "libri") == {"words": words} == found(tmp_path / "mfa", "words")
    assert found(tmp_path / "mfa", "phones") == {"phones": phones} == found(tmp_path / "ctm" / "phones.ctm")


@pytest.mark.parametrize("form", ["long_textgrid", "short_textgrid"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@settings(max_examples=20)
@given(
    segments=st.lists(
        st.tuples(st.text("aé\"'ñ字- ", max_size=4), st.integers(1, 900), st.integers(0, 400)), min_size=1, max_size=6
    )
)
def test_textgrids_of_every_form_and_encoding(tmp_path_factory, form: str, encoding: str, segments: list):
    ticks, given_ = 0, []
    for label, length, gap in segments:
        given_.append((label, (ticks + gap) / 1000, (ticks + gap + length) / 1000))
        ticks += gap + length
    path = write_grid(tmp_path_factory.mktemp("grid") / "u-0.TextGrid", {"HALE - words": given_}, form, encoding)
    read = found(path, samples={"u-0": 16 * ticks})["words"]["u-0"]
    # praatio fills gaps with empty intervals.
    spoken = [segment for segment in plain(given_, "words") if segment[2] != "<sil>"]
    assert [segment for segment in read if segment[2] != "<sil>"] == spoken


@settings(max_examples=50)
@given(st.lists(st.tuples(st.text("ABC'é", max_size=4), st.integers(0, 900)), min_size=1, max_size=8))
def test_chapters_give_back_what_was_written(tmp_path_factory, pairs: list):
    ends = [sum(length for _, length in pairs[: index + 1]) / 1000 for index in range(len(pairs))]
    segments = [(label, start, end) for (label, _), start, end in zip(pairs, [0.0, *ends], ends)]
    path = write_chapter(tmp_path_factory.mktemp("libri") / "u.alignment.txt", {"u-0": segments})
    assert found(path, samples={"u-0": round(16000 * ends[-1])})["words"]["u-0"] == plain(segments, "words")


def test_kind_of_a_ctm_file(tmp_path: Path):
    labels = write_segments(tmp_path / "ctm", {"u-0": PHONES})
    assert list(found(labels)) == ["phones"] and list(found(labels, "words")) == ["words"]
    other = write_segments(tmp_path / "ali.ctm", {"u-0": WORDS})
    with pytest.raises(UserError, match="ali.ctm: words or phones.*--kind"):
        found(other)
    assert list(found(write_segments(tmp_path / "x_words.ctm", {"u-0": PHONES}))) == ["words"]


@pytest.mark.parametrize(
    "line, message",
    [
        ('u-0 "A,B" "0.5"', "2 words, but 1 times"),
        ('u-0 "A,B" "0.5,x"', "'x' is no time"),
        ('u-0 "A,B" "0.5,0.4"', "it ends at 0.4 s before it starts at 0.5 s"),
        ('u-0 "A,B" "-0.5,0.4"', "it ends at -0.5 s"),
        ("u-0 A,B 0.5,0.4", "a line needs"),
        ('u-1 "A" "0.5"', "it stands here a second time"),
    ],
)
def test_what_is_wrong_with_a_chapter(tmp_path: Path, line: str, message: str):
    path = tmp_path / "u.alignment.txt"
    path.write_text(f'u-1 "A" "0.5"\n{line}\n')
    with pytest.raises(UserError, match=f"u.alignment.txt:2: utterance '{line[:3]}': {message}"):
        found(path)


def test_an_alignment_fits_its_audio(tmp_path: Path):
    path = write_segments(tmp_path / "words.ctm", {"u-0": WORDS})
    # 1.4 s of words: 50 ms past the audio are an aligner's last frame, more is other audio.
    assert found(path, samples={"u-0": 21600})
    grid = write_grid(tmp_path / "u-0.TextGrid", {"words": WORDS})
    for source in (path, grid):
        message = f"{source.name}: the words of utterance 'u-0' end at 1.4 s, but its audio at 1.3"
        with pytest.raises(UserError, match=message):
            found(source, samples={"u-0": 21500})


def test_an_utterance_twice_and_none_at_all(tmp_path: Path):
    write_segments(tmp_path / "a" / "words.ctm", {"u-0": WORDS})
    write_segments(tmp_path / "b" / "words.ctm", {"u-0": WORDS})
    with pytest.raises(UserError, match="b/words.ctm: the words of utterance 'u-0' are in .*a/words.ctm, too"):
        found(tmp_path)
    with pytest.raises(UserError, match="none of its 1 utterances is among the 1 of the data"):
        found(tmp_path / "a", samples={"v": 1})
    chapter = write_chapter(tmp_path / "c" / "u.alignment.txt", {"u-0": WORDS})
    with pytest.raises(UserError, match="u.alignment.txt: no phones in it"):
        found(chapter, "phones")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: no \*.TextGrid, \*.ctm"):
        found(tmp_path / "empty")
    with pytest.raises(UserError, match="nowhere: no such file or folder"):
        found(tmp_path / "nowhere")


def test_a_folder_may_be_linked(tmp_path: Path):
    write_segments(tmp_path / "elsewhere" / "words.ctm", {"u-0": WORDS})
    (tmp_path / "all" / "a").mkdir(parents=True)
    (tmp_path / "all" / "a" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "all")
    assert found(tmp_path / "all") == found(tmp_path / "elsewhere" / "words.ctm")
    (tmp_path / "all" / "gone.ctm").symlink_to("nowhere")
    with pytest.raises(UserError, match="gone.ctm: no such file"):
        found(tmp_path / "all")


def test_a_chapter_that_is_cut_off_is_refused(tmp_path: Path):
    path = write_chapter(tmp_path / "u.alignment.txt", {"u-0": WORDS})
    content = path.read_bytes()
    for size in range(1, len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(UserError, match="u.alignment.txt:1: the last line has no end: the file was cut off"):
            found(path)


def test_workers_make_no_difference(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("hasrd.data.alignments.importing.BLOCK", 1)
    for utterance in SECONDS:
        write_grid(tmp_path / f"{utterance}.TextGrid", {"words": WORDS, "phones": PHONES})
    assert found(tmp_path, nj=2) == found(tmp_path)


def test_the_command(make_data_dir, tmp_path: Path, capsys):
    data = make_data_dir("test", [24000, 24000], counted=True)
    source = tmp_path / "alignments"
    write_segments(source / "words.ctm", {"test-0000": WORDS, "other-1": WORDS, "other-2": WORDS})
    import_alignments.main(["--data", str(data), "--alignments", str(source)])
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        f"{data}/words.ctm: 1 of 2 utterances aligned",
        f"{source}: left out 2 utterances that are not in the data",
    ]
    assert list(load_ctm(data / "words.ctm", "words")["test-0000"]) == plain(WORDS, "words")
    assert not (data / "phones.ctm").exists()
    before = (data / "words.ctm").read_bytes()
    write_segments(source / "words.ctm", {"test-0000": [*WORDS, ("x", 0.1, 0.2)]})
    with pytest.raises(UserError, match="nothing was written"):
        import_alignments.main(["--data", str(data), "--alignments", str(source)])
    assert (data / "words.ctm").read_bytes() == before
    (data / "utt2num_samples").unlink()
    with pytest.raises(UserError, match="utt2num_samples: no such file"):
        import_alignments.main(["--data", str(data), "--alignments", str(source)])


def test_real_alignments(librispeech: Path, tmp_path: Path):
    from hasrd.bin.prepare import main

    if not (librispeech / "alignments").is_dir():
        pytest.skip("LIBRISPEECH has no alignments")
    main(["librispeech", "--root", str(librispeech), "--test", "test-other", "--out", str(tmp_path)])
    words = load_ctm(tmp_path / "test-other" / "words.ctm", "words")
    phones = load_ctm(tmp_path / "test-other" / "phones.ctm", "phones")
    assert set(words) == set(phones) and len(words) > 80
    texts = dict(line.split(" ", 1) for line in (tmp_path / "test-other" / "text").read_text().splitlines())
    spoken = {utt: [label for label in track.labels if label != "<sil>"] for utt, track in words.items()}
    # Of a few utterances the aligner lost a word.
    other = [utt for utt, own in spoken.items() if own != texts[utt].lower().split()]
    assert len(other) <= 0.02 * len(words)
    arpabet = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
    assert {label for track in phones.values() for label in track.labels} <= {"SIL", *arpabet.split()}
