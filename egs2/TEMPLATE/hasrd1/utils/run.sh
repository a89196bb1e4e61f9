#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Runs jobs on this machine, all at once: see job.sh for the convention. Each job's output goes to its log; lines that
# tell the progress of the first job are also shown. When this script is interrupted or its caller dies, the jobs are
# ended; when one job fails, so is the rest.
set -euo pipefail

# The kernel ends this script when its caller is killed, and a job when this script is: nothing goes on behind the back
# of the one who runs the same command again.
tie=()
if command -v setpriv >/dev/null 2>&1; then
    if [ "${HASRD_TIED_TO:-}" != "${PPID}" ]; then
        HASRD_TIED_TO=${PPID} exec setpriv --pdeathsig TERM -- "${BASH}" "$0" "$@"
    fi
    tie=(setpriv --pdeathsig KILL --)
fi

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

run_job() {
    local index=$1 arguments=("${command[@]}") list= k
    if [ -n "${job_var}" ]; then arguments=("${command[@]//${job_var}/${index}}"); fi
    if [ ${#devices[@]} -gt 0 ]; then
        for ((k = 0; k < gpu; k++)); do
            list+=${list:+,}${devices[$((((index - first) * gpu + k) % ${#devices[@]}))]}
        done
        export CUDA_VISIBLE_DEVICES=${list}
    fi
    exec >"$(job_subst "${log}" "${index}")" 2>&1 </dev/null
    echo "# $(printf '%q ' "${arguments[@]}")"
    echo "# started $(date '+%F %T') on $(uname -n)"
    # shellcheck disable=SC2016
    exec "${tie[@]}" "${BASH}" -c '
        status=0
        "$@" || status=$?
        echo "# ended with status ${status} after ${SECONDS} s"
        exit "${status}"' job "${tie[@]}" "${arguments[@]}"
}

pids=() follower=
end_jobs() { # $1: the signal that the jobs get first
    local pid tries
    # Job control gave each job a process group of its own, so that its workers go with it.
    for pid in "${pids[@]}"; do kill -s "$1" -- "-${pid}" 2>/dev/null || true; done
    for ((tries = 0; tries < 50; tries++)); do
        local alive=
        for pid in "${pids[@]}"; do if kill -0 -- "-${pid}" 2>/dev/null; then alive=1; fi; done
        [ -n "${alive}" ] || break
        sleep 0.1
    done
    for pid in "${pids[@]}"; do kill -s KILL -- "-${pid}" 2>/dev/null || true; done
    if [ -n "${follower}" ]; then kill -- "-${follower}" 2>/dev/null || true; fi
}
trap 'trap "" INT TERM HUP; end_jobs INT; exit 130' INT
trap 'trap "" INT TERM HUP; end_jobs TERM; exit 143' TERM HUP

set -m
for ((i = first; i <= last; i++)); do
    rm -f "$(job_subst "${log}" "${i}")"
    run_job "${i}" &
    pids[i]=$!
done
prefix=
if [ "${first}" != "${last}" ]; then prefix="job ${first} of $((last - first + 1)): "; fi
job_follow "$(job_subst "${log}" "${first}")" "${pids[first]}" "${prefix}" &
follower=$!
set +m

while [ ${#pids[@]} -gt 0 ]; do
    for i in "${!pids[@]}"; do
        if kill -0 "${pids[i]}" 2>/dev/null; then continue; fi
        status=0
        wait "${pids[i]}" || status=$?
        if [ "${status}" -ne 0 ]; then
            trap "" INT TERM HUP
            end_jobs TERM
            job_explain "$(job_subst "${log}" "${i}")" "${status}"
            exit 1
        fi
        unset "pids[i]"
    done
    sleep 0.1
done
wait "${follower}" || true
