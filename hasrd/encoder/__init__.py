# Copyright 2026 The hasrd authors
# Apache-2.0
"""Encoders: features to latent frames at the token rate.

An encoder is built as `Encoder(input_size, **conf)` and has the attributes `output_size`,
`num_layers` (layers that it returns), `stride` (input frames a latent frame) and `input_window`
(input frames that the first latent frame needs).
`forward(feats (B, T, F), lengths (B,)) -> EncoderOutput`: padding never changes an utterance's
output, and outputs past its length are zero.

It may also have `num_tokens(frames)`, where latent frames are not frames // stride, and what
`hasrd.codec.inference` asks for (decoders too): `inference_form(dtype)`, `float32_parts`,
`input_dtype` and `fuse()`.
"""

from __future__ import annotations

CHOICES = {
    "log_mel_cnn": "hasrd.encoder.cnn:LogMelCNN",
    "cnn_conformer": "hasrd.encoder.cnn_conformer:CNNConformer",
    "conv2d_conformer": "hasrd.encoder.cnn_conformer:Conv2dConformer",
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
