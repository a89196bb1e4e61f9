# Copyright 2026 The hasrd authors
# Apache-2.0
"""What hasrd.sh asks about its options: the words of an option that holds options, and settings of a configuration."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any, Sequence

from hasrd.bin.options import join_values
from hasrd.config import read_yaml
from hasrd.errors import run_main
from hasrd.train.options import merge, parse_args_string, split_args


def setting(config: str, args: str, name: str) -> str:
    """Return the value of a setting of a configuration, as text for a shell.

    Args:
        config: YAML file.
        args: Options of the command line, which override it.
        name: The setting.

    Returns:
        The value, "" for none; of a mapping or list, its keys or items, separated by blanks.

    Raises:
        UserError: The configuration or the options cannot be read.
    """
    effective = read_yaml(config)
    merge(effective, parse_args_string(args))
    return _text(effective.get(name))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return " ".join(map(str, value))
    return str(value)


def main(argv: Sequence[str] | None = None) -> None:
    """Answer on standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    questions = parser.add_subparsers(dest="question", required=True)
    words = questions.add_parser("words", help="the words of a text, quoted for a shell")
    words.add_argument("--option", required=True, help="option that the text is of, for messages")
    words.add_argument("--text", required=True, help="for example \"--optim_conf lr=0.1 --tag 'my tag'\"")
    of = questions.add_parser("setting", help="value of a setting; of a mapping, its keys")
    of.add_argument("--config", required=True, help="YAML file")
    of.add_argument("--args", default="", help="options of the command line that override it")
    of.add_argument("--name", required=True, help="name of the setting")
    options = parser.parse_args(join_values(sys.argv[1:] if argv is None else argv, ["--args", "--text", "--option"]))
    if options.question == "words":
        print(shlex.join(split_args(options.text, options.option)))
    else:
        print(setting(options.config, options.args, options.name))


if __name__ == "__main__":
    run_main(main)
