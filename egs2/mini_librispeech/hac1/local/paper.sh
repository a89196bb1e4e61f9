#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# HAC's experiments in small, in exp/RESULTS.md and exp/report.html: the codec, the ablations without a level (whose codebook is
# an acoustic one instead) and with untaught levels, and DAC, which has none; the same data, steps and bitrate for all. Hours on
# two CPU cores; what is done already is skipped.
#   local/paper.sh [options of run.sh]
set -euo pipefail
. "$(dirname "$0")/../utils/guard.sh"
cd "$(dirname "$0")/.."
. ./db.sh
. local/parts.sh
. ./path.sh

run() { attend ./run.sh --ssl_args "--max_epoch 12" --out_md exp/last.md --out_html exp/last.html "$@"; }
few=(--num_books "" --conversion false --quality_measures "" --recogniser none)

# Data, the SSL encoder that teaches, and what the teachers say.
run --stop_stage 4 "$@"
run --stage 5 --codec_tag hac "$@"
for name in hac_no_phonetic hac_no_lexical hac_no_loss dac; do
    run --stage 5 --codec_config "conf/tuning/train_codec_${name}.yaml" --codec_tag "${name}" --probes "tokens_all" "${few[@]}" "$@"
done

# shellcheck disable=SC2086
attend python -m hasrd.bin.report --expdir exp --test_sets ${test_parts} --corpus "LibriSpeech, a part (${train_part})" \
    --discussion local/paper.md --all_tables true --command "${HASRD_COMMAND}" --out_md exp/RESULTS.md --out_html exp/report.html
