# Copyright 2026 The hasrd authors
# Apache-2.0
"""hasrd: speech tokenizers whose first stream says what was spoken and whose other streams say how."""

__version__ = "0.1.0"
