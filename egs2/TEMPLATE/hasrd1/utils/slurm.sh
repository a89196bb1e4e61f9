#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Runs jobs through Slurm and waits for them: see job.sh for the convention. Each job's output goes to its log. Further
# options of sbatch come from slurm_cpu_opts and slurm_gpu_opts, set in cmd.sh. When this script is interrupted or one
# job fails, the others are cancelled.
set -euo pipefail

. "$(dirname "$(readlink -f "$0")")/job.sh"
job_parse "$@"
command -v sbatch >/dev/null 2>&1 ||
    job_fail "there is no sbatch here: run on a machine of the cluster, or with cmd_backend=local"

options=(--job-name "${name}" --export ALL --parsable)
array=false
if [ -n "${job_var}" ] && [ "${first}" != "${last}" ]; then
    array=true
    options+=(--array "${first}-${last}")
fi
if [ -n "${num_threads}" ]; then options+=(--cpus-per-task "${num_threads}"); fi
if [ -n "${mem}" ]; then options+=(--mem "${mem}"); fi
if [ "${num_nodes}" -gt 1 ]; then options+=(--nodes "${num_nodes}" --ntasks-per-node 1); fi
if [ "${gpu}" -gt 0 ]; then
    options+=(--gres "gpu:${gpu}")
    more=${slurm_gpu_opts:-}
else
    more=${slurm_cpu_opts:-}
fi
read -r -a more <<<"${more}"
options+=(${more[@]+"${more[@]}"})

# The batch script goes beside the logs; the number of the job is put in when it runs.
folder=$(dirname "$(job_subst "${log}" "${first}")")/q
job_folder "${folder}"
base=$(basename "${log%.log}")
base=${folder}/${base//${job_var:-JOB}/all}
quoted() { # $@ as shell words, with the job variable standing outside of the quotes
    local word
    for word in "$@"; do
        word=$(printf '%q' "${word}")
        if [ -n "${job_var}" ]; then word=${word//${job_var}/'${job}'}; fi
        printf '%s ' "${word}"
    done
}
job_id() { head -n 1 "${id_file}" | cut -d ';' -f 1; }

number=${first}
if "${array}"; then number='${SLURM_ARRAY_TASK_ID}'; fi
{
    echo '#!/usr/bin/env bash'
    echo "cd $(printf '%q' "${PWD}") || exit 1"
    echo "job=${number}"
    if [ -n "${num_threads}" ]; then echo "export OMP_NUM_THREADS=${num_threads}"; fi
    echo "exec >$(quoted "${log}")2>&1 </dev/null"
    echo "echo '# '$(printf '%q' "$(printf '%q ' "${command[@]}")")"
    echo 'echo "# started $(date "+%F %T") on $(uname -n), Slurm job ${SLURM_JOB_ID:-}"'
    echo 'status=0'
    echo "$(quoted "${command[@]}")|| status=\$?"
    echo 'echo "# ended with status ${status} after ${SECONDS} s"'
    echo 'exit "${status}"'
} >"${base}.sh"
id_file=${base}.id
# A run that was killed left its job in the queue: two of them must not write the same files.
if [ -s "${id_file}" ]; then
    echo "note: cancelling the job of an earlier run, Slurm job $(job_id)" >&2
    scancel "$(job_id)" 2>/dev/null || true
    rm -f "${id_file}"
fi
for ((i = first; i <= last; i++)); do rm -f "$(job_subst "${log}" "${i}")"; done

# What Slurm itself says about the jobs, such as a time limit, goes to one file a job beside the script.
output=${base}.%j.out
if "${array}"; then output=${base}.%A_%a.out; fi
if ! sbatch "${options[@]}" --output "${output}" "${base}.sh" >"${id_file}" 2>"${base}.err"; then
    rm -f "${id_file}"
    echo "error: sbatch refused the job: $(tail -n 1 "${base}.err") (options: ${options[*]})" >&2
    exit 1
fi
id=$(job_id)

watcher=
cancel() { # $1: exit status
    trap "" INT TERM HUP
    if [ -n "${watcher}" ]; then kill "${watcher}" 2>/dev/null || true; fi
    scancel "${id}" || true
    rm -f "${id_file}"
    exit "$1"
}
trap 'cancel 130' INT
trap 'cancel 143' TERM HUP

# The status with which the job of log $1 ended; nothing while it runs.
ended() { tail -n 1 "$1" 2>/dev/null | sed -n 's/^# ended with status \([0-9]*\) .*/\1/p' || true; }

in_queue() {
    local states
    if states=$(squeue --noheader --jobs "${id}" --format %t 2>&1); then
        [ -n "${states}" ]
    else
        # A controller that does not answer tells nothing; a job that it has forgotten is over.
        [[ ${states} != *"Invalid job id"* ]]
    fi
}

# Wait until every log has its last line, one tells a failure, or Slurm no longer knows the job. A shared file system
# may show the end of a log some time after that.
watch_jobs() {
    local i running=() gone=0 status
    for ((i = first; i <= last; i++)); do running[i]=$(job_subst "${log}" "${i}"); done
    while [ ${#running[@]} -gt 0 ] && [ "${gone}" -lt 15 ]; do
        sleep "${slurm_poll:-2}"
        for i in "${!running[@]}"; do
            status=$(ended "${running[i]}")
            if [ "${status:-0}" != 0 ]; then return; fi
            if [ -n "${status}" ]; then unset "running[i]"; fi
        done
        if in_queue; then gone=0; else gone=$((gone + 1)); fi
    done
}
watch_jobs &
watcher=$!
if ! "${array}"; then
    job_follow "$(job_subst "${log}" "${first}")" "${watcher}" "" &
fi
wait

unfinished=
for ((i = first; i <= last; i++)); do
    file=$(job_subst "${log}" "${i}")
    status=$(ended "${file}")
    if [ "${status:-0}" != 0 ]; then
        job_explain "${file}" "${status}"
        cancel 1
    fi
    if [ -z "${status}" ]; then unfinished=${unfinished:-${i}}; fi
done
if [ -n "${unfinished}" ]; then
    said=$(cat "${base}.${id}"*.out 2>/dev/null | grep -v '^$' | tail -n 1 || true)
    echo "error: Slurm ended job ${unfinished} before it was through (time or memory limit?)${said:+: ${said}}" \
        "(log: $(job_subst "${log}" "${unfinished}"), Slurm job ${id})" >&2
    cancel 1
fi
rm -f "${id_file}"
