# Copyright 2026 The hasrd authors
# Apache-2.0
"""From files to score files: read what a measure needs, check it, skip what is up to date."""
