# Copyright 2026 The hasrd authors
# Apache-2.0
"""Decoders: one latent vector a token in, a waveform out."""

CHOICES = {
    "dac": "hasrd.decoder.dac:DACDecoder",
    "seanet": "hasrd.decoder.seanet:SEANetDecoder",
    "istft": "hasrd.decoder.istft:ISTFTDecoder",
}
