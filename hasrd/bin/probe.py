# Copyright 2026 The hasrd authors
# Apache-2.0
"""Train a CTC probe and decode with it, in one process (stage 7): one slow import in place of two.

On several nodes all train and the first one decodes.

Options of the training follow after `--`, as for hasrd.bin.asr_train; those of the decoding come before it, as for
hasrd.bin.asr_decode.
"""

from __future__ import annotations

import argparse
import sys

from hasrd.bin import asr_decode
from hasrd.errors import UserError, run_main
from hasrd.train.entry import train


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
    train("hasrd.tasks.asr:ASRTask", argv[split + 1 :])
    if not is_first_node(argv[split + 1 :]):
        return
    sys.argv[1:] = argv[:split]
    asr_decode.main()


def is_first_node(argv: list[str]) -> bool:
    """Whether this is the only node, or the first, of a training with the options `argv`, which ESPnet adds to."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--dist_rank", type=int)
    parser.add_argument("--dist_launcher")
    args, _ = parser.parse_known_args(argv)
    if args.dist_rank is None and args.dist_launcher is None:
        return True
    from espnet2.train.distributed_utils import get_node_rank

    return get_node_rank(args.dist_rank, args.dist_launcher) == 0


if __name__ == "__main__":
    run_main(main)
