# Copyright 2026 The hasrd authors
# Apache-2.0
"""Say what a run of a recipe would do: folders, sizes of models, steps, disk and time.

Takes the options of run.sh, in the recipe's folder; `./run.sh --plan true` adds those that run.sh itself sets.
"""

from __future__ import annotations

import shlex
import sys
from typing import Sequence

from hasrd.errors import run_main
from hasrd.recipe.options import HELP, OptionError, help_text, parse

# The first word that hasrd.sh gives: for its variables, and for these once more when a stage has made what others are
# named after.
SHELL, SHELL_AGAIN = "--shell", "--shell_again"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the plan; after `--shell` or `--shell_again` what hasrd.sh evaluates."""
    argv = list(sys.argv[1:] if argv is None else argv)
    mode = argv.pop(0) if argv[:1] in ([SHELL], [SHELL_AGAIN]) else ""
    try:
        values, rest, wants_help = parse(argv)
        if rest and not wants_help:
            print(f"error: '{rest[0]}' is not an option: see {HELP}", file=sys.stderr)
            sys.exit(1)
    except OptionError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    if wants_help:
        _show(help_text(), mode)
        return
    from hasrd.recipe.plan import Plan

    plan = Plan(values)
    if mode == SHELL_AGAIN:
        print(plan.shell())
        return
    outlined = not mode or values["plan"] == "true"
    # Stage 5 itself looks at its models first.
    models = plan.check_models(untrained=outlined) if outlined or plan.stage < 5 else ()
    plan.check_inputs()
    if not outlined:
        print(plan.shell())
        return
    from hasrd.recipe.outline import outline

    _show(outline(plan, *models), mode)


def _show(text: str, mode: str) -> None:
    """Print a text, or let hasrd.sh print it and end."""
    print(f"printf '%s\\n' {shlex.quote(text)}; exit 0" if mode else text)


if __name__ == "__main__":
    run_main(main)
