#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# The paper's experiments in small, all four tables in exp/RESULTS.md and exp/report.html: encoders, codecs, probes on both, on
# the same data and with the same number of steps each. Hours on two CPU cores; what is done already is skipped.
#   local/paper.sh [options of run.sh]
set -euo pipefail
. "$(dirname "$0")/../utils/guard.sh"
cd "$(dirname "$0")/.."
. ./db.sh
. local/parts.sh
. ./path.sh

# As many clusters as an acoustic codebook has entries: each codec has 9 x 10 bit a token.
run() { attend ./run.sh --num_clusters 1024 --ssl_args "--max_epoch 12" --out_md exp/last.md --out_html exp/last.html "$@"; }

# Data, log-mel features, and the encoder that the codec stands on.
run --stop_stage 4 "$@"

# Tables 1 and 2: codecs. Reconstruction alone, 1000 steps of 8 s; the segments of 0.4 s come in larger batches.
codec() { # $1: name of the configuration, with what differs behind a "-"; then options
    run --stage 5 --codec_config "conf/tuning/train_codec_${1%-*}.yaml" --codec_tag "${1/-/_}" "${@:2}"
}
few=(--probes "" --num_books "" --conversion false --quality_measures "" --recogniser none)
codec dac-04s --codec_args "--segment 6144 --batch_size 21" "${few[@]}" "$@"
codec dac_fbank "${few[@]}" "$@"
codec dac_fbank_sepconv "${few[@]}" "$@"
codec dac --probes "latent tokens_all" "$@"
# Table 4, with the spread of three probes on each kind of token.
codec hasrd --probe_runs 3 "$@"

# Table 3: encoders without a codec.
for name in plus baseline plus_global; do
    config=conf/tuning/train_ssl_bestrq_${name}.yaml
    probes="latent tokens_semantic"
    if [ "${name}" = plus ]; then config=conf/train_ssl.yaml probes+=" mix"; fi
    run --stage 3 --ssl_config "${config}" --codec_config none --num_clusters 512 --probes "${probes}" "$@"
done

# shellcheck disable=SC2086
attend python -m hasrd.bin.report --expdir exp --test_sets ${test_parts} --corpus "LibriSpeech, a part (${train_part})" \
    --discussion local/paper.md --all_tables true --command "${HASRD_COMMAND}" --out_md exp/RESULTS.md --out_html exp/report.html
