# Copyright 2026 The hasrd authors
# Apache-2.0
"""The codec: speech to `Tokens` and back, built from a configuration; how files and data sets are taken through it."""
