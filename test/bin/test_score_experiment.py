# Copyright 2026 The hasrd authors
# Apache-2.0
"""`hasrd score --exp_dir`: all that can be measured of an experiment, and a measure of one's own."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import score_files
from score_files import write_arrays

import hasrd
from hasrd.bin.score import main
from hasrd.data.alignments.tracks import Track, write_ctm
from hasrd.data.kaldi import read_table, write_table
from hasrd.jobs.sharing import Sharing
from hasrd.metrics import measure
from hasrd.metrics.scores import MEASURES, read_rows, read_score
from hasrd.metrics.scoring import experiment

UTTERANCES = [f"u{i}" for i in range(4)]
FRAMES = 60
# What docs/measures.md shows, and what else may stand beside it.
EXAMPLE = re.search(
    r"```python\n(.*?)```",
    (Path(hasrd.__file__).parents[1] / "docs/measures.md").read_text(encoding="utf-8"),
    re.DOTALL,
)
MORE = """

class OfTwo(SNR):
    name = "of_two"
    taken_of = "decoded"
    columns = ("value", "energy")

    def value(self, pair):
        return super().value(pair), float(np.square(pair.cut[0]).sum())


class Nameless(AudioMeasure):
    pass


class Mel(AudioMeasure):
    name = "mel"
"""


def write_wavs(folder: Path, scale: float = 1.0) -> None:
    noise = np.random.default_rng(0).standard_normal((len(UTTERANCES), FRAMES * 512))
    score_files.write_wavs(folder, dict(zip(UTTERANCES, scale * 0.1 * noise)), subtype="FLOAT")


def write_tokens(exp: Path, data: Path, name: str, utterances: list[str], seed: int) -> None:
    generator = np.random.default_rng(seed)
    codes, words, phones = {}, {}, {}
    for utterance in utterances:
        said = generator.integers(3, size=6)
        ends = np.arange(1, 7) * 10 / 31.25
        track = (np.concatenate([[0.0], ends[:-1]]), ends)
        words[utterance] = Track(*track, tuple(("<sil>", "yes", "no")[i] for i in said))
        phones[utterance] = Track(*track, tuple(("SIL", "Y", "N")[i] for i in said))
        codes[utterance] = np.stack([np.repeat(said, 10), generator.integers(8, size=FRAMES)], 1).astype(np.int32)
    (data / name).mkdir(parents=True, exist_ok=True)
    write_ctm(data / name / "words.ctm", words)
    write_ctm(data / name / "phones.ctm", phones)
    write_arrays(exp / "tokens" / name / "codes", codes)
    facts = {"codebook_sizes": [8, 8], "stream_names": ["semantic", "acoustic"], "frame_rate": 31.25}
    (exp / "tokens" / name / "codes.json").write_text(json.dumps(facts))
    crops = {utt: np.concatenate([np.arange(10, 30)[:, None], own[10:30]], 1) for utt, own in codes.items()}
    write_arrays(exp / "tokens" / name / "crops", crops)
    (exp / "tokens" / name / "crops.json").write_text(json.dumps({"samples": 10240, "margin": None}))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A data directory, a codec that decoded and converted its speech, and a probe."""
    exp, data = tmp_path / "exp/codec_a", tmp_path / "data"
    tokens = exp / "tokens/test"
    write_wavs(data / "test")
    write_table(data / "test/text", {utt: "YES NO" for utt in UTTERANCES})
    write_tokens(exp, data, "test", UTTERANCES, 1)
    write_tokens(exp, data, "train", [f"t{i}" for i in range(8)], 2)
    for index, system in enumerate(("combined", "semantic", "shuffled", "books_1", "conversion")):
        write_wavs(tokens / system, 0.9 - 0.1 * index)
    write_table(tokens / "conversion/pairs", dict(zip(UTTERANCES, reversed(UTTERANCES))))
    decoded = tmp_path / "exp/probe_latent_x_seed1/decode/test"
    decoded.mkdir(parents=True)
    write_table(decoded / "text", {utt: "YES" for utt in UTTERANCES})
    write_table(decoded / "utt2loss", {utt: "2.5" for utt in UTTERANCES})

    def recognise(wavs: Path, out: Path, model: str, language: str, ngpu: int, sharing: Sharing) -> Path:
        out.mkdir(parents=True, exist_ok=True)
        write_table(out / "text", {utt: "Yes, yes." for utt in read_table(wavs)})
        (out / "recogniser.json").write_text(json.dumps({"model": model, "sha256": "0" * 64, "language": language}))
        return out / "text"

    monkeypatch.setattr(experiment, "recognise", recognise)
    return tmp_path


