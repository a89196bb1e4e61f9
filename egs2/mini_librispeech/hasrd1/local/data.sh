#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# A small LibriSpeech: data/{train,valid} cut from one training part by speakers, and the test sets under their own
# names. Where LIBRISPEECH (db.sh) is empty, the public mini LibriSpeech (OpenSLR 31) is downloaded.
set -euo pipefail

. ./path.sh
. ./db.sh

if [ -n "${LIBRISPEECH:-}" ]; then
    parts=(--train train-clean-100 --test test-clean test-other)
else
    parts=(--train train-clean-5 --test dev-clean-2 --download_from mini_librispeech)
fi

python -m hasrd.bin.prepare librispeech --root "${LIBRISPEECH:-}" "${parts[@]}" --valid_from_train 0.05 "$@"
