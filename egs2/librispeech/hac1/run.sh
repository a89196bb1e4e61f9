#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# HAC (Interspeech 2025, arXiv 2506.15456): acoustic, phonetic and lexical tokens in one codec, on 960 h of LibriSpeech. Its
# phonetic level is distilled from HuBERT-base, its lexical one from LaBSE; sizes and losses are ours where it publishes none
# (docs/hac.md).
#   LIBRISPEECH=/corpora/LibriSpeech ./run.sh --teachers "phonetic=speech:HUBERT_BASE lexical=text:/models/LaBSE"
#                                                     torchaudio fetches HuBERT; LaBSE is a folder of sentence-transformers
#   ./run.sh --stage 4 --codec_config conf/tuning/train_codec_hac_no_phonetic.yaml
#                                                     an ablation: no_phonetic, no_lexical, no_loss; "neither" is train_codec_dac
# Where the corpus has word alignments (see local/data.sh), words are taught one by one as well.
# Needs: 60 GB for the corpus, up to 100 GB for what the teachers say (--teacher_cache_gb; HuBERT's 960 h would take 265 GB and
# run during the training instead), and GPUs. Days on 8 GPUs. Every stage goes on where it was interrupted. For less:
# egs2/mini_librispeech/hac1.
set -euo pipefail
. "$(dirname "$0")/utils/guard.sh"
cd "$(dirname "$0")"

# With --feats_type raw a batch is counted in samples: 9,600,000 are the paper's 600 s a GPU.

exec ./hasrd.sh \
    --corpus "LibriSpeech, 960 h" \
    --lang en \
    --train_set train \
    --valid_set dev-clean \
    --test_sets "dev-clean test-clean" \
    --probe_train_set train-clean-100 \
    --feats_type raw \
    --ssl_args "--batch_bins 9600000" \
    --ngpu 1 \
    --gpu_inference true \
    --codec_config conf/train_codec_hac.yaml \
    --probes "log_mel latent tokens_phonetic tokens_lexical tokens_acoustic tokens_all" \
    "$@"
