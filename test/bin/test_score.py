# Copyright 2026 The hasrd authors
# Apache-2.0
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from score_files import score, write_arrays, write_wavs

import hasrd
from hasrd.bin.score import main
from hasrd.data.kaldi import write_table
from hasrd.metrics import dnsmos, pesq, speaker_similarity, stoi, visqol
from hasrd.metrics import measure as declaration
from hasrd.metrics.scores import MEASURES, read_rows, read_score
from hasrd.metrics.scoring import audio as scoring
from hasrd.metrics.speaker_similarity import SpeakerSimilarity


def waves(count=3, offset=0):
    generator = np.random.default_rng(0)
    return {f"u{i}": 0.1 * generator.standard_normal(9000 + 2000 * i + offset) for i in range(count)}


@pytest.fixture
def audio(tmp_path):
    reference = write_wavs(tmp_path / "ref", waves())
    good = write_wavs(tmp_path / "good", {utt: wave[:-9] * 0.5 for utt, wave in waves().items()})
    bad = write_wavs(tmp_path / "bad", {utt: np.zeros(len(wave)) for utt, wave in waves().items()})
    return reference, good, bad


def call(tmp_path, measures, reference, *hypotheses, out="out", **options):
    """Score s0, s1, ... and return the folder that their scores are below."""
    names = [f"s{i}" for i in range(len(hypotheses))]
    outs = [tmp_path / out / name for name in names]
    score(measures, ref=reference, system=names, hyp=hypotheses, out=outs, **options)
    return tmp_path / out


def test_audio_of_two_systems(tmp_path, audio, capsys):
    out = call(tmp_path, "mel,stft", *audio)
    good, bad = read_score(out / "s0/mel.json"), read_score(out / "s1/mel.json")
    # Half the level and nine samples less is no distance.
    assert good.mean < 0.1 < bad.mean and good.count == 3
    assert good.ci95[0] <= good.mean <= good.ci95[1]
    table = (out / "s1/mel.tsv").read_text().splitlines()
    assert table[0] == "utt\tvalue" and len(table) == 4
    assert np.mean([float(line.split("\t")[1]) for line in table[1:]]) == pytest.approx(bad.mean, rel=1e-4)
    assert {"hasrd", "torch", "numpy", "python"} <= set(good.versions)
    capsys.readouterr()
    before = (out / "s0/mel.json").stat().st_mtime_ns
    call(tmp_path, "mel,stft", *audio)
    assert capsys.readouterr().out.count("up to date, skipped") == 4
    assert (out / "s0/mel.json").stat().st_mtime_ns == before


def test_changed_audio_is_scored_again_and_only_that(tmp_path, audio, capsys):
    call(tmp_path, "mel", *audio)
    soundfile.write(tmp_path / "good" / "u1.wav", waves()["u1"] + 0.1, 16000)
    capsys.readouterr()
    out = call(tmp_path, "mel", *audio)
    printed = capsys.readouterr().out
    assert printed.count("skipped") == 1 and "s1/mel.json: up to date" in printed
    assert read_score(out / "s0/mel.json").mean > 0.05


