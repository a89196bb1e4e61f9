# Copyright 2026 The hasrd authors
# Apache-2.0
"""Quantizers: the layers of an encoder in, codes and the vectors that stand for them out."""

CHOICES = {
    "residual_vq": "hasrd.quantizer.residual_vq:ResidualVQ",
    "euclidean_rvq": "hasrd.quantizer.euclidean_rvq:EuclideanRVQ",
    "hasrd": "hasrd.quantizer.hasrd:HASRDQuantizer",
    "hac": "hasrd.quantizer.hac:HACQuantizer",
}
