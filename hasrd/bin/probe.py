# Copyright 2026 The hasrd authors
# Apache-2.0
"""Train a CTC probe and decode with it, in one process (stage 7): one slow import in place of two.

On several nodes all train and the first one decodes.

Options of the training follow after `--`, as for hasrd.bin.asr_train; those of the decoding come before it, as for
hasrd.bin.asr_decode.
"""

from __future__ import annotations

import sys

from hasrd.bin import asr_decode
from hasrd.errors import UserError, run_main
from hasrd.train.entry import is_first_node, trained


def main() -> None:
    """Train (skipped where it is done), then decode.

    Raises:
        UserError: The command line has no `--`.
    """
    argv = sys.argv[1:]
    if argv in (["--help"], ["-h"]):
        print(__doc__)
        asr_decode.main()
    if "--" not in argv:
        raise UserError("give the options of the decoding, then --, then those of the training")
    split = argv.index("--")
    with trained("hasrd.tasks.asr:ASRTask", argv[split + 1 :]):
        if is_first_node(argv[split + 1 :]):
            asr_decode.main(argv[:split])


if __name__ == "__main__":
    run_main(main)
