# Copyright 2026 The hasrd authors
# Apache-2.0
"""A Python for ESPnet's own recipes, whose ASR programs know our encoders: `asr.sh --python "python3 -m hasrd.espnet"`.

What is called as `-m espnet2.bin.asr_...` runs after `hasrd.espnet.register`; anything else that a recipe asks of its
Python is handed on as it is.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
import warnings

ASR_PROGRAM = "espnet2.bin.asr_"


def main() -> None:
    """Run what the command line asks a Python to run."""
    argv = sys.argv[1:]
    if len(argv) < 2 or argv[0] != "-m" or not argv[1].startswith(ASR_PROGRAM):
        os.execv(sys.executable, [sys.executable, *argv])
    import hasrd.espnet.register  # noqa: F401
    from hasrd.train.entry import without_type_checks

    sys.argv = argv[1:]
    with without_type_checks():
        importlib.import_module(argv[1])
    with warnings.catch_warnings():
        # It is imported already, and runs as the program now.
        warnings.filterwarnings("ignore", r".*found in sys\.modules", RuntimeWarning)
        # The main module stays this one: processes that ESPnet spawns, one a GPU, run this file again, as below.
        runpy.run_module(argv[1], run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":
    import hasrd.espnet.register  # noqa: F401
