#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# The paper's experiment (HASRD, Interspeech 2025, arXiv 2506.00843) at full size: 960 h of LibriSpeech for pre-training
# and the codec, train-clean-100 for k-means (a tenth of it) and the probes; choices on dev-clean, results on test-clean.
#   LIBRISPEECH=/corpora/LibriSpeech ./run.sh
#   ./run.sh                                          downloads the corpus (60 GB), with checksums and resume
#   ./run.sh --ngpu 8 --codec_args "--batch_size 1" --probe_args "--batch_size 4"
#                                                     the paper's 8 GPUs: batches are stated for each of them, and the paper's
#                                                     8 segments and 32 utterances are those of all
#   ./run.sh --stop_stage 2 && \
#   ./run.sh --stage 5 --train_set train-clean-100 --codec_config conf/tuning/train_codec_dac.yaml
#                                                     a row of Table 1: its own encoder, so no stages 3 and 4
# Needs: 60 GB for the corpus, 152 GB for log-mel features (see feats_type), and GPUs: the paper used 8 of 48 GB (A40).
# Disk and time of each stage: docs/scale.md. How long: 100k steps of pre-training, 100k of the codec and 30k of each of six probes; days on 8 GPUs, weeks on one. Every
# stage goes on where it was interrupted. For less: egs2/mini_librispeech.
set -euo pipefail
. "$(dirname "$0")/utils/guard.sh"
cd "$(dirname "$0")"

# fbank: float32 log-mel of 960 h are 138 GB, of train-clean-100 14 GB more; "--feats_compression 3" halves both. With
# "--feats_type raw" training decodes FLAC and computes log-mel as it goes, and nothing but the log-mel probe's 14 GB is
# stored; a batch is then counted in samples: --ssl_args "--batch_bins 9600000" for 600 s.
feats_type=fbank

# One GPU unless asked for more, as in ESPnet's recipes.
ngpu=1

exec ./hasrd.sh \
    --corpus "LibriSpeech, 960 h" \
    --lang en \
    --train_set train \
    --valid_set dev-clean \
    --test_sets "dev-clean test-clean" \
    --kmeans_train_set train-clean-100 \
    --probe_train_set train-clean-100 \
    --feats_type "${feats_type}" \
    --ngpu "${ngpu}" \
    --gpu_inference true \
    --kmeans_portion 0.1 \
    --num_clusters 1024 \
    "$@"
