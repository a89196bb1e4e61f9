# Copyright 2026 The hasrd authors
# Apache-2.0
"""Entry points: one file for each command of `hasrd`, which declares its options and calls the package."""
