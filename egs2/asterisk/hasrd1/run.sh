#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# The quick start: telephone prompts of one voice from Debian's asterisk-core-sounds, minutes on two CPU cores.
#   ./run.sh                          English
#   ./run.sh --langs "en es fr it ru" five languages, one voice each
set -euo pipefail
cd "$(dirname "$0")"

langs=en
options=()
while [ $# -gt 0 ]; do
    case "$1" in
        --langs) langs=${2:-}; shift ;;
        --langs=*) langs=${1#*=} ;;
        *) options+=("$1") ;;
    esac
    if [ $# -gt 0 ]; then shift; fi
done
# What the recogniser that comes along understands.
recogniser=none
if [ "${langs}" = en ]; then recogniser=auto; fi

./hasrd.sh \
    --corpus "Asterisk prompts (${langs})" \
    --local_data_opts "--langs ${langs}" \
    --single_speaker true \
    --test_sets "valid test" \
    --num_clusters 256 \
    --kmeans_portion 1.0 \
    --log_mel_probe_args "--encoder_conf stack=4" \
    --recogniser "${recogniser}" \
    "${options[@]}"
