# Copyright 2026 The hasrd authors
# Apache-2.0
"""Experiments whose score files give every kind of table, row and cell of a report; golden/ holds their reports."""

from __future__ import annotations

import json
from pathlib import Path

from exp_tree import HAC, level_tree, paper_tree, put, put_books, put_probe, put_rate

from hasrd.data.kaldi import write_table

SETS = ("test-clean", "test-other")


def golden_tree(root: Path, name: str) -> Path:
    """Write the experiments of one of the reports, "hasrd" or "hac", below `root`/exp; return `root`."""
    {"hasrd": _hasrd, "hac": _hac}[name](root)
    return root


def _hasrd(root: Path) -> None:
    exp = paper_tree(root)
    codec, dac = exp / "codec_train_codec_89abcdef", exp / "codec_train_codec_dac_01234567"
    for index, test_set in enumerate(SETS):
        put(codec, test_set, "shuffled", mel=1.6 + index, stft=2.5, speaker_similarity=0.6)
        put(codec, test_set, "mean_spectrum", mean_spectrum=2.9)
        put(exp / "ssl_train_ssl_01234567", test_set, "ssl", masked_accuracy=(36.0 - index, _masked()))
        put(codec, test_set, "codec", codebook=(2.4, {"codebooks": _usage(codec_streams())}))
        put_probe(codec, test_set, "latent_shuffled", ctc_loss=2.9, cer=90.0, wer=100.0)
    # The other set: some measures alone, of a codec whose tokens carry their loudness.
    put(codec, SETS[1], "combined", mel=0.9, stft=1.7, pesq=2.1)
    put_rate(codec, SETS[1], [512] + [1024] * 8, codec_streams())
    put_rate(dac, SETS[1], [1024] * 9, ["acoustic"] * 9)
    path = dac / "scores" / SETS[1] / "combined" / "bitrate.json"
    rate = json.loads(path.read_text())
    rate["details"]["loudness_bits"] = 32
    path.write_text(json.dumps(rate))
    put(dac, SETS[1], "combined", mel=1.0)
    put_probe(dac, SETS[1], "latent", cer=31.0, wer=71.0)
    put_probe(dac, SETS[1], "latent", cer=33.0, wer=73.0, recipe="train_probe_wide_ffffffff")
    # Two experiments of one row, and a recogniser with a name.
    put(exp / "codec_train_codec_11111111", SETS[0], "combined", mel=0.75)
    put_rate(exp / "codec_train_codec_11111111", SETS[0], [512] + [1024] * 8, codec_streams())
    recogniser = {"recogniser": {"model": "/models/tiny.en", "language": "en"}, "normalisation": "whisper's"}
    put(codec, SETS[1], "combined", recogniser_wer=(14.0, recogniser), stft=(1.7, {"source": "log power"}))


def codec_streams() -> list[str]:
    """Return the streams of HASRD with nine codebooks."""
    return ["semantic"] + ["acoustic"] * 8


def _hac(root: Path) -> None:
    exp = level_tree(root)
    made = exp / "codec_train_codec_hac_01234567"
    for system in ("tokens_lexical", "tokens_acoustic", "tokens_all"):
        put_probe(made, SETS[0], system, wer=30.0, cer=10.0, ctc_loss=1.0)
    # A set of three languages, of which a teacher knows two, and one that is not aligned at all.
    write_table(root / "data" / SETS[0] / "utt2lang", {"a": "en", "b": "it", "c": "ru"})
    teacher = root / "teacher"
    teacher.mkdir()
    facts = {"kind": "text", "identity": "x", "size": 8, "languages": ["en", "it"]}
    (teacher / "teacher.json").write_text(json.dumps(facts))
    (made / "config.yaml").write_text(
        f"quantizer: hac\ndistillation:\n    lexical:\n        loss: text\n        targets:\n        - {teacher}\n"
    )
    book = {"codebook": 0, "size": 1024, "ci95": [0.1, 0.2], "shuffled": 0.01, "words": 9, "good_words": 1}
    english = {"codebooks": [{**book, "stream": stream, "value": 0.15} for stream in HAC], "utterances": 1}
    languages = {"en": english, "it": {"left_out": "no word occurs 5 times", "utterances": 1}, "ru": english}
    mean = {"codebooks": [{**book, "stream": stream, "value": 0.25} for stream in HAC]}
    put_books(made, SETS[0], HAC, (0.5,) * 4, (0.4,) * 4, languages=languages, mean_of_languages=mean)
    (root / "data/prompts").mkdir()
    put_rate(made, "prompts", [1024] * 4, HAC)
    put(made, "prompts", "combined", mel=0.8)


def _masked() -> dict:
    return {
        "most_frequent": {"mean": 18.0, "ci95": [17.0, 19.0]},
        "times_most_frequent": {"mean": 2.0, "ci95": [1.9, 2.1]},
        "targets_used": 729,
        "target_perplexity": 66.4,
    }


def _usage(streams: list[str]) -> list[dict]:
    book = {"used": 400, "size": 512, "usage": 0.78125, "perplexity": 210.4, "perplexity_ci95": [205.2, 214.9]}
    book |= {"entropy": 7.72, "entropy_ci95": [7.6, 7.8], "effective_bitrate": 241.2, "tokens": 12345}
    return [{**book, "codebook": index, "stream": stream} for index, stream in enumerate(streams)]
