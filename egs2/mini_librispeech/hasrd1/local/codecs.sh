#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Table 1 and 2 in small: DAC, DAC+fbank, DAC+fbank+SepConv and HASRD (conf/tuning), trained on the same data for as many
# steps, and compared in RESULTS_codecs.md and report/codecs.html. Run it after ./run.sh (stages 1 to 4 are enough).
#   local/codecs.sh [options of run.sh]
set -euo pipefail
cd "$(dirname "$0")/.."
. ./db.sh
. local/parts.sh

experiments=()
for name in dac dac_fbank dac_fbank_sepconv hasrd; do
    # As many clusters as an acoustic codebook has entries: all four have 9 x 10 bit a token.
    ./run.sh --stage 4 --num_clusters 1024 --probes "" --codec_config "conf/tuning/train_codec_${name}.yaml" \
        --codec_tag "${name}" --out_md "exp/codec_${name}/RESULTS.md" --out_html "exp/codec_${name}/report.html" "$@"
    experiments+=("exp/codec_${name}")
done
. ./path.sh
# shellcheck disable=SC2086
${HASRD_PYTHON:-python} -m hasrd.bin.report --expdir "${experiments[@]}" --test_sets ${test_parts} \
    --corpus "LibriSpeech, a part (${train_part})" --command "local/codecs.sh" --only_codecs true \
    --out_md RESULTS_codecs.md --out_html report/codecs.html
