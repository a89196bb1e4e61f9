# Copyright 2026 The hasrd authors
# Apache-2.0
"""The command line of the recipes."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

from hasrd.data.archive import COMPRESSION_METHODS
from hasrd.recipe.options import KINDS, OPTIONS, SECTIONS, STAGES, OptionError, check, help_text, nearest, parse


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], "1|8|false||"),
        (["--stage", "3", "--skip_train", "true"], "3|8|true||"),
        (["--stop-stage=4", "--ssl_args=--a b=c"], "1|4|false|--a b=c|"),
        (["--ssl_args", "--max_epoch 3", "x", "y"], "1|8|false|--max_epoch 3|x y"),
        (["--ssl_args", "", "--", "--stage"], "1|8|false||--stage"),
        (["--stage", "1", "--stage", "2"], "2|8|false||"),
        (["--ssl_args", "3", "--ssl_args", "true", "--ssl_args", "x", "--stage", "2"], "2|8|false|x|"),
        (["--ssl_args", "$(touch pwned) `ls` 'q"], "1|8|false|$(touch pwned) `ls` 'q|"),
        (["--stage", "codec", "--stop_stage=tokens"], "5|6|false||"),
    ],
)
def test_options(words, expected):
    values, rest, wants_help = parse(words)
    names = ("stage", "stop_stage", "skip_train", "ssl_args")
    assert "|".join([*(values[name] for name in names), " ".join(rest)]) == expected and not wants_help


@pytest.mark.parametrize(
    "words, message",
    [
        (["--stagee", "3"], "did you mean --stage"),
        (["--probe_arg", "x"], "--probe_args"),
        (["--train", "x"], "--train_set"),
        (["--qqqqqq", "3"], "unknown option '--qqqqqq'"),
        (["--PATH", "3"], "unknown option '--PATH'"),
        (["--stage"], "needs a value"),
        (["--stage", "2", "--stage", "x"], "takes a whole number, not 'x'"),
        (["--skip_train", "yes"], "takes true or false, not 'yes'"),
        (["--skip_train", "--stage", "3"], "takes true or false"),
        (["--stage", "codecs"], "or one of data, features, ssl, semantic, codec, tokens, probes, report"),
    ],
)
def test_bad_options_are_one_line(words, message):
    with pytest.raises(OptionError) as caught:
        parse(words)
    text = str(caught.value)
    assert message in text and "\n" not in text
    assert text.startswith("hasrd.sh: ") and text.endswith("(./hasrd.sh --help lists the options)")


WHOLE = ("a whole number", ["3", "0"], ["two", "-1", "1.5", "", "08", "3 4", "9999999999"])


@pytest.mark.parametrize(
    "name, takes, good, bad",
    [("stage", *WHOLE), ("nj", *WHOLE), ("kmeans_portion", "a number", ["3", "0.25"], ["four", "-1", "1."])],
)
def test_numbers(name, takes, good, bad):
    for value in good:
        assert parse([f"--{name}", value])[0][name] == value
    for value in bad:
        with pytest.raises(OptionError, match=f"'--{name}' takes {takes}, not '{value}'"):
            parse([f"--{name}", value])


@pytest.mark.parametrize(
    "words, message",
    [
        (["--feats_type", "mfcc"], "--feats_type mfcc: choose fbank or raw"),
        (["--allow_import", "maybe"], "--allow_import maybe: choose true, false or auto"),
        (["--dumpdir", "a,b"], "--dumpdir a,b: choose a name without a comma"),
        (["--semantic_layer", "last"], "--semantic_layer last: give the number of a layer, or auto"),
        (["--peer", "encodec"], "--peer encodec: give <kind>:<file or folder>"),
    ],
)
def test_values_that_no_option_takes(words, message, one_line):
    one_line(message, check, parse(words)[0])


def test_the_table_itself():
    check(parse([])[0])
    assert len(OPTIONS) == sum(map(len, SECTIONS.values())), "no name twice"
    assert all(option.kind in KINDS and option.help for option in OPTIONS.values())
    assert OPTIONS["feats_compression"].choices == tuple(COMPRESSION_METHODS)
    for option in OPTIONS.values():
        assert parse([f"--{option.name}", option.default])[0][option.name] == option.default, "a default is a value"
    assert nearest("lang", list(OPTIONS))[0] == "lang" and nearest("books", list(OPTIONS))[0] == "num_books"


def test_help():
    text = help_text()
    assert parse(["--stage", "3", "--help", "--x"])[2] and parse(["-h"])[2]
    for name, option in OPTIONS.items():
        assert f"\n  --{name} " in text, name
        if option.default and option.default_help is None:
            assert f"(default: {option.default})" in " ".join(text.split()), name
    assert all(f"  {number}  {name} " in text for number, name in enumerate(STAGES, start=1))
    assert max(map(len, text.splitlines())) <= 120


def test_the_help_is_quick():
    start = time.monotonic()
    output = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hasrd.bin.plan", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert time.monotonic() - start < 10
    imported = {line.split("|")[-1].strip() for line in output.stderr.splitlines()}
    assert not imported & {"torch", "espnet2", "numpy", "yaml"}
    assert output.stdout == help_text() + "\n"


@pytest.mark.parametrize(
    "word",
    "fs audio_format min_wav_duration max_wav_duration speed_perturb_factors download_model hf_repo skip_upload_hf "
    "skip_packing skip_stages ssl_exp asr_exp lm_tag tag".split(),
)
def test_options_of_espnet_are_here_or_answered(word):
    """An answer names an option or a command that is there."""
    with pytest.raises(OptionError) as caught:
        parse([f"--{word}", "x"])
    text = str(caught.value)
    assert f"option '--{word}' is none of hasrd's: " in text and "\n" not in text
    named = re.findall(r"--(\w+)", text.split("none of hasrd's: ")[1])
    assert (named or "hasrd" in text) and all(name in (*OPTIONS, "help") for name in named)
