# Copyright 2026 The hasrd authors
# Apache-2.0
"""Encoders: features to latent frames at the token rate (what each must offer: hasrd.encoder.encoder)."""

from __future__ import annotations

CHOICES = {
    "log_mel_cnn": "hasrd.encoder.cnn:LogMelCNN",
    "cnn_conformer": "hasrd.encoder.cnn_conformer:CNNConformer",
    "conv2d_conformer": "hasrd.encoder.cnn_conformer:Conv2dConformer",
    "frames": "hasrd.encoder.frames:Frames",
    "dac": "hasrd.encoder.dac:DACEncoder",
    "wav2vec2": "hasrd.encoder.wav2vec2:Wav2Vec2",
    "hubert": "hasrd.encoder.hubert:HuBERT",
    "wavlm": "hasrd.encoder.wavlm:WavLM",
    "data2vec": "hasrd.encoder.data2vec:Data2Vec",
    "w2v_bert": "hasrd.encoder.w2v_bert:W2VBert",
    "whisper": "hasrd.encoder.whisper:WhisperEncoder",
    "seanet": "hasrd.encoder.seanet:SEANetEncoder",
    # Of ESPnet's own modules: the one class here that needs more than torch.
    "espnet_ssl": "hasrd.espnet.ssl_encoder:ESPnetSSLEncoder",
}
