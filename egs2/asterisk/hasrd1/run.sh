#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# The quick start: telephone prompts of one voice from Debian's asterisk-core-sounds, minutes on two CPU cores.
#   ./run.sh                          English
#   ./run.sh --langs "en es fr it ru" five languages, one voice each
set -euo pipefail
. "$(dirname "$0")/utils/guard.sh"
cd "$(dirname "$0")"
. utils/take_option.sh

langs=en
take_option langs "$@"

exec ./hasrd.sh \
    --corpus "Asterisk prompts (${langs})" \
    --local_data_opts "--langs ${langs}" \
    --single_speaker true \
    --test_sets "valid test" \
    --num_clusters 256 \
    --kmeans_portion 1.0 \
    --log_mel_probe_args "--encoder_conf stack=4" \
    --lang "${langs}" \
    "${options[@]}"
