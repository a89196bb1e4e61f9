#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# A small LibriSpeech: data/{train,valid} cut from one training part by speakers, and the test sets under their own
# names. Where LIBRISPEECH (db.sh) is empty, the public mini LibriSpeech (OpenSLR 31) is downloaded. Options go to
# hasrd.bin.prepare, for example --valid_from_train 0.1.
set -euo pipefail

. utils/guard.sh
. ./path.sh
. ./db.sh
. local/parts.sh

# hasrd.sh says where the data directories go.
datadir=${datadir:-data}
# shellcheck disable=SC2086
attend python -m hasrd.bin.prepare librispeech --out "${datadir}" --root "${LIBRISPEECH:-}" \
    --train ${train_part} --test ${test_parts} ${download:+--download_from ${download}} --valid_from_train 0.05 \
    --nj "$(env -u OMP_NUM_THREADS nproc)" "$@"
