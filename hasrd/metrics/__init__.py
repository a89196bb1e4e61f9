# Copyright 2026 The hasrd authors
# Apache-2.0
"""Measures: one file each, with the function of arrays, whose source it states, and the class that declares it.

`measure.py` says what a measure is, `scores.py` is the format that it is stored in and finds all measures of this
folder, `scoring` reads what they need and writes the scores.
"""
