# Copyright 2026 The hasrd authors
# Apache-2.0
"""Time alignments of words and phones: labels, readers of the layouts in use, import into data directories."""
