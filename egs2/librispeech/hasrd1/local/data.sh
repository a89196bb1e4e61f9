#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# LibriSpeech, 960 h: data/train, its part data/train-clean-100 (k-means, probes, ablations) and every other part under
# its own name. Where LIBRISPEECH (db.sh) is empty, the corpus (OpenSLR 12, 60 GB) is downloaded. Options go to
# hasrd.bin.prepare, for example --train train-clean-100.
set -euo pipefail

. utils/guard.sh
. ./path.sh
. ./db.sh

# hasrd.sh says where the data directories go.
datadir=${datadir:-data}
attend python -m hasrd.bin.prepare librispeech --out "${datadir}" --root "${LIBRISPEECH:-}" \
    --train train-clean-100 train-clean-360 train-other-500 \
    --valid dev-clean dev-other --test test-clean test-other \
    --nj "$(env -u OMP_NUM_THREADS nproc)" "$@"

# An utterance's part is in the path of its audio.
part=train-clean-100
grep "/${part}/" "${datadir}/train/wav.scp" >"${datadir}/.${part}.list"
attend python -m hasrd.bin.subset_data --data "${datadir}/train" --utt_list "${datadir}/.${part}.list" --out "${datadir}/${part}"
rm "${datadir}/.${part}.list"
