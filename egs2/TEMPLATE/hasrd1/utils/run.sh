#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Runs jobs on this machine, all at once: see job.sh for the convention. Each job's output goes to its log; lines that
# tell the progress of the first job are also shown. When one job fails, or this script is ended, so is the rest.
set -euo pipefail

. "$(dirname "$0")/guard.sh"
. "$(dirname "$(readlink -f "$0")")/job.sh"
job_parse "$@"
if [ "${num_nodes}" -gt 1 ]; then
    job_fail "--num_nodes ${num_nodes}: this script runs on one machine; set cmd_backend=slurm in cmd.sh"
fi
if [ -n "${num_threads}" ]; then
    export OMP_NUM_THREADS=${num_threads}
fi

# Several jobs that each want GPUs share out those that there are.
devices=()
if [ "${gpu}" -gt 0 ] && [ "${first}" != "${last}" ]; then
    if [ -n "${CUDA_VISIBLE_DEVICES:-}" ]; then
        IFS=, read -r -a devices <<<"${CUDA_VISIBLE_DEVICES}"
    elif command -v nvidia-smi >/dev/null 2>&1; then
        mapfile -t devices < <(nvidia-smi --query-gpu=index --format=csv,noheader)
    fi
fi

# A log is written under a lock, which all processes of its job hold: another run does not write over it.
logs=()
take_log() { # $1: number of the job
    local file fd status=0
    file=$(job_subst "${log}" "$1")
    exec {fd}>>"${file}"
    if command -v flock >/dev/null 2>&1; then flock -n -E 100 "${fd}" 2>/dev/null || status=$?; fi
    if [ "${status}" = 100 ]; then
        job_fail "${file}: another run writes there ($(sed -n '2s/^# //p' "${file}")): wait for it, end it, or choose another name"
    fi
    : >"${file}"
    logs[$1]=${fd}
}

run_job() { # $1: number of the job
    local index=$1 arguments=("${command[@]}") list= k
    heed_interrupts
    if [ -n "${job_var}" ]; then arguments=("${command[@]//${job_var}/${index}}"); fi
    if [ ${#devices[@]} -gt 0 ]; then
        for ((k = 0; k < gpu; k++)); do
            list+=${list:+,}${devices[$((((index - first) * gpu + k) % ${#devices[@]}))]}
        done
        export CUDA_VISIBLE_DEVICES=${list}
    fi
    exec >&"${logs[index]}" 2>&1 </dev/null
    echo "# $(printf '%q ' "${arguments[@]}")"
    echo "# started $(date '+%F %T') on $(uname -n), process ${BASHPID}"
    exec "${arguments[@]}"
}

for ((i = first; i <= last; i++)); do take_log "${i}"; done
pids=()
for ((i = first; i <= last; i++)); do
    run_job "${i}" &
    pids[i]=$!
done
prefix=
if [ "${first}" != "${last}" ]; then prefix="job ${first} of $((last - first + 1)): "; fi
(heed_interrupts; job_follow "$(job_subst "${log}" "${first}")" "${pids[first]}" "${prefix}") &
follower=$!

while [ ${#pids[@]} -gt 0 ]; do
    followed=true
    kill -0 "${follower}" 2>/dev/null || followed=false
    for i in "${!pids[@]}"; do
        if kill -0 "${pids[i]}" 2>/dev/null; then
            if [ "${i}" = "${first}" ] && ! "${followed}"; then job_fail "what follows ${log} was ended"; fi
            continue
        fi
        status=0
        wait "${pids[i]}" 2>/dev/null || status=$?
        echo "# ended with status ${status} after ${SECONDS} s" >&"${logs[i]}"
        if [ "${status}" -ne 0 ]; then
            job_explain "$(job_subst "${log}" "${i}")" "${status}"
            exit 1
        fi
        unset "pids[i]"
    done
    sleep 0.1
done
wait "${follower}" || true