def test_workers_and_folders_make_no_difference(tmp_path, audio, monkeypatch):
    monkeypatch.setattr(scoring, "_CHUNK", 1)
    one = call(tmp_path, "mel,stft", *audio, out="one")
    (tmp_path / "moved").mkdir()
    reference = write_wavs(tmp_path / "moved" / "ref", waves())
    two = call(tmp_path, "mel,stft", reference, *audio[1:], nj=2, out="two")
    for name in ("s0/mel.json", "s0/mel.tsv", "s1/stft.json", "s1/stft.tsv"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_missing_utterances_are_named(tmp_path, audio, one_line):
    less = write_wavs(tmp_path / "less", waves(2))
    one_line("less/wav.scp: utterance 'u2' of .*ref/wav.scp is missing", call, tmp_path, "mel", audio[0], less)
    one_line("less/wav.scp: utterance 'u2'", call, tmp_path, "mel", less, audio[1])


def test_length_and_rate_are_checked(tmp_path, audio, one_line):
    longer = write_wavs(tmp_path / "longer", waves(offset=600))
    one_line("utterance 'u0' of s0: .*more than one token", call, tmp_path, "mel", audio[0], longer)
    soundfile.write(tmp_path / "good" / "u1.wav", np.zeros((11000, 2)), 16000)
    one_line("u1.wav: 2 channels", call, tmp_path, "mel", *audio[:2])
    wave = waves()["u1"]
    wave[7] = np.nan
    soundfile.write(tmp_path / "good" / "u1.wav", wave, 16000, subtype="FLOAT")
    one_line("u1.wav: 1 samples are NaN", call, tmp_path, "mel", *audio[:2])
    (tmp_path / "good" / "u1.wav").unlink()
    one_line("u1.wav: no such audio file", call, tmp_path, "mel", *audio[:2])
    assert not list((tmp_path / "out").glob("*/*.json"))


def test_similarity_is_left_out_without_its_package(tmp_path, audio, monkeypatch, capsys):
    monkeypatch.setattr(declaration, "find_spec", lambda name: None)
    out = call(tmp_path, "speaker_similarity,mel", *audio[:2])
    assert "Resemblyzer is not installed" in capsys.readouterr().out
    assert (out / "s0/mel.json").exists() and not (out / "s0/speaker_similarity.json").exists()
    call(tmp_path, "speaker_similarity", *audio[:2])


@pytest.mark.skipif(not SpeakerSimilarity.available(), reason="Resemblyzer is not installed (extra: eval)")
def test_similarity_leaves_out_silent_references(tmp_path, audio, one_line):
    silent = write_wavs(tmp_path / "silent", {**waves(), "u1": np.zeros(11000)})
    out = call(tmp_path, "speaker_similarity", silent, audio[0])
    found = read_score(out / "s0/speaker_similarity.json")
    assert found.count == 2 and list(found.details["left_out"]) == ["u1"]
    assert found.mean == pytest.approx(1.0, abs=1e-4)
    one_line("digital silence", call, tmp_path, "speaker_similarity", audio[2], audio[0])


ALL = "mel,stft,visqol,pesq,stoi,dnsmos,speaker_similarity"
PACKAGES = (visqol.ViSQOL, stoi.STOI, dnsmos.DNSMOS, SpeakerSimilarity)
needs_packages = pytest.mark.skipif(
    not all(known.available() for known in PACKAGES), reason="not all packages of the extra eval are installed"
)


def speak(seconds, pitch=120.0, rate=16000):
    """Syllables at a pitch, with nothing above 8 kHz."""
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(pitch + 30 * np.sin(2 * np.pi * 0.7 * time)) / rate
    wave = sum(np.sin(k * phase) / k for k in range(1, 40) if k * (pitch + 30) < 7500)
    return 0.05 * wave * np.clip(np.sin(2 * np.pi * 2.5 * time), 0, 1) ** 0.5


@needs_packages
def test_all_measures_at_once_on_hard_cases(tmp_path, capsys):
    """Silence on either side, a clip of one token, another rate and a missing sample, in one pass over two systems."""
    clips = {"long": speak(2), "tiny": speak(2)[2000:2784], "void": speak(1), "zero": np.zeros(16000)}
    reference = write_wavs(tmp_path / "ref", clips)
    same = write_wavs(tmp_path / "same", {**clips, "long": clips["long"][:-1], "void": np.zeros(16000)})
    noise = np.random.default_rng(0)
    other = {utt: 0.9 * speak(len(wave) / 16000, rate=24000) for utt, wave in clips.items()}
    other["tiny"] = other["long"][3000:4176]
    other = {utt: wave + 0.01 * noise.standard_normal(len(wave)) for utt, wave in other.items()}
    other = write_wavs(tmp_path / "other", other, 24000)
    out = call(tmp_path, ALL, reference, same, other)
    measures = [m for m in ALL.split(",") if m != "pesq" or pesq.PESQ.available()]
    worst = {"visqol": 1.0, "pesq": pesq.PESQ.worst[0], "stoi": 0.0, "dnsmos": 1.0, "speaker_similarity": 0.0}
    best = {"visqol": 4.9, "pesq": 4.5, "stoi": 0.99, "speaker_similarity": 0.99}
    for measure in measures:
        kept, changed = (read_score(out / f"{system}/{measure}.json") for system in ("s0", "s1"))
        short = ["tiny"] if measure in ("visqol", "pesq", "stoi") else []
        assert sorted(kept.details["left_out"]) == [*short, "zero"] == sorted(changed.details["left_out"])
        assert kept.details["left_out"]["zero"] == "the reference is digital silence"
        assert kept.count == changed.count == 3 - len(short)
        rows = read_rows(out / f"s0/{measure}.json")
        if measure in best:
            assert float(rows["long"]["value"]) > best[measure]
        if measure in worst:
            assert float(rows["void"]["value"]) == pytest.approx(worst[measure], abs=1e-5)
            assert kept.details["silent_outputs"] == {"value": worst[measure], "utterances": ["void"]}
        assert np.isfinite(kept.mean) and np.isfinite(changed.mean)
        assert changed.details["resampled"] == {"outputs": {"24000": 4}} and "resampled" not in kept.details
    assert {"nsim", "mapper"} <= set(read_score(out / "s0/visqol.json").details)
    details = read_score(out / "s1/dnsmos.json").details
    table = read_rows(out / "s1/dnsmos.json")
    for column in ("sig", "bak", "p808"):
        assert details[column] == pytest.approx(np.mean([float(row[column]) for row in table.values()]), rel=1e-4)
    assert not list(tmp_path.glob("out/*/parts"))
    capsys.readouterr()
    call(tmp_path, ALL, reference, same, other)
    assert capsys.readouterr().out.count("up to date") == 2 * len(measures)


def test_a_reference_of_another_rate_is_resampled(tmp_path):
    reference = write_wavs(tmp_path / "ref", {"u": speak(1, rate=48000)}, 48000)
    same = write_wavs(tmp_path / "hyp", {"u": speak(1)})
    other = write_wavs(tmp_path / "other", {"u": speak(1, pitch=200)})
    out = call(tmp_path, "mel", reference, same, other)
    found = read_score(out / "s0/mel.json")
    assert found.mean < 0.3 < 1 < read_score(out / "s1/mel.json").mean
    assert found.details["resampled"] == {"references": {"48000": 1}}


def test_a_failing_measure_names_the_utterance(tmp_path, audio, monkeypatch, one_line):
    def fails(pair):
        raise ZeroDivisionError("no idea")

    told = r"mel fails \(ZeroDivisionError: no idea\)"
    for compute, message in ((fails, told), (lambda pair: np.nan, "mel gives nan")):
        monkeypatch.setattr(MEASURES["mel"], "value", compute, raising=False)
        one_line("good/u0.wav: utterance 'u0' of s0: " + message, call, tmp_path, "mel", *audio[:2])
    assert not list(tmp_path.glob("out/*/*.json"))


def test_an_interrupted_run_goes_on(tmp_path, audio, monkeypatch, capsys):
    monkeypatch.setattr(scoring, "_CHUNK", 1)
    real = scoring._Scorer._utterance
    asked = []

    def interrupted(self, utterance, path):
        asked.append(utterance)
        if asked == ["u0", "u1", "u2"]:
            raise KeyboardInterrupt
        return real(self, utterance, path)

    monkeypatch.setattr(scoring._Scorer, "_utterance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(tmp_path, "mel", *audio[:2])
    out = call(tmp_path, "mel", *audio[:2])
    assert asked == ["u0", "u1", "u2", "u2"] and "2 utterances are done already" in capsys.readouterr().err
    assert read_score(out / "s0/mel.json").count == 3 and not (out / "s0/parts").exists()


def test_what_is_not_installed_is_left_out(tmp_path, audio, monkeypatch, capsys):
    for name in ALL.split(",")[2:]:
        monkeypatch.setattr(MEASURES[name], "available", lambda: False, raising=False)
    out = call(tmp_path, ALL + ",ecapa_similarity", *audio[:2])
    said = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert len(said) == 6 and all("pip install" in line or "--ecapa_dir" in line for line in said)
    assert sorted(path.stem for path in (out / "s0").glob("*.json")) == ["mel", "stft"]


def convert(tmp_path, hypotheses, pairs, reference):
    write_table(tmp_path / "pairs", pairs)
    return call(tmp_path, "source_similarity,target_similarity", reference, *hypotheses, pairs=tmp_path / "pairs")


@pytest.mark.skipif(not SpeakerSimilarity.available(), reason="Resemblyzer is not installed (extra: eval)")
def test_voice_conversion(tmp_path, capsys):
    recorded = {"a": speak(2, 90), "b": speak(3, 220), "c": speak(2.5, 150), "zero": np.zeros(16000)}
    reference = write_wavs(tmp_path / "ref", recorded)
    # One that became the target's voice (at another rate), one that stayed, a silent one.
    good = write_wavs(tmp_path / "good", {"a": speak(2, 220), "b": recorded["b"], "c": np.zeros(4000)})
    soundfile.write(tmp_path / "good" / "a.wav", speak(2, 220, rate=24000), 24000)
    pairs = {"a": "b", "b": "a", "c": "a"}
    out = convert(tmp_path, [good], pairs, reference)
    source, target = (read_score(out / f"s0/{name}_similarity.json") for name in ("source", "target"))
    of_source, of_target = (read_rows(out / f"s0/{name}_similarity.json") for name in ("source", "target"))

    def cosine(x, y):
        return speaker_similarity.similarity(*(speaker_similarity.embed(v.astype(np.float32)) for v in (x, y)))

    between = cosine(recorded["a"], recorded["b"])
    assert float(of_source["b"]["value"]) == pytest.approx(1.0, abs=1e-3)
    assert float(of_target["b"]["value"]) == pytest.approx(between, abs=5e-3)
    assert float(of_target["a"]["value"]) > between < float(of_source["b"]["value"])
    assert float(of_target["a"]["value"]) > float(of_source["a"]["value"])
    assert float(of_target["c"]["value"]) == 0 and target.details["silent_outputs"]["utterances"] == ["c"]
    expected = (2 * between + cosine(recorded["c"], recorded["a"])) / 3
    assert target.details["between_source_and_target"] == pytest.approx(expected, abs=5e-3)
    assert source.count == 3 and not source.higher_is_better and target.higher_is_better
    capsys.readouterr()
    convert(tmp_path, [good], pairs, reference)
    assert capsys.readouterr().out.count("up to date") == 2
    out = convert(tmp_path, [good], {**pairs, "b": "zero"}, reference)
    assert list(read_score(out / "s0/target_similarity.json").details["left_out"]) == ["b"]


def test_pairs_that_do_not_fit(tmp_path, audio, one_line):
    one_line(
        "pairs:2: utterance 'nobody' is not in",
        convert,
        tmp_path,
        [audio[1]],
        {"u0": "u1", "u1": "nobody", "u2": "u0"},
        audio[0],
    )
    one_line(
        "pairs: utterance 'u2' of .*good/wav.scp is missing",
        convert,
        tmp_path,
        [audio[1]],
        {"u0": "u1", "u1": "u0"},
        audio[0],
    )
    one_line("--pairs is needed", call, tmp_path, "target_similarity", *audio[:2])


def test_mean_spectrum(tmp_path, audio):
    def found():
        score("mean_spectrum", system="mean_spectrum", ref=audio[0], out=tmp_path / "out")
        return read_score(tmp_path / "out/mean_spectrum.json")

    # Steady noise is its own mean spectrum, but for what differs from frame to frame.
    assert 0.3 < found().mean < 5 and found().count == 3
    soundfile.write(tmp_path / "ref" / "u1.wav", np.zeros(11000), 16000)
    assert found().count == 2 and list(found().details["left_out"]) == ["u1"]


def text_call(tmp_path, measures, reference, hypothesis):
    write_table(tmp_path / "text", reference)
    write_table(tmp_path / "hyp", hypothesis)
    given = {"losses" if measures == "ctc_loss" else "hyp": tmp_path / "hyp"}
    score(measures, system="latent", ref=tmp_path / "text", out=tmp_path / "out", **given)
    return tmp_path / "out"


def test_error_rates(tmp_path):
    reference = {"a": "one two three", "b": "yes", "c": ""}
    out = text_call(tmp_path, "cer,wer", reference, {"a": "one too three", "b": "", "c": ""})
    wer = read_score(out / "wer.json")
    assert wer.mean == pytest.approx(50.0) and wer.count == 3 and wer.unit == "%"
    assert [wer.details[kind] for kind in ("substitutions", "deletions", "insertions")] == [1, 1, 0]
    assert read_score(out / "cer.json").mean == pytest.approx(100 * 4 / 16)
    assert (out / "wer.tsv").read_text().splitlines()[1] == "a\t1\t3\t1\t0\t0\tone two three\tone too three"


def test_a_repeated_run_says_so(tmp_path):
    text = tmp_path / "text"
    text.write_text("u a b c\n")
    for out, run in (("main", {}), ("again", {"run": "seed1"})):
        score("wer", system="probe", ref=text, hyp=text, out=tmp_path / out, **run)
    runs = [read_score(tmp_path / name / "wer.json").details for name in ("main", "again")]
    assert [details.get("run") for details in runs] == [None, "seed1"]
    assert runs[0]["fingerprint"] != runs[1]["fingerprint"]


@pytest.mark.parametrize("measure, said", [("wer", "x"), ("cer", ""), ("ctc_loss", "1.5")])
def test_empty_references(tmp_path, measure, said, one_line):
    one_line(
        "/text: every reference is empty: there is nothing to score against",
        text_call,
        tmp_path,
        measure,
        {"a": "", "b": " "},
        {"a": said, "b": said},
    )


def test_ctc_loss(tmp_path, one_line):
    out = text_call(tmp_path, "ctc_loss", {"a": "ab  c", "b": "d"}, {"a": "5", "b": "1.5"})
    assert read_score(out / "ctc_loss.json").mean == pytest.approx(6.5 / 5)
    for wrong in ("nan", "inf"):
        one_line("utterance 'b'", text_call, tmp_path, "ctc_loss", {"a": "ab", "b": "d"}, {"a": "5", "b": wrong})
    one_line("hyp:2: 'x' is no number", text_call, tmp_path, "ctc_loss", {"a": "ab", "b": "d"}, {"a": "5", "b": "x"})


def codes_call(tmp_path, codes, measures="codebook,bitrate", **more):
    given = {"codebook_sizes": "4,8", "stream_names": "semantic,acoustic", "frame_rate": 31.25, **more}
    score(measures, system="codec", codes=write_arrays(tmp_path / "codes", codes), out=tmp_path / "out", **given)
    return tmp_path / "out"


def test_codebooks(tmp_path):
    codes = {f"u{i}": np.stack([np.arange(16) % 4, np.zeros(16, int)], 1) for i in range(3)}
    out = codes_call(tmp_path, codes)
    first, second = read_score(out / "codebook.json").details["codebooks"]
    assert (first["used"], first["perplexity"], first["entropy"]) == (4, 4.0, 2.0)
    assert (second["used"], second["perplexity"], second["stream"]) == (1, 1.0, "acoustic")
    # A full codebook carries its nominal bitrate, 31.25 Hz x 2 bit; one that always says the same, nothing.
    assert (first["usage"], first["effective_bitrate"]) == (1.0, 62.5)
    assert (second["usage"], second["effective_bitrate"]) == (1 / 8, 0.0)
    assert read_score(out / "codebook.json").mean == pytest.approx(0.0625)
    bitrate = read_score(out / "bitrate.json")
    assert bitrate.mean == pytest.approx(31.25 * 5 / 1000)
    assert bitrate.details["streams"] == {"semantic": 0.0625, "acoustic": 0.09375}
    assert "loudness" not in bitrate.details["source"]
    levelled = read_score(codes_call(tmp_path, codes, loudness=-16) / "bitrate.json")
    assert levelled.mean == bitrate.mean and "32 bits an utterance" in levelled.details["source"]
    info = tmp_path / "codes.json"
    facts = {"codebook_sizes": [4, 8], "stream_names": ["a", "b"], "frame_rate": 31.25, "loudness": None}
    for loudness, bits in ((None, False), (-16.0, True)):
        info.write_text(json.dumps({**facts, "loudness": loudness}))
        found = read_score(codes_call(tmp_path, codes, tokens_info=info) / "bitrate.json")
        assert ("loudness_bits" in found.details) == bits


def test_order_of_measures_makes_no_difference(tmp_path, capsys):
    codes = {"u": np.zeros((4, 2), int)}
    codes_call(tmp_path, codes)
    codes_call(tmp_path, codes, measures="bitrate,codebook")
    assert capsys.readouterr().out.count("up to date") == 2


def test_codes_that_do_not_fit(tmp_path, one_line):
    one_line("utterance 'u', codebook 1: code 9", codes_call, tmp_path, {"u": np.array([[0, 9]])})
    one_line(r"integers \(T, 2\)", codes_call, tmp_path, {"u": np.array([[0, 1, 2]])})
    one_line("one name a codebook", codes_call, tmp_path, {"u": np.array([[0, 1]])}, stream_names="semantic")


def test_masked_accuracy(tmp_path, one_line):
    pairs = {"a": np.array([[7, 7], [7, 7], [7, 1], [2, 2]]), "b": np.array([[2, 2], [7, 7]])}

    def call_masked(pairs):
        masked = write_arrays(tmp_path / "masked", pairs)
        score("masked_accuracy", test_set="valid", system="ssl", out=tmp_path / "out", masked=masked)
        return read_score(tmp_path / "out/masked_accuracy.json")

    found = call_masked(pairs)
    assert found.mean == pytest.approx(100 * 5 / 6)
    assert found.details["most_frequent"]["target"] == 7
    assert found.details["times_most_frequent"]["mean"] == pytest.approx(5 / 4)
    rows = read_rows(tmp_path / "out/masked_accuracy.json")
    assert rows["a"] == {"correct": "3", "most_frequent": "3", "masked": "4"}
    # Of targets that are as frequent, the first one.
    assert call_masked({"a": np.array([[5, 5], [4, 5]])}).details["most_frequent"]["target"] == 4
    one_line("no masked token", call_masked, {"a": np.zeros((0, 2), int)})


@pytest.mark.parametrize(
    "options, message",
    [
        (["loudness", "--system", "s", "--out", "o"], "unknown measure 'loudness'"),
        (["mel,wer", "--system", "s", "--out", "o"], "different input"),
        (["mel", "--system", "s", "--out", "o", "--ref", "r"], "--hyp is needed"),
        (["mel", "--system", "s", "t", "--out", "o", "--ref", "r", "--hyp", "h"], "as many of each"),
        (["mel", "--system", "s", "s", "--out", "o", "p", "--ref", "r", "--hyp", "h", "i"], "twice"),
        (["wer", "--system", "s", "--out", "o", "--ref", "r", "--hyp", "h"], "r: no such file"),
    ],
)
def test_options_that_do_not_fit(options, message, tmp_path, monkeypatch, one_line):
    monkeypatch.chdir(tmp_path)
    one_line(message, main, [*options, "--test_set", "test"])


def test_command_line_ends_with_one_line(tmp_path):
    command = [sys.executable, "-m", "hasrd.bin.score", "wer", "--test_set", "t", "--system", "s", "--out", "o"]
    command += ["--ref", "none", "--hyp", "none"]
    environment = {**os.environ, "PYTHONPATH": str(Path(hasrd.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 1 and done.stderr == "error: none: no such file\n"


def test_score_files_are_plain_json(tmp_path):
    out = text_call(tmp_path, "wer", {"a": "ja"}, {"a": "ja"})
    content = json.loads((out / "wer.json").read_text())
    assert content["mean"] == 0.0 and content["ci95"] == [0.0, 0.0] and str(tmp_path) not in json.dumps(content)
