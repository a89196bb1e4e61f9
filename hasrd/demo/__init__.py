# Copyright 2026 The hasrd authors
# Apache-2.0
"""Listening to tokens in a browser: `listen` is what the page calls, `page` the page itself."""
