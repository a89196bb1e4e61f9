#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# The teachers of a codec's levels, for hasrd.sh: from --teachers to the options and the folder of hasrd dump-teacher.

split_teacher() { # $1: level; sets teacher_kind, teacher_source, teacher_conf
    local item
    for item in "${teachers_words[@]}"; do
        if [ "${item%%=*}" != "$1" ]; then continue; fi
        item=${item#*=}
        teacher_kind=${item%%:*}
        # An import path has a colon of its own.
        if [[ "${teacher_kind}" == *.* ]]; then teacher_kind=$(cut -d: -f1,2 <<<"${item}"); fi
        item=${item#"${teacher_kind}:"}
        teacher_source=${item%%,*}
        teacher_conf=${item#"${teacher_source}"}
        return
    done
    fail "--teachers: ${codec_config} distils '$1', for which none is named: see $0 --help"
}
find_teacher() { # $1: level; sets teacher_opts, teacher_dir
    local source option languages=()
    split_teacher "$1"
    source=${teacher_source}
    if [ "${source}" = ssl ]; then
        needs "${encoder_file}" 3
        source=${encoder_file}
    fi
    teacher_opts=(--teacher "${teacher_kind}" --teacher_conf "source=${source}")
    for option in ${teacher_conf//,/ }; do
        # shellcheck disable=SC2206
        case "${option}" in
            languages=*) languages=(--languages $(tr + " " <<<"${option#*=}")) ;;
            *) teacher_opts+=("${option}") ;;
        esac
    done
    teacher_dir=${dumpdir}/teacher/$(hasrd dump_teacher --print_name "${teacher_opts[@]}")
    teacher_opts+=("${languages[@]}")
}
