# Copyright 2026 The hasrd authors
# Apache-2.0
"""Objectives: masked prediction, spectral distances."""

# Self-supervised objectives, by the name that a config uses.
CHOICES = {"best_rq": "hasrd.loss.best_rq:BestRQLoss"}
