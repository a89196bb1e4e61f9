# Copyright 2026 The hasrd authors
# Apache-2.0
"""A small experiment folder, scored for real: audio, tokens and texts in, score files out."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import log2
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np
from score_files import score, words_of, write_arrays, write_wavs

from hasrd.bin.report import main
from hasrd.data.kaldi import write_table
from hasrd.metrics.scores import MEASURES, Score

SIZES = (16, 8, 8)
STREAMS = ("semantic", "acoustic", "acoustic")
RECIPE = "train_probe_0123abcd"


def tones(count: int = 4, seed: int = 0) -> dict[str, np.ndarray]:
    """Return `count` utterances of syllable-like tones, about 2 to 3 s at 16 kHz."""
    generator = np.random.default_rng(seed)
    waves = {}
    for index in range(count):
        parts = []
        for _ in range(8 + index):
            time = np.arange(int(generator.integers(3000, 5000))) / 16000
            pitch = generator.uniform(110, 220)
            harmonics = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
            parts.append(0.1 * harmonics * np.sin(np.pi * time / time[-1]) ** 2)
        waves[f"utt{index}"] = np.concatenate(parts).astype(np.float32)
    return waves


def make_exp(root: Path, waves: Mapping[str, np.ndarray], texts: Mapping[str, str], test_set: str = "test") -> None:
    """Write `root`/data and `root`/exp, scores of every measure but speaker similarity included."""
    generator = np.random.default_rng(1)
    data, codec = root / "data" / test_set, root / "exp" / "codec_small"
    write_wavs(data, waves)
    write_table(data / "text", texts)
    (root / "data" / "licence").write_text("CC BY 4.0\n")
    versions = {
        "combined": lambda x: x + 1e-4 * generator.standard_normal(len(x)),
        "semantic": lambda x: np.convolve(x, np.ones(9) / 9, "same") + 0.01 * generator.standard_normal(len(x)),
        "acoustic": lambda x: 0.6 * np.roll(x, 4000) + 0.01 * generator.standard_normal(len(x)),
        "shuffled": lambda x: x[::-1] + 0.01 * generator.standard_normal(len(x)),
    }
    hypotheses = [
        write_wavs(
            codec / "decode" / test_set / version, {utt: make(wave).astype(np.float32) for utt, wave in waves.items()}
        )
        for version, make in versions.items()
    ]
    scores, of_set = codec / "scores" / test_set, {"test_set": test_set}
    outs = [scores / version for version in versions]
    score("mel,stft", ref=data / "wav.scp", system=[*versions], hyp=hypotheses, out=outs, **of_set)
    score("mean_spectrum", ref=data / "wav.scp", system="mean_spectrum", out=scores, **of_set)
    codes = {
        utt: np.stack([generator.integers(size, size=len(wave) // 512) for size in SIZES], 1)
        for utt, wave in waves.items()
    }
    facts = {"codebook_sizes": ",".join(map(str, SIZES)), "stream_names": ",".join(STREAMS), "frame_rate": 31.25}
    stored = write_arrays(codec / "tokens" / test_set / "codes", codes)
    score("codebook,bitrate", system="codec", codes=stored, out=scores, **facts, **of_set)
    # No probe reads the acoustic tokens: a report must show that as missing.
    probes = {"log_mel": 0.3, "latent": 0.1, "latent_shuffled": 0.8, "tokens_semantic": 0.15, "tokens_all": 0.2}
    for system, errors in probes.items():
        # As the recipe lays them out: log-mel depends on no codec.
        home = root / "exp" if system == "log_mel" else codec
        _probe(home / f"probe_{system}_{RECIPE}", system, errors, texts, data, test_set, generator)
    pairs = {utt: generator.integers(12, size=(len(wave) // 1024, 2)) for utt, wave in waves.items()}
    for array in pairs.values():
        array[::2, 1] = array[::2, 0]
    ssl = root / "exp" / "ssl_small"
    masked = write_arrays(ssl / "masked" / test_set / "masked", pairs)
    score("masked_accuracy", system="ssl", masked=masked, out=ssl / "scores" / test_set, **of_set)
    epochs = [
        {"epoch": n, "train": {"loss": 5 / n, "acc": 1 - 1 / n}, "valid": {"loss": 6 / n, "acc": 0.9 - 0.9 / n}}
        for n in range(1, 9)
    ]
    (ssl / "history.json").write_text(json.dumps({"epochs": epochs}))
    weights = {"asr": [0.05, 0.1, 0.2, 0.4, 0.25], "reconstruction": [0.15, 0.4, 0.25, 0.15, 0.05]}
    (codec / "layer_weights.json").write_text(json.dumps(weights))


def report(root: Path, **options: Any) -> None:
    """Run `hasrd report` of `root`/exp and `root`/data, on the corpus "tones"."""
    main(words_of({"expdir": root / "exp", "datadir": root / "data", "corpus": "tones", **options}))


def put(folder: Path, test_set: str, system: str, run: str = "", **means: float | tuple[float, dict]) -> None:
    """Write score files of `system` without their tables: measure to mean, or to mean and details."""
    where = folder / "scores" / test_set / ("" if folder.name.startswith("probe_") else system)
    where.mkdir(parents=True, exist_ok=True)
    for measure, content in means.items():
        mean, details = content if isinstance(content, tuple) else (content, {})
        details = {**details, "fingerprint": "0" * 64, **({"run": run} if run else {})}
        known = MEASURES[measure]
        score = Score(
            measure, system, test_set, mean, (0.96 * mean, 1.04 * mean), 2, known.unit, known.higher_is_better, details,
            {"hasrd": "0.1.0", "commit": "0123456789ab"},
        )  # fmt: skip
        (where / f"{measure}.json").write_text(json.dumps(asdict(score)))


def put_rate(folder: Path, test_set: str, sizes: Sequence[int], streams: Sequence[str], rate: float = 31.25) -> None:
    """Write a codec's bitrate."""
    of = dict.fromkeys(streams, 0.0)
    for name, size in zip(streams, sizes):
        of[name] += rate * log2(size) / 1000
    facts = {"codebook_sizes": list(sizes), "stream_names": list(streams), "frame_rate": rate, "streams": of}
    put(folder, test_set, "combined", bitrate=(sum(of.values()), facts))


