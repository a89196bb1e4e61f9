#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# LibriSpeech, 960 h: data/train and every other part under its own name. Where LIBRISPEECH (db.sh) is empty, the corpus
# (OpenSLR 12, 60 GB) is downloaded. Options go to hasrd.bin.prepare, for example --train train-clean-100.
set -euo pipefail

. ./path.sh
. ./db.sh

python -m hasrd.bin.prepare librispeech --root "${LIBRISPEECH:-}" \
    --train train-clean-100 train-clean-360 train-other-500 \
    --valid dev-clean dev-other --test test-clean test-other "$@"
