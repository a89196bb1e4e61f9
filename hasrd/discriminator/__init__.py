# Copyright 2026 The hasrd authors
# Apache-2.0
"""Judges of real and generated waves: ESPnet's parts, joined as DAC joins them."""

CHOICES = {"mpmb": "hasrd.discriminator.mpmb:MultiPeriodMultiBandDiscriminator"}
