#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# A small LibriSpeech: real read speech of many speakers, for a patient CPU or one GPU.
#   ./run.sh                                          downloads mini LibriSpeech (OpenSLR 31: 5 h, 460 MB)
#   LIBRISPEECH=/corpora/LibriSpeech ./run.sh         takes train-clean-100 and the test sets that are there, whole or in part
#   ./run.sh --ngpu 1                                 the paper's sizes (conf/gpu), one GPU
#   ./run.sh --encoder whisper_tiny                   HASRD on a frozen Whisper tiny.en, in place of pre-training (conf/50hz)
# Needs: 2 CPU cores and 4 GB of memory; or a GPU of 40 GB. On 2 busy cores about an hour for 2 hours of speech; the
# number of training steps is fixed and small: --ssl_args, --codec_args and --probe_args "--max_epoch N" train longer.
# Valid set: 5% of the training minutes, other speakers. Test sets keep the names of their parts.
set -euo pipefail
. "$(dirname "$0")/utils/guard.sh"
cd "$(dirname "$0")"
. ./db.sh
. local/parts.sh
. utils/take_option.sh

# The CPU's small models; with --ngpu, the paper's.
conf=conf codec=conf/train_codec.yaml
opts=(--num_clusters 512 --log_mel_probe_args "--encoder_conf stack=4")
ngpu=0
take_option ngpu "$@"
encoder=
take_option encoder "${options[@]}"
if [ "${ngpu}" != 0 ]; then
    conf=conf/gpu codec=conf/gpu/train_codec.yaml
    opts=(--num_clusters 1024 --gpu_inference true)
fi
# Encoders that others trained give 50 tokens a second.
if [ -n "${encoder}" ]; then
    codec=conf/50hz/train_codec.yaml
    opts+=(--encoder "${encoder}" --num_clusters 1024)
fi
# Of Whisper tiny.en's layers the one whose k-means knows phones best.
if [ "${encoder}" = whisper_tiny ]; then opts+=(--semantic_layer 3); fi

# k-means takes all of the training set where the paper takes a tenth of 100 h, and half as many clusters.
exec ./hasrd.sh \
    --corpus "LibriSpeech, a part (${train_part})" \
    --lang en \
    --test_sets "${test_parts}" \
    --ssl_config ${conf}/train_ssl.yaml \
    --layer_probe_config ${conf}/train_layer_probe.yaml \
    --codec_config ${codec} \
    --probe_config ${conf}/train_probe.yaml \
    --kmeans_portion 1.0 \
    --ngpu "${ngpu}" \
    "${opts[@]}" \
    "${options[@]}"
