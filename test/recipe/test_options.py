# Copyright 2026 The hasrd authors
# Apache-2.0
"""The command line of the recipes."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from hasrd.data.archive import COMPRESSION_METHODS
from hasrd.errors import UserError
from hasrd.recipe.options import KINDS, OPTIONS, SECTIONS, STAGES, Option, OptionError, check, help_text, nearest, parse

SOME = {
    option.name: option
    for option in (
        Option("stage", "1", "", "stage"),
        Option("stop_stage", "8", "", "stage"),
        Option("skip_train", "false", "", "flag"),
        Option("train_args", "", ""),
        Option("memory", "4.0", "", "number"),
        Option("nj", "1", "", "count"),
    )
}


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], "1|8|false||"),
        (["--stage", "3", "--skip_train", "true"], "3|8|true||"),
        (["--stop-stage=4", "--train_args=--a b=c"], "1|4|false|--a b=c|"),
        (["--train_args", "--max_epoch 3", "x", "y"], "1|8|false|--max_epoch 3|x y"),
        (["--train_args", "", "--", "--stage"], "1|8|false||--stage"),
        (["--stage", "1", "--stage", "2"], "2|8|false||"),
        (["--train_args", "$(touch pwned) `ls` 'q"], "1|8|false|$(touch pwned) `ls` 'q|"),
        (["--stage", "codec", "--stop_stage=tokens"], "5|6|false||"),
    ],
)
def test_options(words, expected):
    values, rest, wants_help = parse(words, SOME)
    names = ("stage", "stop_stage", "skip_train", "train_args")
    assert "|".join([*(values[name] for name in names), " ".join(rest)]) == expected and not wants_help


@pytest.mark.parametrize(
    "words, message",
    [
        (["--stagee", "3"], "did you mean --stage"),
        (["--train", "x"], "--train_args"),
        (["--qqqqqq", "3"], "unknown option '--qqqqqq'"),
        (["--PATH", "3"], "unknown option '--PATH'"),
        (["--stage"], "needs a value"),
        (["--skip_train", "yes"], "takes true or false, not 'yes'"),
        (["--skip_train", "--stage", "3"], "takes true or false"),
        (["--stage", "codecs"], "or one of data, features, ssl, semantic, codec, tokens, probes, report"),
    ],
)
def test_bad_options_are_one_line(words, message):
    with pytest.raises(OptionError) as caught:
        parse(words, SOME)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("hasrd.sh: ") and str(caught.value).endswith(
        "(./hasrd.sh --help lists the options)"
    )


@pytest.mark.parametrize("name", ["stage", "nj"])
@pytest.mark.parametrize(
    "value, fits",
    [("3", True), ("0", True), ("two", False), ("-1", False), ("1.5", False), ("", False), ("08", False),
     ("3 4", False), ("9999999999", False)],
)  # fmt: skip
def test_whole_numbers(name, value, fits):
    if fits:
        assert parse([f"--{name}", value], SOME)[0][name] == value
    else:
        with pytest.raises(OptionError, match=f"'--{name}' takes a whole number, not '{value}'"):
            parse([f"--{name}", value], SOME)


def test_the_last_of_two_counts_and_each_fits_the_default():
    values, _, _ = parse(["--train_args", "3", "--train_args", "true", "--train_args", "x", "--stage", "2"], SOME)
    assert (values["train_args"], values["stage"]) == ("x", "2")
    with pytest.raises(OptionError):
        parse(["--stage", "2", "--stage", "x"], SOME)


@pytest.mark.parametrize("value, fits", [("3", True), ("0.25", True), ("four", False), ("-1", False), ("1.", False)])
def test_numbers(value, fits):
    if fits:
        assert parse(["--memory", value], SOME)[0]["memory"] == value
    else:
        with pytest.raises(OptionError, match="takes a number"):
            parse(["--memory", value], SOME)


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
def test_values_that_no_option_takes(words, message):
    with pytest.raises(UserError, match=message):
        check(parse(words)[0])


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
