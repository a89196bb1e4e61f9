# Copyright 2026 The hasrd authors
# Apache-2.0
"""Corpora, Kaldi directories, archives, audio and alignments: reading, checking and writing them."""
