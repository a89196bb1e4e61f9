# Copyright 2026 The hasrd authors
# Apache-2.0
"""Files of models, not their classes: weights, encoder files, experiments, packages, importers, and one `load()`."""
