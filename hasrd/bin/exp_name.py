# Copyright 2026 The hasrd authors
# Apache-2.0
"""Name of an experiment's folder, made of its configuration.

A changed configuration gets a folder of its own; a change of how long to train, or of what leaves the model as it is,
keeps the folder, so that training goes on there.
"""

from __future__ import annotations

import argparse
import sys
from typing import Sequence

from hasrd.bin.options import join_values
from hasrd.errors import run_main
from hasrd.recipe.names import exp_name


def get_parser() -> argparse.ArgumentParser:
    """The options of this entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="YAML file of the experiment")
    parser.add_argument("--args", default="", help="options of the command line that override the configuration")
    parser.add_argument("--ignore", default="", help="further names that make no difference, separated by commas")
    parser.add_argument("--salt", action="append", default=[], help="what else makes another experiment; repeatable")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Print the name on standard output."""
    options = get_parser().parse_args(join_values(sys.argv[1:] if argv is None else argv, ["--args"]))
    ignore = [name.strip() for name in options.ignore.split(",") if name.strip()]
    print(exp_name(options.config, options.args, ignore, options.salt))


if __name__ == "__main__":
    run_main(main)
