# Copyright 2026 The hasrd authors
# Apache-2.0
# All processes of a run end together. A script that starts others sources this first, before it changes the folder:
#
#   . "$(dirname "$0")/utils/guard.sh"
#
# The outermost script then starts itself again and watches. All that is started from there inherits HASRD_RUN, and is
# ended as soon as the script ends, for whatever reason, or a signal arrives. A second guard watches the first one, which
# may be killed. HASRD_COMMAND is the command as it was given.

# For a command in the background: bash lets it ignore SIGINT.
heed_interrupts() {
    trap : INT QUIT
    trap - INT QUIT
}

# Run a program, so that a signal to this script counts at once: bash would first wait for the program's end.
attend() {
    (heed_interrupts; exec "$@") &
    wait $!
}

if [ -n "${HASRD_RUN:-}" ]; then
    trap 'exit 130' INT
    return
fi

_guard_command() {
    local word
    printf '%s' "./$(realpath -s --relative-to "$(dirname "${BASH_SOURCE[0]}")/.." "$0")"
    for word in "$@"; do
        if [[ ${word} =~ ^[A-Za-z0-9_./:=,+@%-]+$ ]]; then printf ' %s' "${word}"; else printf ' %s' "${word@Q}"; fi
    done
}
# End all processes of the run: with the signal $1, and after three seconds for good.
_guard_end() {
    local signal=$1 start=${SECONDS} pids
    while mapfile -t pids < <(grep -l -s -z -x -F "HASRD_RUN=${_guard_run}" /proc/[0-9]*/environ | cut -d/ -f3) &&
        [ ${#pids[@]} -gt 0 ] && [ $((SECONDS - start)) -lt 10 ]; do
        if [ $((SECONDS - start)) -ge 3 ]; then signal=KILL; fi
        if [ -n "${signal}" ]; then kill -s "${signal}" "${pids[@]}" 2>/dev/null || true; fi
        signal=
        sleep 0.1
    done
}
_guard_stop() { # $1: signal that came, $2: status
    trap "" INT TERM HUP
    _guard_end "$1"
    kill -s KILL "${_guard_second}" 2>/dev/null || true
    exit "$2"
}

_guard_run=$(uname -n).$$.${RANDOM}${RANDOM}
trap '_guard_stop INT 130' INT
trap '_guard_stop TERM 143' TERM
trap '_guard_stop TERM 129' HUP
(
    # Like the first one, it is not of the run: it does not inherit the name.
    heed_interrupts
    exec {_guard_pipe}<> <(:)
    while read -r _ _ _ _guard_parent _ <"/proc/${BASHPID}/stat" && [ "${_guard_parent}" = $$ ]; do
        read -r -t 0.3 -u "${_guard_pipe}" || true
    done
    _guard_end TERM
) &
_guard_second=$!
(
    heed_interrupts
    HASRD_RUN=${_guard_run} HASRD_COMMAND=${HASRD_COMMAND:-$(_guard_command "$@")} exec "${BASH}" "$0" "$@"
) &
_guard_body=$!
_guard_status=0
{ wait -n || _guard_status=$?; } 2>/dev/null
if kill -0 "${_guard_body}" 2>/dev/null; then
    echo "error: the guard of this run was killed: the same command goes on from here" >&2
    _guard_status=1
elif [ "${_guard_status}" -gt 128 ]; then
    echo "error: $0 was ended by a signal ($((_guard_status - 128))): the same command goes on from here" >&2
fi
_guard_stop TERM "${_guard_status}"
