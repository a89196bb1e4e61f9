# Copyright 2026 The hasrd authors
# Apache-2.0
"""Measures: one file each, a function of arrays whose source it states; no files, no trainers.

`scores.py` is the format that every measure is stored in; `hasrd.bin.score` reads the files and
writes the scores.
"""