def put_probe(home: Path, test_set: str, system: str, run: str = "", recipe: str = RECIPE, **means: float) -> None:
    """Write the scores of a CTC probe."""
    name = "_".join(filter(None, ("probe", system, recipe, run)))
    put(home / name, test_set, system, run, **means)


def paper_tree(root: Path, test_set: str = "test-clean") -> Path:
    """Write score files of most of the paper's rows and of every measure, without audio; return the folder."""
    exp = root / "exp"
    put_probe(exp, test_set, "log_mel", cer=40.0, wer=80.0, ctc_loss=1.0)
    for name, size, mel in (("codec_dac_04s", 76_651_890, 0.9), ("codec_train_codec_dac_01234567", 76_651_890, 0.8)):
        put(exp / name, test_set, "combined", mel=mel, stft=1.6, visqol=4.0)
        put_rate(exp / name, test_set, [1024] * 9, ["acoustic"] * 9)
        _info(exp / name, size)
    dac = exp / "codec_train_codec_dac_01234567"
    put_probe(dac, test_set, "latent", cer=30.0, wer=70.0, ctc_loss=0.9)
    put_probe(dac, test_set, "tokens_all", cer=60.0, wer=99.0, ctc_loss=2.0)
    hasrd = exp / "codec_train_codec_89abcdef"
    put_rate(hasrd, test_set, [512] + [1024] * 8, ["semantic"] + ["acoustic"] * 8)
    _info(hasrd, 141_300_000)
    put(hasrd, test_set, "combined", mel=0.7, stft=1.5, visqol=4.1, speaker_similarity=0.9, ecapa_similarity=0.8)
    put(hasrd, test_set, "combined", pesq=2.5, stoi=0.95, dnsmos=3.0, recogniser_wer=12.0, recogniser_cer=5.0)
    put(hasrd, test_set, "combined", target_similarity=0.5)
    put(hasrd, test_set, "acoustic", mel=1.2, speaker_similarity=0.7, ecapa_similarity=0.6, recogniser_wer=90.0)
    put(hasrd, test_set, "semantic", mel=1.5, speaker_similarity=0.5, ecapa_similarity=0.2, recogniser_wer=30.0)
    put(hasrd, test_set, "original", dnsmos=3.4, recogniser_wer=5.0, recogniser_cer=2.0)
    put(hasrd, test_set, "conversion", source_similarity=0.6, recogniser_wer=25.0)
    put(hasrd, test_set, "conversion", target_similarity=(0.7, {"between_source_and_target": 0.45}))
    for number in (1, 2, 4):
        put(hasrd, test_set, f"books_{number}", mel=2.0 / number, stft=2.0, visqol=3.0, speaker_similarity=0.5)
    books = [_book(0, "semantic", 512, 0.5), _book(1, "acoustic", 1024, 0.3), _book(2, "acoustic", 1024, 0.2)]
    put(hasrd, test_set, "combined", pnmi=(0.5, {"codebooks": books, "source": "counts of frames"}))
    for measure in ("phone_purity", "cluster_purity"):
        put(hasrd, test_set, "combined", **{measure: (0.5, {"codebooks": books})})
    words = [{"word": "the", "code": 7, "precision": 0.8, "recall": 0.9, "f1": 0.85, "occurrences": 31}]
    crops = [{**_book(0, "semantic", 512, 80.0), "inner_value": 90.0, "inner_ci95": [89.0, 91.0], "chance": 1.5}]
    put(hasrd, test_set, "combined", crop_agreement=(80.0, {"codebooks": crops}))
    detected = {**_book(0, "semantic", 512, 0.4), "words": 212, "good_words": 40, "best_words": words}
    put(hasrd, test_set, "combined", word_f1=(0.4, {"codebooks": [detected], "source": "codes chosen on train"}))
    tokens = {"tokens_semantic": 21.0, "tokens_acoustic": 70.0, "tokens_all": 24.0}
    for system, wer in {**tokens, "latent": 12.0, "latent_shuffled": 99.0, "mix": 11.0, "layer_8": 12.5}.items():
        put_probe(hasrd, test_set, system, cer=wer / 3, wer=wer, ctc_loss=wer / 40)
    for run, wer in (("seed1", 22.0), ("seed2", 23.0)):
        put_probe(hasrd, test_set, "tokens_semantic", run, cer=wer / 3, wer=wer, ctc_loss=wer / 40)
    put_probe(exp / "ssl_train_ssl_01234567", test_set, "latent", cer=5.0, wer=15.0)
    put_probe(exp / "ssl_train_ssl_01234567", test_set, "tokens_semantic", cer=12.0, wer=35.0)
    put_probe(exp, test_set, "frontend_s3prl", cer=4.0, wer=13.0)
    for name in ("codec_encodec", "codec_dac_44khz", "codec_speechtokenizer"):
        put(exp / name, test_set, "combined", mel=1.0, stft=1.7, visqol=3.5)
        _info(exp / name, 1_500_000, peer=True)
        (exp / name / "config.yaml").write_text(f"peer:\n  family: {name}\n")
    put(exp / "codec_mine", test_set, "combined", mel=1.1)
    return exp


