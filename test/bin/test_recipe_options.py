# Copyright 2026 The hasrd authors
# Apache-2.0
from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasrd.bin.recipe_options import main, setting
from hasrd.errors import UserError
from hasrd.train.options import parse_args_string, split_args

# What a command line can hold.
WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@given(st.lists(WORD, max_size=5))
def test_the_shell_gets_the_words_that_the_name_is_made_of(words):
    text = shlex.join(["--option", *words])
    printed = shlex.join(split_args(text))
    code = f'words=({printed}); printf "%s\\0" "${{words[@]}}"'
    seen = subprocess.run(["bash", "-c", code], capture_output=True, check=True).stdout
    assert seen.decode().split("\0")[:-1] == ["--option", *words]


@pytest.mark.parametrize(
    "text, words",
    [
        ("--optim_conf lr=0.1  --tag 'my tag'", "--optim_conf lr=0.1 --tag 'my tag'"),
        ('--optim_conf "{lr: 0.1}"', "--optim_conf '{lr: 0.1}'"),
        ("--a '' \"b$HOME*\"", "--a '' 'b$HOME*'"),
    ],
)
def test_words(text, words, capsys):
    main(["words", "--option", "--ssl_args", "--text", text])
    assert capsys.readouterr().out == f"{words}\n"


def test_an_open_quote_names_the_option():
    with pytest.raises(UserError, match="--ssl_args '--tag \"x': no closing quotation"):
        main(["words", "--option", "--ssl_args", "--text", '--tag "x'])
    with pytest.raises(UserError, match="no closing quotation"):
        parse_args_string('--tag "x')


def test_setting(tmp_path):
    config = tmp_path / "a.yaml"
    config.write_text("frozen_encoder: true\ndistillation: {phonetic: {}, lexical: {}}\nnone: null\n")
    assert setting(config, "", "frozen_encoder") == "true"
    assert setting(config, "--frozen_encoder false", "frozen_encoder") == "false"
    assert setting(config, "--frozen_encoder=false", "frozen_encoder") == "false"
    assert setting(config, "", "distillation") == "phonetic lexical"
    assert setting(config, "", "none") == setting(config, "", "missing") == ""
    assert setting(config, "--normalize global", "normalize") == "global"
