# Copyright 2026 The hasrd authors
# Apache-2.0
"""Codecs of other packages behind the interface of ours; all imports of those packages are here."""