def _info(folder: Path, total: int, peer: bool = False) -> None:
    """Write what `hasrd info --json` prints."""
    (folder / "info.json").write_text(json.dumps({"parameters": total if peer else {"total": total}}))


def _book(index: int, stream: str, size: int, value: float) -> dict:
    book = {"codebook": index, "stream": stream, "size": size, "value": value, "ci95": [value - 0.01, value + 0.01]}
    return {**book, "shuffled": 0.05, "without_silence": {"value": value - 0.1, "shuffled": 0.04}}


def _probe(folder, system, errors, texts, data, test_set, generator) -> None:
    decoded = {}
    for utterance, text in texts.items():
        wrong = [letter != " " and generator.random() < errors for letter in text]
        decoded[utterance] = "".join("x" if is_wrong else letter for letter, is_wrong in zip(text, wrong))
    read = folder / "decode"
    write_table(read / "text", decoded)
    write_table(read / "utt2loss", {utt: f"{3 * errors * len(text):.4f}" for utt, text in texts.items()})
    common = {"test_set": test_set, "system": system, "ref": data / "text", "out": folder / "scores" / test_set}
    score("cer,wer", hyp=read / "text", **common)
    score("ctc_loss", losses=read / "utt2loss", **common)


HAC = ("phonetic", "lexical", "acoustic", "acoustic")


def level_tree(root: Path, test_set: str = "test-clean", values: Sequence[float] = (0.5, 0.3, 0.4, 0.2)) -> Path:
    """Write score files of HAC, of it without its losses, and of DAC, with alignments; return the folder."""
    for kind in ("phones", "words"):
        path = root / "data" / test_set / f"{kind}.ctm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    exp = root / "exp"
    swapped = (values[1], values[0], *values[2:])
    lower = [0.5 * value for value in values]
    for name, streams, pnmi, words in (
        ("codec_train_codec_hac_01234567", HAC, values, swapped),
        ("codec_hac_no_loss", HAC, lower, lower),
        ("codec_dac", ("acoustic",) * 4, lower, lower),
        ("codec_mine", ("prosodic", "acoustic"), lower[:2], lower[:2]),
    ):
        put(exp / name, test_set, "combined", mel=0.8, stft=1.6, speaker_similarity=0.8)
        put_rate(exp / name, test_set, [1024] * len(streams), streams)
        put_books(exp / name, test_set, streams, pnmi, words)
        for stream in dict.fromkeys(streams) if len(set(streams)) > 1 else ():
            put(exp / name, test_set, stream, mel=1.5, speaker_similarity=0.9 if stream == "acoustic" else 0.3)
    return exp


def put_books(folder: Path, test_set: str, streams: Sequence[str], pnmi: Sequence[float], words: Sequence[float],
              **more: dict) -> None:  # fmt: skip
    """Write what the codebooks say of phones and words; `more` goes into the details."""
    books = [_book(m, stream, 1024, value) for m, (stream, value) in enumerate(zip(streams, pnmi))]
    for measure in ("pnmi", "phone_purity", "cluster_purity"):
        put(folder, test_set, "combined", **{measure: (pnmi[0], {"codebooks": books, **more})})
    found = []
    for m, (stream, value) in enumerate(zip(streams, words)):
        best = {"word": f"word{m}", "code": m, "precision": 0.8, "recall": 0.9, "f1": 0.85, "occurrences": 31}
        found.append({**_book(m, stream, 1024, value), "words": 212, "good_words": 40 - m, "best_words": [best]})
    put(folder, test_set, "combined", word_f1=(words[0], {"codebooks": found, **more}))
