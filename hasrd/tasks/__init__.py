# Copyright 2026 The hasrd authors
# Apache-2.0
"""ESPnet's tasks: which classes a training can choose among, its options, and how its model is built from them."""
