# Copyright 2026 The hasrd authors
# Apache-2.0
# An option that run.sh itself needs, taken out of those that it passes on to hasrd.sh.

take_option() { # $1: name of a variable, which has the default; then the command line; sets it and options, the rest
    local name=$1
    shift
    options=()
    while [ $# -gt 0 ]; do
        case "$1" in
            "--${name}")
                if [ $# -lt 2 ]; then
                    echo "error: option '$1' needs a value" >&2
                    exit 2
                fi
                printf -v "${name}" '%s' "$2"
                shift
                ;;
            "--${name}="*) printf -v "${name}" '%s' "${1#*=}" ;;
            *) options+=("$1") ;;
        esac
        shift
    done
}
