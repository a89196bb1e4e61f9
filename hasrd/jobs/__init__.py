# Copyright 2026 The hasrd authors
# Apache-2.0
"""Work over a data set: its parts and who does them, files that appear when they are complete, locks, freshness."""
