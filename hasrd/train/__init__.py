# Copyright 2026 The hasrd authors
# Apache-2.0
"""Trainings: ESPnet's trainer with our loop, steps, batches, checks of options and the state that is resumed."""
