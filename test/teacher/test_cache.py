# Copyright 2026 The hasrd authors
# Apache-2.0
"""What teachers say of a data set, kept: complete, in bounded size, interrupted and repeated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stub_teachers import SIZE, vector

from hasrd.data.audio import read_audio
from hasrd.data.kaldi import read_table
from hasrd.data.targets import IGNORED, UTTERANCE, WORD, open_targets
from hasrd.errors import UserError
from hasrd.teacher import cache
from hasrd.teacher.cache import dump_teacher

pytest.importorskip("kaldiio")
LENGTHS = (4000, 8000, 2000, 3000, 1000, 5000, 6000)
TEXTS, WAVES = "stub_teachers:Texts", "stub_teachers:Waves"


@pytest.fixture
def log(tmp_path, monkeypatch):
    path = tmp_path / "log"
    monkeypatch.setenv("STUB_LOG", str(path))

    def read() -> list[str]:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    return read


@pytest.fixture
def data(make_data_dir) -> Path:
    return make_data_dir("train", LENGTHS, counted=True)


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_frames_of_a_real_teacher(data, tmp_path, encoder_file):
    from hasrd.teacher.speech import SpeechTeacher

    conf = {"source": str(encoder_file), "layer": "mean"}
    facts = dump_teacher(data, tmp_path / "out", "speech", conf, compression_method=None)
    teacher, targets = SpeechTeacher(**conf), open_targets([tmp_path / "out"])
    every = []
    for utterance, path in read_table(data / "wav.scp").items():
        wave = torch.from_numpy(read_audio(path, 16000))[None]
        expected = teacher(wave, torch.tensor([wave.shape[1]]))[0][0].numpy()
        got = targets(utterance, 0.0, 9.0)
        np.testing.assert_allclose(got["feats"], expected, atol=1e-4)
        np.testing.assert_allclose(got["times"], (392 + 512 * np.arange(len(expected))) / 16000, atol=1e-6)
        every.append(expected)
    every = np.concatenate(every)
    assert facts["num_frames"] == len(every) and targets.size == facts["size"] == 16
    standard = open_targets([tmp_path / "out"], standardize=True)
    np.testing.assert_allclose(standard.mean, every.mean(0), atol=1e-4)
    np.testing.assert_allclose(standard.std, every.std(0), atol=1e-4)
    assert targets.teacher_source is None and facts["model_hash"] == teacher.model_hash


def test_compressed_frames_are_smaller_and_near(data, tmp_path, encoder_file):
    conf = {"source": str(encoder_file), "layer": 2}
    exact = dump_teacher(data, tmp_path / "exact", "speech", conf, compression_method=None)
    dump_teacher(data, tmp_path / "small", "speech", conf)
    sizes = [(tmp_path / name / "data/000000/feats.ark").stat().st_size for name in ("exact", "small")]
    assert sizes[1] < 0.7 * sizes[0] and sizes[0] > 4 * exact["num_frames"] * 16
    for utterance in read_table(data / "wav.scp"):
        first, second = (open_targets([tmp_path / name])(utterance, 0, 9)["feats"] for name in ("exact", "small"))
        assert 0 < np.abs(first - second).max() < 1e-3


def test_interrupted_speech_goes_on(data, tmp_path, log, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cache, "UTTERANCES_A_CHUNK", 2)
    dump_teacher(data, "out", WAVES, {})
    expected = contents(tmp_path / "out")
    assert len(log()) > 1
    (tmp_path / "out").rename(tmp_path / "whole")
    work = cache.SpeechWork.__call__

    def interrupted(self, inputs, *folders):
        if "train-0005" in inputs:
            raise KeyboardInterrupt
        work(self, inputs, *folders)

    monkeypatch.setattr(cache.SpeechWork, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dump_teacher(data, "out", WAVES, {})
    assert not (tmp_path / "out/teacher.json").exists()
    log()
    monkeypatch.setattr(cache.SpeechWork, "__call__", work)
    dump_teacher(data, "out", WAVES, {})
    assert contents(tmp_path / "out") == expected
    assert sorted(int(n) for line in log() for n in line.split()) == sorted(LENGTHS[4:]), "only what was not done"
    dump_teacher(data, "out", WAVES, {})
    assert contents(tmp_path / "out") == expected and not log()


def test_another_teacher_is_run_anew(data, tmp_path, log):
    dump_teacher(data, tmp_path / "out", WAVES, {})
    log()
    first = open_targets([tmp_path / "out"])
    dump_teacher(data, tmp_path / "out", WAVES, {"bad": -2})
    assert len(log()) and first("train-0000", 0, 1)["feats"].shape == (40, 2)
    dump_teacher(data, tmp_path / "other", WAVES, {"bad": -1})
    with pytest.raises(UserError, match="another teacher"):
        open_targets([tmp_path / "out", tmp_path / "other"])


@pytest.mark.parametrize("name", [WAVES, TEXTS])
def test_a_class_that_says_that_it_has_changed_is_run_anew(data, tmp_path, log, monkeypatch, name):
    import stub_teachers

    first, other = tmp_path / "out", tmp_path / "other"
    dump_teacher(data, first, name, {})
    assert log()
    dump_teacher(data, first, name, {})
    assert not log()
    monkeypatch.setattr(getattr(stub_teachers, name.partition(":")[2]), "model_hash", "of other weights")
    dump_teacher(data, other, name, {})
    with pytest.raises(UserError, match="another teacher"):
        open_targets([first, other])
    log()
    dump_teacher(data, first, name, {})
    assert log()


@pytest.mark.parametrize("most", [3, 200])
def test_what_is_too_large_is_not_kept(data, tmp_path, log, monkeypatch, capsys, most):
    out = tmp_path / "out"
    dump_teacher(data, out, WAVES, {})
    log()
    monkeypatch.setattr(cache, "STATS_UTTERANCES", most)
    frames = sum(LENGTHS) // 100
    enough = frames * 2 * 2 / 2**30
    facts = dump_teacher(data, out, WAVES, {}, max_gb=0.99 * enough)
    assert not facts["cached"] and facts["num_frames"] == frames
    assert "the teacher will run during the training" in capsys.readouterr().err
    assert not list(out.rglob("feats.*")), "nothing is left of an earlier run either"
    assert 0 < len(" ".join(log()).split()) <= most
    targets = open_targets([out], standardize=True)
    assert targets.teacher_source == {"teacher": WAVES, "conf": {}} and targets.std.all()
    with pytest.raises(UserError, match="nothing of utterance"):
        targets("train-0000", 0, 1)
    assert dump_teacher(data, out, WAVES, {}, max_gb=1.01 * enough)["cached"]
    assert open_targets([out])("train-0000", 0, 1)["feats"].shape == (40, 2)


def test_bad_sets_are_one_line(data, tmp_path, log, encoder_file, make_data_dir, one_line):
    def refused(match: str, *args, **options) -> None:
        one_line(match, dump_teacher, *args, **options)

    out = tmp_path / "out"
    refused("wav.scp: no utterances", make_data_dir("empty", ()), out, WAVES, {})
    refused("--languages", data, out, WAVES, {}, languages=["en"])
    refused("--teacher_conf: .*colour", data, out, WAVES, {"colour": 1})
    refused("--teacher_conf: .*source", data, out, "speech", {})
    refused("unknown class 'smell'", data, out, "smell", {})
    refused("utt2num_samples: no such file", make_data_dir("bare"), out, WAVES, {})
    short = make_data_dir("short", (4000, 700), counted=True)
    refused("short-0001.*700 samples are less than one frame", short, out, "speech", {"source": str(encoder_file)})
    (data / "text").unlink()
    refused("text: no such file", data, out, TEXTS, {})


def write_ctm(folder: Path, **words: list[tuple[float, float, str]]) -> None:
    lines = [
        f"{folder.name}-000{utterance[1:]} 1 {start} {duration} {word}\n"
        for utterance, spoken in words.items()
        for start, duration, word in spoken
    ]
    (folder / "words.ctm").write_text("".join(lines))


def test_texts_and_words_once_each(data, tmp_path, log):
    (data / "text").write_text(
        "train-0000 SAY IT AGAIN\ntrain-0001 SAY IT AGAIN\ntrain-0002\n"
        "train-0003 again\ntrain-0004 ça va?\ntrain-0005 log\ntrain-0006 x\n"
    )
    again = [(0, 0.3, "<sil>"), (0.3, 0.2, "SAY"), (0.5, 0.1, "it"), (0.6, 0, "uh"), (0.7, 0.3, "again")]
    write_ctm(data, u0=again, u1=again[1:], u2=[(0, 0.1, "noise")], u3=[(0, 1, "again")])
    facts = dump_teacher(data, tmp_path / "out", TEXTS, {})
    said = log()
    assert sorted(said) == sorted(["SAY IT AGAIN", "again", "ça va?", "log", "x", "say", "it"])
    assert (facts["num_texts"], facts["num_ignored"], facts["num_words"]) == (7, 1, 7)
    assert not (tmp_path / "out/chunks").exists(), "the embeddings stand there once"
    targets = open_targets([tmp_path / "out"])
    got = targets("train-0000", 0.0, 5.0)
    assert np.array_equal(got["embeddings"], [vector(text) for text in ("SAY IT AGAIN", "say", "it", "again")])
    assert got["kinds"].tolist() == [UTTERANCE, WORD, WORD, WORD]
    np.testing.assert_allclose(got["spans"], [[0, 5], [0.3, 0.5], [0.5, 0.6], [0.7, 1.0]], atol=1e-6)
    assert targets("train-0002", 0, 1)["kinds"].tolist() == [IGNORED]
    assert targets("train-0004", 0, 1)["kinds"].tolist() == [UTTERANCE]
    standard = open_targets([tmp_path / "out"], standardize=True)
    rows = np.load(tmp_path / "out/embeddings.npy")
    np.testing.assert_allclose(standard.mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(standard.std, rows.std(0), rtol=1e-5)


def test_without_words_and_with_other_languages(data, tmp_path, log, capsys):
    facts = dump_teacher(data, tmp_path / "out", TEXTS, {}, languages=["en"])
    said = capsys.readouterr().err
    assert "no words.ctm there" in said and "no utt2lang there: all of it is taken to be en" in said
    assert facts["num_ignored"] == facts["num_words"] == 0
    utterances = sorted(read_table(data / "wav.scp"))
    spoken = ["en", "de", "fr", "en", "en-GB", "en"]  # and nothing of the last one
    (data / "utt2lang").write_text("".join(f"{utt} {lang}\n" for utt, lang in zip(utterances, spoken)))
    write_ctm(data, u0=[(0, 1, "text")], u1=[(0, 1, "wort")])
    for languages, known in ((["en"], {0, 3, 5}), (["de", "fr"], {1, 2}), ([], set(range(7))), (["xx"], set())):
        log()
        facts = dump_teacher(data, tmp_path / "out", TEXTS, {}, languages=languages)
        targets = open_targets([tmp_path / "out"])
        kinds = [targets(utt, 0, 9)["kinds"].tolist() for utt in utterances]
        assert {number for number, kind in enumerate(kinds) if kind[0] == UTTERANCE} == known
        assert ("wort" in log()) == (1 in known) and facts["num_ignored"] == 7 - len(known)
        assert kinds[0] == ([UTTERANCE, WORD] if 0 in known else [IGNORED])
        assert targets.size == SIZE


def test_interrupted_texts_go_on(data, tmp_path, log, monkeypatch, capsys):
    monkeypatch.setattr(cache, "TEXTS_A_CHUNK", 2)
    out = tmp_path / "out"
    expected = None
    for bad in ("TEXT 5 OF train", ""):
        monkeypatch.setattr("stub_teachers.Texts.__init__", lambda self, bad=bad: _texts(self, bad))
        if bad:
            with pytest.raises(KeyboardInterrupt):
                dump_teacher(data, out, TEXTS, {})
            assert not (out / "teacher.json").exists() and len(log()) == 4
        else:
            dump_teacher(data, out, TEXTS, {})
            assert len(log()) == 3, "only what was not done"
            expected = contents(out)
    capsys.readouterr()
    dump_teacher(data, out, TEXTS, {})
    assert not log() and contents(out) == expected and "up to date" in capsys.readouterr().err
    dump_teacher(data, tmp_path / "at_once", TEXTS, {})
    assert contents(tmp_path / "at_once") == expected


def _texts(self, bad: str) -> None:
    self.scale, self.bad = 1.0, bad


def test_changed_texts_are_run_anew(data, tmp_path, log):
    out = tmp_path / "out"
    dump_teacher(data, out, TEXTS, {})
    for change in ("text", "words.ctm", "utt2lang", "scale"):
        log()
        if change == "text":
            (data / "text").write_text((data / "text").read_text().replace("TEXT 0", "NOTHING"))
        elif change == "words.ctm":
            write_ctm(data, u0=[(0, 1, "nothing")])
        elif change == "utt2lang":
            (data / "utt2lang").write_text("train-0000 en\n")
        dump_teacher(data, out, TEXTS, {"scale": 2.0} if change == "scale" else {})
        assert log()
    got = open_targets([out])("train-0000", 0, 1)
    assert np.array_equal(got["embeddings"], [2 * vector("NOTHING OF train"), 2 * vector("nothing")])


def test_a_bad_vector_is_one_line(data, tmp_path, log):
    with pytest.raises(UserError, match="the text '.*': the teacher gives NaN"):
        dump_teacher(data, tmp_path / "out", TEXTS, {"scale": float("nan")})


LINE = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8)


@settings(max_examples=15)
@given(texts=st.lists(st.lists(LINE, max_size=3).map(" ".join), min_size=1, max_size=4))
def test_any_text(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("set")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUB_LOG", str(folder / "log"))
        (folder / "wav.scp").write_text("".join(f"u{i} x.wav\n" for i in range(len(texts))))
        (folder / "text").write_text("".join(f"u{i} {text}\n" for i, text in enumerate(texts)), encoding="utf-8")
        dump_teacher(folder, folder / "out", TEXTS, {})
    targets = open_targets([folder / "out"])
    for number, text in enumerate(texts):
        got = targets(f"u{number}", 0, 1)
        assert got["kinds"].tolist() == [UTTERANCE if text else IGNORED]
        assert np.array_equal(got["embeddings"][0], vector(text) if text else np.zeros(SIZE))


def test_files_named_like_texts_do_not_matter(data, tmp_path, log, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (data / "text").write_text("".join(f"{utt} data\n" for utt in read_table(data / "wav.scp")))
    monkeypatch.setattr("stub_teachers.Texts.__init__", lambda self: _texts(self, ""))
    work = cache._write_units
    monkeypatch.setattr(cache, "_write_units", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        dump_teacher(data, "out", TEXTS, {})
    assert log() == ["data"]
    (tmp_path / "data" / "new").write_text("")
    monkeypatch.setattr(cache, "_write_units", work)
    dump_teacher(data, "out", TEXTS, {})
    assert not log(), "a folder with the text's name has changed, the text has not"
    assert json.loads((tmp_path / "out/teacher.json").read_text())["num_texts"] == 1
