#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# The probes of stages 4 and 7, for hasrd.sh: what each reads, its folder, and its training.

# What a probe over a learned mix of layers reads: the stored layers, or, where they would take too much, waves.
mix_options() { # $1: folder of a set's stored layers; sets mix_opts
    mix_opts=(--frontend upstream --frontend_conf "encoder_file=${encoder_file}")
    if [ -f "$1/layers.scp" ]; then mix_opts=(--frontend layer_mix --frontend_conf "$(cat "$1/layers_conf")"); fi
}
mix_input() { # $1: folder, $2: set
    if [ -f "$1/$2/layers.scp" ]; then echo "$1/$2/layers.scp,speech,kaldi_ark"; else echo "${datadir}/$2/wav.scp,speech,sound"; fi
}
mix_shape() { # $1: folder, $2: set
    if [ -f "$1/$2/layers.scp" ]; then echo "$1/$2/layers_shape"; else echo "${datadir}/$2/utt2num_samples"; fi
}

probe_dir() { # $1: probe, $2: number of the run
    if [ "$2" = 0 ]; then echo "${probe_dirs[$1]}"; else echo "${probe_dirs[$1]}_seed$2"; fi
}
runs_of() { # $1: probe
    case "$1" in
        tokens_*) seq 0 $((probe_runs - 1)) ;;
        *) echo 0 ;;
    esac
}
probe_input() { # $1: probe, $2: set; the file, its name and its type, as ESPnet takes them
    case "$1" in
        log_mel) echo "${dumpdir}/fbank/$2/feats.scp,speech,kaldi_ark" ;;
        latent | latent_shuffled) echo "${latents}/$2/latent.scp,speech,kaldi_ark" ;;
        layer_*) echo "${latents}/$2/$1.scp,speech,kaldi_ark" ;;
        mix) mix_input "${latents}" "$2" ;;
        tokens_all) echo "${latents}/$2/tokens.scp,speech,kaldi_ark" ;;
        tokens_*) echo "${latents}/$2/${1#tokens_}.scp,speech,kaldi_ark" ;;
        frontend_*) echo "${datadir}/$2/wav.scp,speech,sound" ;;
    esac
}
probe_shape() { # $1: probe, $2: set
    local input
    input=$(probe_input "$1" "$2")
    case "${input}" in
        *,sound) echo "${datadir}/$2/utt2num_samples" ;;
        "${dumpdir}"/fbank/*) echo "${dumpdir}/fbank/$2/speech_shape" ;;
        *) echo "${input%.scp,*}_shape" ;;
    esac
}

run_probe() { # $1: probe, $2: number of the run
    local probe=$1 number=$2 dir train_input opts=() inputs=() refs=() outs=() args set trust=("${import_opts[@]}")
    dir=$(probe_dir "${probe}" "${number}")
    train_input=$(probe_input "${probe}" "${probe_train_set}")
    case "${probe}" in
        mix)
            mix_options "${latents}/${probe_train_set}"
            opts=("${mix_opts[@]}")
            ;;
        frontend_*)
            # Its configuration is named here: the models in it are meant to be loaded.
            trust=(--allow_import)
            opts=(--upstream_config "${upstream_configs[${probe}]}")
            ;;
        *) opts=(--input_size "$(head -n 1 "$(probe_shape "${probe}" "${probe_train_set}")" | sed 's/.*,//')") ;;
    esac
    case "${probe}" in
        tokens_*) opts+=(--encoder_conf "codebook_sizes=$(cat "${train_input%.scp,*}_codebook_sizes")") ;;
        latent_shuffled) opts+=(--shuffle_time true) ;;
    esac
    # The trainer counts epochs up from the seed.
    if [ "${number}" != 0 ]; then opts+=(--seed $((1000 * number))); fi
    for set in ${test_sets}; do
        inputs+=("$(probe_input "${probe}" "${set}" | cut -d, -f1)")
        refs+=("${datadir}/${set}/text")
        outs+=("${dir}/decode/${set}")
    done
    # The job has a GPU only if the training has one.
    local decode_ngpu=0
    if [ "${ngpu}" -gt 0 ]; then decode_ngpu=${inference_ngpu}; fi
    args=("${probe_args_words[@]}")
    if [ "${probe}" = log_mel ]; then args=("${log_mel_probe_args_words[@]}" "${args[@]}"); fi
    num_threads=${probe_threads} train "${dir}/train.log" hasrd.bin.probe --ngpu "${decode_ngpu}" \
        --exp_dir "${dir}" --model_file "${inference_probe_model}" --beam_size "${beam_size}" --kind "${train_input##*,}" "${trust[@]}" \
        --inputs "${inputs[@]}" --ref "${refs[@]}" --out "${outs[@]}" -- \
        --config "${probe_config}" --allow_import "${allow_import}" --ngpu "${ngpu}" --token_type char --token_list "${token_list}" "${opts[@]}" \
        --train_data_path_and_name_and_type "${train_input}" \
        --train_data_path_and_name_and_type "${datadir}/${probe_train_set}/text,text,text" \
        --train_shape_file "$(probe_shape "${probe}" "${probe_train_set}")" \
        --valid_data_path_and_name_and_type "$(probe_input "${probe}" "${valid_set}")" \
        --valid_data_path_and_name_and_type "${datadir}/${valid_set}/text,text,text" \
        --valid_shape_file "$(probe_shape "${probe}" "${valid_set}")" \
        --output_dir "${dir}" "${args[@]}"
}
