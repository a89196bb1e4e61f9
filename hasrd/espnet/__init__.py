# Copyright 2026 The hasrd authors
# Apache-2.0
"""Adapters: ESPnet's models, frontends and decoding with our parts; names that moved between its releases."""
