# Copyright 2026 The hasrd authors
# Apache-2.0
"""Corpora: from what is on the disk (or fetched) to Kaldi data directories."""
