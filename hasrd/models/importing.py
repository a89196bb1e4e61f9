# Copyright 2026 The hasrd authors
# Apache-2.0
"""Encoders that others trained: which importer takes what, and statistics of their layers on some speech."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Mapping

import torch

from hasrd.codec.build import build_speech_encoder
from hasrd.data.waves import wave_batches
from hasrd.encoder.speech_encoder import SpeechEncoder
from hasrd.encoder.standardize import LayerStatistics
from hasrd.errors import UserError
from hasrd.models.foreign import Imported, model_type
from hasrd.models.import_w2v_bert import W2V_BERT, load_w2v_bert
from hasrd.models.import_wav2vec2 import load_wav2vec2
from hasrd.models.import_whisper import load_whisper
from hasrd.models.installed import find_installed
from hasrd.progress import progress

# What is no model: HuBERT's MFCC, every second frame of 10 ms, so that a token has 20 ms as HuBERT's.
FEATURES = {"features:mfcc": {"frontend": "mfcc", "encoder": "frames", "encoder_conf": {"stride": 2}}}
# A folder of CTranslate2 has it, one of transformers does not.
CTRANSLATE2 = "model.bin"
# Weights inside an ESPnet experiment that its recipes go on with.
ESPNET_WEIGHTS = "valid.loss.best.pth"
# Padded samples a batch: half a minute.
BATCH_SAMPLES = 16000 * 30
# Utterances that statistics are taken of, evenly from a larger set: some hours, where minutes are enough.
MOST_UTTERANCES = 2000


def _place(source: str) -> Path:
    return Path(find_installed(source, CTRANSLATE2, "Whisper of CTranslate2"))


def source_files(source: str) -> dict[str, Path]:
    """Return the files that a source is read from, by name; none of what torchaudio fetches. Errors: `load_source`."""
    path = _place(source)
    if path.is_file():
        return {path.name: path}
    return {file.name: file for file in sorted(path.iterdir()) if file.is_file()} if path.is_dir() else {}


def load_source(source: str, model_file: str = ESPNET_WEIGHTS) -> Imported:
    """Load a trained encoder: (configuration as `save_encoder` takes it, speech encoder in eval mode).

    Args:
        source: One of `FEATURES`; `package:<name>` of an installed package that carries a Whisper; a folder of a
            Whisper (transformers, CTranslate2) or of a w2v-BERT 2.0; or what `load_wav2vec2` takes.
        model_file: Name of an ESPnet experiment's weights.

    Raises:
        UserError: No such model, or one that can't be imported.
    """
    if source in FEATURES:
        return copy.deepcopy(FEATURES[source]), build_speech_encoder(FEATURES[source]).eval()
    path = _place(source)
    kind = model_type(path)
    if (path / CTRANSLATE2).is_file() or kind == "whisper":
        return load_whisper(path)
    if kind == W2V_BERT:
        return load_w2v_bert(path)
    return load_wav2vec2(source, model_file)


@torch.no_grad()
def standardize_layers(config: dict[str, Any], speech_encoder: SpeechEncoder, wavs: Mapping[str, str]) -> None:
    """Let an encoder bring its layers to one scale, by statistics over whole utterances.

    Args:
        config: Its configuration, which says so afterwards.
        speech_encoder: It; its encoder has the statistics afterwards.
        wavs: Utterance to audio file; a few minutes of several speakers are enough. Of more than `MOST_UTTERANCES`
            so many are taken.

    Raises:
        UserError: Audio that can't be used, or none.
    """
    encoder = speech_encoder.encoder
    count, total, square = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    step = max(1.0, len(wavs) / MOST_UTTERANCES)
    chosen = sorted(wavs)
    chosen = [chosen[int(place * step)] for place in range(min(len(chosen), MOST_UTTERANCES))]
    wavs = {utterance: wavs[utterance] for utterance in chosen}
    batches = wave_batches(wavs, speech_encoder.sample_rate, BATCH_SAMPLES)
    for _, waves, lengths in progress(batches, desc="statistics of the layers", unit="batches"):
        output = speech_encoder(waves, lengths)
        # Zero on padding: it adds nothing to the sums.
        layers = torch.stack(output.layers).double()
        count += int(output.lengths.sum())
        total = total + layers.sum((1, 2))
        square = square + layers.square().sum((1, 2))
    if not count:
        raise UserError("no utterance that is long enough for a token: its layers can't be standardised")
    encoder.statistics = LayerStatistics(encoder.num_layers, encoder.output_size)
    encoder.statistics.set(count, total, square)
    config["encoder_conf"]["standardize"] = True
