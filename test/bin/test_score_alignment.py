# Copyright 2026 The hasrd authors
# Apache-2.0
"""`hasrd score` of phones and words: from codes and alignments to score files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from score_files import score, write_arrays

from hasrd.data.alignments.tracks import Track, write_ctm
from hasrd.data.kaldi import read_table, write_table
from hasrd.errors import UserError
from hasrd.metrics.scores import read_score

RATE = 31.25
SAID = ("<sil>", "yes", "no")


def make_set(folder: Path, name: str, count: int = 12, words: int = 8, seed: int = 0) -> None:
    """Write codes.scp (perfect, random), words.ctm, phones.ctm: every segment lasts ten frames."""
    generator = np.random.default_rng(seed)
    codes, tracks = {}, {}
    for index in range(count):
        said = generator.integers(len(SAID), size=words)
        ends = np.round(np.arange(1, words + 1) * 10 / RATE, 6)
        starts = np.concatenate([[0.0], ends[:-1]])
        tracks[f"{name}-{index}"] = Track(starts, ends, tuple(SAID[word] for word in said))
        # Two frames more than the alignment has.
        perfect = np.append(np.repeat(said, 10), [5, 5])
        # Not at a word's edge, where the window reaches the next word.
        perfect[(np.arange(len(perfect)) % 10 < 2) | (np.arange(len(perfect)) % 10 > 7)] = 7
        codes[f"{name}-{index}"] = np.stack([perfect, generator.integers(8, size=len(perfect))], 1)
    write_arrays(folder / "codes", codes)
    write_table(folder / "text", {utt: " ".join(map(str, array[:, 0])) for utt, array in codes.items()})
    write_ctm(folder / "words.ctm", tracks)
    phones = {
        utt: Track(track.starts, track.ends, tuple({"<sil>": "SIL", "yes": "Y", "no": "N"}[w] for w in track.labels))
        for utt, track in tracks.items()
    }
    write_ctm(folder / "phones.ctm", phones)


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    make_set(tmp_path / "train", "train", seed=1)
    make_set(tmp_path / "test", "test", seed=2)
    facts = {"codebook_sizes": [8, 8], "stream_names": ["semantic", "acoustic"], "frame_rate": RATE}
    (tmp_path / "codes.json").write_text(json.dumps(facts))
    return tmp_path


def call(sets: Path, measures: str, **options: Path) -> Path:
    kind = "words" if "word" in measures else "phones"
    given = {kind: sets / f"test/{kind}.ctm", "codes": sets / "test/codes.scp", "tokens_info": sets / "codes.json"}
    score(measures, system="combined", out=sets / "out", **{**given, **options})
    return sets / "out"


def call_words(sets: Path, codes: str = "codes.scp") -> Path:
    return call(sets, "word_f1", train_codes=sets / "train" / codes, train_words=sets / "train/words.ctm")


def test_phones(sets: Path, capsys):
    out = call(sets, "pnmi,phone_purity,cluster_purity")
    for measure in ("pnmi", "phone_purity", "cluster_purity"):
        found = read_score(out / f"{measure}.json")
        first, second = found.details["codebooks"]
        assert (first["stream"], second["stream"], first["size"]) == ("semantic", "acoustic", 8)
        assert found.mean == first["value"] and list(found.ci95) == first["ci95"] and found.count == 12
        # The alignment ends two frames before the codes.
        assert found.details["frames"] == 12 * 80
        for book in (first, second):
            assert book["ci95"][0] <= book["value"] <= book["ci95"][1]
            assert book["without_silence"]["shuffled"] < 0.9
    pnmi = read_score(out / "pnmi.json").details["codebooks"]
    # Perfect but for the four frames in ten that share one code.
    assert 0.5 < pnmi[0]["value"] < 0.7 and pnmi[0]["shuffled"] < 0.03
    assert pnmi[1]["value"] < 0.05
    table = (out / "pnmi.tsv").read_text().splitlines()
    assert table[0] == "utt\ttokens\tframes" and table[1] == "test-0\t82\t80"
    capsys.readouterr()
    call(sets, "pnmi,phone_purity,cluster_purity")
    assert capsys.readouterr().out.count("up to date, skipped") == 3


def test_utterances_without_alignment_are_counted(sets: Path):
    lines = (sets / "test/phones.ctm").read_text().splitlines(keepends=True)
    (sets / "test/phones.ctm").write_text("".join(line for line in lines if not line.startswith("test-0 ")))
    found = read_score(call(sets, "pnmi") / "pnmi.json")
    assert found.count == 11 and found.details["without_alignment"] == 1


def test_words(sets: Path):
    found = read_score(call_words(sets) / "word_f1.json")
    first, second = found.details["codebooks"]
    assert first["value"] == found.mean == 1.0 and first["good_words"] == 2 == first["words"]
    assert {(row["word"], row["code"]) for row in first["best_words"]} == {("yes", 1), ("no", 2)}
    assert first["shuffled"] < 0.7 and second["value"] < 0.7
    assert found.details["eligible_words"] == 2 and found.details["words_not_in_training"] == 0
    segments = sum(row["occurrences"] for row in first["best_words"])
    assert segments == found.details["segments"]


def test_training_codes_of_the_first_codebook_alone(sets: Path, capsys):
    found = read_score(call_words(sets, "text") / "word_f1.json")
    assert [book["codebook"] for book in found.details["codebooks"]] == [0] and found.mean == 1.0
    assert "1 of 2 codebooks left out" in capsys.readouterr().out


def test_words_that_training_never_heard(sets: Path):
    lines = (sets / "train/words.ctm").read_text()
    (sets / "train/words.ctm").write_text(lines.replace(" yes\n", " perhaps\n"))
    found = read_score(call_words(sets) / "word_f1.json")
    assert found.mean == 0.5 and found.details["words_not_in_training"] == 1


def test_what_does_not_fit(sets: Path, one_line):
    one_line("--train_codes is needed", call, sets, "word_f1")
    one_line(
        "utterance 'test-0' is in .*, too",
        call,
        sets,
        "word_f1",
        train_codes=sets / "test/text",
        train_words=sets / "test/words.ctm",
    )
    one_line("none of its 12 utterances is among the 12 of", call, sets, "pnmi", phones=sets / "train/phones.ctm")
    with pytest.raises(UserError, match="utterance 'test-0', codebook 0: code 7 is not in a codebook of 4"):
        facts = {"codebook_sizes": [4, 8], "stream_names": ["semantic", "acoustic"], "frame_rate": RATE}
        (sets / "codes.json").write_text(json.dumps(facts))
        call(sets, "pnmi")


def test_too_little_to_tell(sets: Path, one_line):
    write_ctm(sets / "test/words.ctm", {"test-0": Track(np.array([0.0]), np.array([1.0]), ("yes",))})
    one_line("no word occurs 5 times", call_words, sets)
    write_ctm(sets / "test/phones.ctm", {"test-0": Track(np.array([0.0]), np.array([1.0]), ("Y",))})
    one_line("fewer than two different phones", call, sets, "pnmi")


def test_text_that_is_no_tokens(sets: Path, one_line):
    text = (sets / "train/text").read_text().splitlines()
    (sets / "train/text").write_text("\n".join([text[0], text[1] + " x"]) + "\n")
    one_line("train/text:2: 'x' is no token", call_words, sets, "text")


def in_two_languages(sets: Path, part: str, first: int) -> None:
    """Let the first so many utterances of a set be Xish, the others Yish."""
    names = [f"{part}-{index}" for index in range(12)]
    write_table(sets / part / "utt2lang", {utt: "xx" if i < first else "yy" for i, utt in enumerate(names)})


def details(sets: Path, measure: str) -> dict:
    out = call_words(sets) if measure == "word_f1" else call(sets, measure)
    return read_score(out / f"{measure}.json").details


@pytest.mark.parametrize("measure", ["pnmi", "phone_purity", "word_f1"])
def test_each_language_is_as_a_set_of_its_own(sets, tmp_path, measure):
    """Its codes are chosen, and shuffled, on its own part of the training set."""
    whole = details(sets, measure)
    assert "languages" not in whole
    for part, first in (("train", 5), ("test", 7)):
        in_two_languages(sets, part, first)
    found = details(sets, measure)
    assert found["codebooks"] == whole["codebooks"], "in all as before"
    assert {language: own["utterances"] for language, own in found["languages"].items()} == {"xx": 7, "yy": 5}
    alone = tmp_path / "alone"
    for part in ("train", "test"):
        (alone / part).mkdir(parents=True)
        spoken = read_table(sets / part / "utt2lang")
        for name in ("codes.scp", "text", "words.ctm", "phones.ctm"):
            lines = (sets / part / name).read_text().splitlines(keepends=True)
            (alone / part / name).write_text("".join(line for line in lines if spoken[line.split()[0]] == "yy"))
    (alone / "codes.json").write_text((sets / "codes.json").read_text())
    own = details(alone, measure)["codebooks"]
    for mine, theirs in zip(found["languages"]["yy"]["codebooks"], own, strict=True):
        assert mine.pop("best_words", None) == theirs.pop("best_words", [])[:5] or measure != "word_f1"
        assert mine == theirs
    mean = found["mean_of_languages"]
    both = [found["languages"][language]["codebooks"][0]["value"] for language in mean["languages"]]
    assert mean["codebooks"][0]["value"] == pytest.approx(sum(both) / 2) and len(both) == 2


def test_a_language_without_training_words_is_left_out(sets, one_line):
    in_two_languages(sets, "test", 7)
    found = details(sets, "word_f1")
    reason = "the training set has no aligned words of it"
    assert {own["left_out"] for own in found["languages"].values()} == {reason} and not found["mean_of_languages"]
    in_two_languages(sets, "train", 5)
    in_two_languages(sets, "test", 11)
    found = details(sets, "word_f1")
    assert "codebooks" in found["languages"]["xx"] and found["mean_of_languages"] == {}
    assert found["languages"]["yy"]["left_out"] == "no word occurs 5 times"
    (sets / "test/utt2lang").write_text("test-0 xx\n")
    one_line("utt2lang: utterance 'test-1' of words.ctm is missing", details, sets, "word_f1")
