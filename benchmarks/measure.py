# Copyright 2026 The hasrd authors
# Apache-2.0
"""The clock of the scripts beside it."""

from hasrd.bench.timing import measure

__all__ = ["measure"]
