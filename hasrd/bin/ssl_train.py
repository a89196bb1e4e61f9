# Copyright 2026 The hasrd authors
# Apache-2.0
"""Pre-train an encoder (stage 3), with ESPnet's options.

Example: `python -m hasrd.bin.ssl_train --config conf/x.yaml --output_dir exp/x ...`
"""

from __future__ import annotations

from hasrd.errors import run_main
from hasrd.train.entry import train


def main() -> None:
    """Train on the options of the command line."""
    train("hasrd.tasks.ssl:SSLTask")


if __name__ == "__main__":
    run_main(main)