def score(folder: Path, *options: str) -> None:
    main(["--exp_dir", str(folder / "exp/codec_a"), "--data", str(folder / "data/test"), *options])


def found(folder: Path) -> dict[str, set[str]]:
    """System to the measures that it has a score of."""
    scores: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("scores/**/*.json")):
        scores.setdefault(read_score(path).system, set()).add(path.stem)
    return scores


def test_everything_that_is_possible(folder, capsys):
    pytest.importorskip("whisper_normalizer")
    probe = folder / "exp/probe_latent_x_seed1"
    rest = ["--train_data", str(folder / "data/train"), "--probes", f"latent={probe}"]
    rest += ["--recogniser", "w", "--lang", "en"]
    score(folder, *rest, "--quality_measures", "")
    decoded = {"mel", "stft", *(name for name in ("visqol", "speaker_similarity") if MEASURES[name].available())}
    tokens = {"codebook", "bitrate", "crop_agreement", "pnmi", "phone_purity", "cluster_purity", "word_f1", "unit_bits"}
    similar = {"source_similarity", "target_similarity"} if MEASURES["source_similarity"].available() else set()
    recognised = {"recogniser_cer", "recogniser_wer"}
    assert found(folder) == {
        "combined": decoded | tokens | similar | recognised,
        "semantic": decoded | recognised,
        "shuffled": decoded,
        "books_1": decoded,
        "conversion": similar | recognised,
        "original": recognised,
        "mean_spectrum": {"mean_spectrum"},
        "latent": {"cer", "wer", "ctc_loss"},
    }
    said = capsys.readouterr().out
    assert said.count("ecapa_similarity: left out") == 1
    assert "note: pesq, stoi, dnsmos: left out: not among --quality_measures\n" in said
    assert "masked_accuracy" not in said
    wer = read_score(probe / "scores/test/wer.json")
    assert wer.mean == 50.0 and wer.details["run"] == "seed1"
    assert (folder / "exp/recognised/test/text").is_file()
    score(folder, *rest, "--quality_measures", "")
    said = capsys.readouterr().out
    assert said.count("up to date, skipped") == sum(map(len, found(folder).values()))


def test_converted_speech_of_an_earlier_run_can_be_left_out(folder, capsys):
    score(folder, "source_similarity,target_similarity,mel", "--conversion", "false")
    said = capsys.readouterr().out
    assert "note: source_similarity, target_similarity: left out: --conversion false\n" in said
    assert "conversion" not in found(folder) and found(folder)["combined"] == {"mel"}


def test_what_is_left_out_and_why(folder, capsys, monkeypatch):
    (folder / "data/test/phones.ctm").unlink()
    tokens = folder / "exp/codec_a/tokens/test"
    (tokens / "crops.scp").unlink()
    (tokens / "conversion/pairs").unlink()
    monkeypatch.setattr(measure, "find_spec", lambda name: None)
    score(folder, "--recogniser", "none")
    said = capsys.readouterr().out
    for line in (
        f"pnmi, phone_purity, cluster_purity: left out: {folder}/data/test/phones.ctm is not there",
        f"crop_agreement: left out: {tokens}/crops.scp is not there",
        "speaker_similarity, source_similarity, target_similarity: left out: Resemblyzer is not installed: pip install "
        "'hasrd[eval]'",
        "word_f1, unit_bits: left out: no --train_data",
        "recogniser_cer, recogniser_wer: left out: --recogniser none",
        "cer, wer, ctc_loss: left out: --probes names none",
        "stoi: left out: pystoi is not installed: pip install 'hasrd[eval]'",
    ):
        assert f"note: {line}\n" in said, line
    assert found(folder)["combined"] == {"mel", "stft", "codebook", "bitrate"}
    monkeypatch.setattr(measure, "find_spec", lambda name: name)
    score(folder, "source_similarity,target_similarity,recogniser_wer,masked_accuracy", "--lang", "de")
    said = capsys.readouterr().out
    assert f"note: source_similarity, target_similarity: left out: {tokens}/conversion/pairs is not there\n" in said
    assert "note: masked_accuracy: left out: taken of a pre-training: give its --masked\n" in said
    assert "recogniser_wer: left out: no recogniser: the one that comes along knows English, and --lang is 'de'" in said


