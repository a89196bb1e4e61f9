# Copyright 2026 The hasrd authors
# Apache-2.0
# What run.sh and slurm.sh share: their options, the logs and how a failure is shown. Sourced by both.
#
#   <run.sh|slurm.sh> [options] [JOB=first:last] <log> <command...>
#
# Kaldi's convention: JOB stands for the number of the job in the log's name and in the command.

job_fail() {
    echo "error: $(basename "$0"): $1" >&2
    exit 2
}

# Sets gpu, num_threads, num_nodes, mem, name, job_var, first, last, log and the array command from the arguments.
job_parse() {
    gpu=0 num_threads= num_nodes=1 mem= name=
    job_var= first=1 last=1
    while [ $# -gt 0 ]; do
        case "$1" in
            --gpu | --num_threads | --num_nodes | --mem | --name)
                [ $# -ge 2 ] || job_fail "option '$1' needs a value"
                printf -v "${1#--}" '%s' "$2"
                shift 2
                ;;
            --*) job_fail "unknown option '$1': known are --gpu --num_threads --num_nodes --mem --name" ;;
            *=*)
                [[ $1 =~ ^([A-Za-z_]+)=([0-9]+)(:([0-9]+))?$ ]] || job_fail "'$1' is not of the form JOB=1:4"
                job_var=${BASH_REMATCH[1]} first=${BASH_REMATCH[2]} last=${BASH_REMATCH[4]:-${BASH_REMATCH[2]}}
                [ "${first}" -le "${last}" ] || job_fail "'$1': the first number is above the last"
                shift
                ;;
            *) break ;;
        esac
    done
    [ $# -ge 2 ] || job_fail "usage: $(basename "$0") [options] [JOB=1:n] <log> <command...>"
    local option
    for option in gpu num_nodes ${num_threads:+num_threads}; do
        [[ ${!option} =~ ^[0-9]+$ ]] || job_fail "option '--${option}' takes a number, not '${!option}'"
    done
    log=$1
    shift
    command=("$@")
    name=${name:-$(basename "${log%.log}")}
    if [ -n "${job_var}" ] && [ "${first}" != "${last}" ] && [[ ${log} != *"${job_var}"* ]]; then
        job_fail "the log '${log}' has no ${job_var} in its name: the jobs would write over each other"
    fi
    job_folder "$(dirname "$(job_subst "${log}" "${first}")")"
}

# Makes the folder $1, or ends with one line that says why it cannot be made.
job_folder() {
    local why
    why=$(mkdir -p "$1" 2>&1) || job_fail "${why#mkdir: }: free space, or name another folder (--expdir, --dumpdir)"
}

# $1 with the job variable replaced by the number $2.
job_subst() {
    if [ -n "${job_var}" ]; then printf '%s\n' "${1//${job_var}/$2}"; else printf '%s\n' "$1"; fi
}

# Say why a job with log $1 and status $2 failed: its own one line if it ends with one, else the end of the log.
job_explain() {
    local message
    if [ ! -s "$1" ]; then
        echo "error: job failed with status $2 before it wrote its log: $1" >&2
        return
    fi
    message=$(grep -a -v '^# ' "$1" | tail -n 5 | grep -a '^error:' | tail -n 1 || true)
    if [ -n "${message}" ]; then
        echo "${message} (log: $1)" >&2
    else
        echo "error: job failed with status $2; the last lines of $1:" >&2
        grep -a -v '^# ' "$1" | tail -n 20 | sed 's/^/    /' >&2
    fi
}

# Follow log $1 as long as process $2 lives and show the lines that tell how far it is, each after job_prefix (of the
# environment) and $3. For a subshell: it does not return.
job_follow() {
    # In place of this shell, which would not heed an interrupt before they end.
    exec sed -u -n -E \
        -e '/^epoch [0-9]+\/[0-9]+: |%\)(, .* left.*)?$|^(note|warning|training): /{
            s/^(.{180}).*/\1 .../
            s/^/    '"${job_prefix:-}$3"'/
            p
        }' < <(exec tail -n +1 -s 0.2 --pid="$2" -F "$1" 2>/dev/null)
}
