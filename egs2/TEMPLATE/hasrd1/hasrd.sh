#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# The recipe: from a corpus to a trained and scored speech tokenizer, in eight stages.
set -euo pipefail
. utils/guard.sh

log() { echo "$(date '+%H:%M:%S') $*"; }
fail() { echo "error: $*" >&2; exit 1; }

# The help needs nothing installed.
for word in "$@"; do
    case "${word}" in
        --help | -h) PYTHONPATH="$(dirname "$(readlink -f "$0")")/../../.." exec "${HASRD_PYTHON:-python3}" -m hasrd.recipe.options ;;
    esac
done
. ./path.sh
. ./cmd.sh
. utils/take_option.sh
. utils/probes.sh

hasrd() { attend ${python} -m "hasrd.bin.$1" "${@:2}"; } # $1: entry point, then its options

# Options, their defaults and the names of all folders: hasrd/recipe. What cannot work is refused there, before stage 1.
arguments=("$@")
python=${HASRD_PYTHON:-python}
take_option python "$@"
plan() { # $1: --shell, or --shell_again when a stage has made what others are named after
    local variables
    variables=$(hasrd plan "$1" "${arguments[@]}") || exit $?
    eval "${variables}"
}
plan --shell

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

if runs 1 && ! "${skip_data_prep}"; then
    log "Stage 1: data preparation"
    datadir=${datadir} attend local/data.sh "${local_data_opts_words[@]}"
    # Training sets may hold one another (train-clean-100 is a part of 960 h); held-out sets share nothing with any.
    for set in "${training_sets[@]}"; do
        held_out=$(printf '%s\n' ${valid_set} ${test_sets} | awk -v own="${set}" '$0 != own && !seen[$0]++')
        # shellcheck disable=SC2086
        data_of ${set} ${held_out}
        hasrd validate_data "${data[@]}" \
            --single_speaker "${single_speaker}" --require_text "${require_text}" --drop_bad "${drop_bad}" --check_audio true --nj "${nj}"
    done
fi

for set in "${all_sets[@]}"; do needs "${datadir}/${set}/wav.scp" 1; done

dump_feats() { # $1: set
    attend ${train_cmd} --num_threads "${nj}" "${dumpdir}/fbank/$1/dump.log" ${python} -m hasrd.bin.dump_feats \
        --data "${datadir}/$1" --dump "${dumpdir}/fbank/$1" --nj "${nj}" --compression_method "${feats_compression}"
}

if runs 2 && ! "${skip_data_prep}"; then
    if [ "${feats_type}" = fbank ]; then
        log "Stage 2: log-mel features and statistics"
        for set in "${all_sets[@]}"; do dump_feats "${set}"; done
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

if trains 3 && "${needs_encoder}" && [ -n "${encoder_source}" ]; then
    log "Stage 3: ${encoder}, brought to ${encoder_file}"
    attend ${train_cmd} "$(dirname "${encoder_file}")/import.log" ${python} -m hasrd.bin.import_encoder "${encoder_source}" \
        --standardize "${datadir}/${train_set}" --out "${encoder_file}"
    plan --shell_again
elif trains 3 && "${needs_encoder}" && [ -z "${ssl_exp}" ]; then
    log "Stage 3: skipped, --encoder_file ${encoder_file} is the encoder"
elif trains 3 && "${needs_encoder}"; then
    log "Stage 3: SSL pre-training, ${ssl_exp}"
    needs "$(shapes "${train_set}")" 2
    opts=()
    if [ "${feats_type}" = fbank ]; then opts=(--input_size 80); fi
    if [ -n "${global_stats}" ]; then
        needs "${global_stats}" 2
        opts+=(--global_stats "${global_stats}")
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
    plan --shell_again
fi

# The characters that probes write.
make_token_list() { hasrd token_list --text "${datadir}/${probe_train_set}/text" --out "${token_list}"; }

if trains 4 && "${frozen_encoder}"; then
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
        plan --shell_again
    fi
    log "Stage 4: k-means on layer ${chosen_layer}, ${semantic_exp}"
    attend ${train_cmd} --gpu "${inference_ngpu}" --num_threads "${num_threads}" "${semantic_exp}/kmeans.log" \
        ${python} -m hasrd.bin.kmeans --encoder_file "${encoder_file}" --data "${datadir}/${kmeans_train_set}" \
        --layer "${chosen_layer}" --num_clusters "${num_clusters}" --portion "${kmeans_portion}" \
        --max_memory_gb "${kmeans_max_memory_gb}" --nj "${nj}" --ngpu "${inference_ngpu}" --out "${semantic_exp}/kmeans.npz" \
        "${import_opts[@]}"
    plan --shell_again
fi

if trains 4 && [ -n "${taught}" ]; then
    log "Stage 4: what the teachers of ${taught} say of ${train_set} and ${valid_set}"
    for i in "${!teacher_dirs[@]}"; do
        declare -n teacher_opts="teacher_${i}_opts"
        for set in ${train_set} ${valid_set}; do
            out=${teacher_dirs[i]}/${set}
            attend ${train_cmd} --gpu "${inference_ngpu}" --num_threads "${nj}" "${out}/teacher.log" \
                ${python} -m hasrd.bin.dump_teacher "${teacher_opts[@]}" --data "${datadir}/${set}" --out "${out}" \
                --max_gb "${teacher_cache_gb}" --nj "${inference_nj}" --ngpu "${inference_ngpu}" "${import_opts[@]}"
        done
    done
fi

if [ "${stop_stage}" -ge 5 ] && [ -n "${peer}" ]; then
    hasrd import_peer --kind "${peer%%:*}" --model "${peer#*:}" --out "${codec_exp}"
fi
if trains 5 && [ -n "${peer}" ]; then
    log "Stage 5: skipped, --peer names a trained codec"
elif trains 5 && ! "${has_codec}"; then
    log "Stage 5: skipped, --codec_config none"
elif trains 5; then
    log "Stage 5: codec training, ${codec_exp}"
    if [ -n "${latent_dir}" ]; then
        attend ${train_cmd} --gpu "${inference_ngpu}" --num_threads "${nj}" "${latent_dir}/dump.log" \
            ${python} -m hasrd.bin.dump_latents --encoder_file "${encoder_file}" --out "${latent_dir}" --max_gb "${latent_cache_gb}" \
            --data "${datadir}/${train_set}" "${datadir}/${valid_set}" ${loudness:+"--loudness=${loudness}"} \
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
                --conversion "${conversion}" --recogniser "${recogniser}" --lang "${lang}" --ngpu "${inference_ngpu}"
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
        --single_speaker "${single_speaker}" --num_examples "${num_examples}" --all_tables "${all_tables}" \
        --out_md "${out_md}" --out_html "${out_html}"
    log "Done: ${out_md} and ${out_html}"
fi