def test_probes_without_a_codec(folder, capsys, one_line):
    probe = folder / "exp/probe_latent_x_seed1"
    main(["--data", str(folder / "data/test"), "--probes", f"latent={probe}"])
    assert found(folder) == {"latent": {"cer", "wer", "ctc_loss"}}
    (probe / "decode/test/text").unlink()
    one_line(
        "decode/test/text is missing: run stage 7 first",
        main,
        ["--data", str(folder / "data/test"), "--probes", f"latent={probe}"],
    )


@pytest.mark.parametrize(
    "options, message",
    [
        (["--recogniser", "tiny.en", "--lang", "en es"], "state the one language that is spoken"),
        (["--probes", "latent"], "<system>=<folder>"),
        (["--quality_measures", "loud"], "unknown measure 'loud'"),
    ],
)
def test_options_of_an_experiment(folder, options, message, one_line):
    one_line(message, score, folder, *options)
    assert not found(folder)


def test_an_experiment_without_tokens(folder, one_line):
    (folder / "exp/codec_a/tokens/test/codes.scp").unlink()
    one_line("tokens/test/codes.scp is missing: run stage 6 first", score, folder)
    one_line("--data is needed", main, ["--exp_dir", str(folder)])
    one_line("give --exp_dir and --data, or measures", main, [])


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module outside of the package."""
    (tmp_path / "my_measures_of_test.py").write_text(EXAMPLE[1] + MORE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_measures_of_test"
    sys.modules.pop("my_measures_of_test", None)


@pytest.mark.parametrize("nj", ["1", "2"])
def test_a_measure_of_ones_own(folder, own, nj, monkeypatch):
    monkeypatch.setattr("hasrd.metrics.scoring.audio._CHUNK", 2)
    score(folder, f"mel,{own}:SNR,{own}.OfTwo", "--nj", nj)
    streams = {name: {"mel", "of_two"} for name in ("semantic", "shuffled", "books_1")}
    assert found(folder) == {"combined": {"mel", "of_two", "snr"}, **streams}
    snr, of_two = (read_score(folder / f"exp/codec_a/scores/test/combined/{name}.json") for name in ("snr", "of_two"))
    # A tenth less loud: the difference is a tenth.
    assert snr.mean == pytest.approx(20.0, abs=1e-3) == of_two.mean
    assert snr.unit == "dB" and snr.count == 4 and snr.label == "snr" and snr.higher_is_better
    assert snr.details["source"] == "10 log10 of the energies, at 16 kHz" and of_two.details["energy"] > 0
    assert set(read_rows(folder / "exp/codec_a/scores/test/combined/of_two.json")["u0"]) == {"value", "energy"}


def test_a_measure_of_ones_own_of_any_files(folder, own, capsys, one_line):
    data, hyp = folder / "data/test/wav.scp", folder / "exp/codec_a/tokens/test/combined/wav.scp"
    given = {"system": "s", "ref": data, "out": folder / "out"}
    for _ in range(2):
        score_files.score(f"{own}:SNR,mel", hyp=hyp, **given)
    assert read_score(folder / "out/snr.json").mean == pytest.approx(20.0, abs=1e-3)
    assert capsys.readouterr().out.count("up to date, skipped") == 2
    one_line(
        "no utterance gives a value for snr of s; 'u0': the output is the reference",
        score_files.score,
        f"{own}:SNR",
        hyp=data,
        **given,
    )
    path = folder / f"{own}.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# changed", encoding="utf-8")
    score_files.score(f"{own}:SNR,mel", hyp=hyp, **given)
    assert "snr.json: scored again: code was" in capsys.readouterr().out
    for name, message in (
        (f"{own}:Mel", "'mel' is a measure of hasrd"),
        (f"{own}:None", "no class 'None'"),
        (f"{own}:Nameless", "is no measure"),
        ("no_such_module:SNR", "no module named 'no_such_module'"),
    ):
        one_line(message, score_files.score, name, hyp=hyp, **given)
