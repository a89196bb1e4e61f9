# Copyright 2026 The hasrd authors
# Apache-2.0
"""Formats in which units are exported: one file each."""

CHOICES = {
    "text": "hasrd.units.formats.text:TextFormat",
    "parquet": "hasrd.units.formats.parquet:ParquetFormat",
    "webdataset": "hasrd.units.formats.webdataset:WebDatasetFormat",
    "asr2": "hasrd.units.formats.asr2:ASR2Format",
    "speechlm1": "hasrd.units.formats.speechlm1:SpeechLM1Format",
    "speechlm": "hasrd.units.formats.speechlm:SpeechLMFormat",
}
