#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
set -euo pipefail

help_message="Usage: $0 [--extras bench,dev] [--gpu true] [--python PYTHON] [--quiet]

Installs the toolkit into tools/venv, in the versions of tools/requirements/pins.txt. Run again, it completes what was
interrupted, adds what is new, and does nothing when all is there. The recipes call it by themselves.

    --extras LIST   what to add to the recipes' needs: bench (the codecs that 'hasrd bench' measures), data
                    (Lhotse and Hugging Face 'datasets' as corpora, numbers in transcripts as words, token sets in
                    Parquet), demo (hasrd demo), dev (tests), hub (models on the Hugging Face Hub), onnx (hasrd
                    export), pesq (the measure PESQ, which is compiled here: it needs a C compiler and Python's headers)
    --gpu true      faiss for GPUs, for k-means over much data, in place of faiss for CPUs
    --python PYTHON the Python to make tools/venv with (default: the first of 3.11, 3.10, 3.12 and 3.13 on PATH)
    --quiet         say nothing when all is there

Every file that is installed must have a hash of pins.txt.

Environment:
    HASRD_PYTHON=/path/to/python   an environment of your own: nothing is installed, it is only checked
    HASRD_TORCH_BACKEND=cpu        the build of torch: cpu, cu128, auto, ... (uv's --torch-backend); without it, the
                                   package registry's own, for CUDA 13 on Linux. The builds of others come from
                                   PyTorch's own index, and their hashes are not known here: they are not checked"

root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
tools=${root}/tools
venv=${tools}/venv
stamp=${venv}/.complete     # written last: what is installed
marker=${venv}/.incomplete  # there while an installation runs
lists=${tools}/requirements

extras=
gpu=
python=
quiet=false
while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) echo "${help_message}"; exit 0 ;;
        --quiet) quiet=true; shift ;;
        --extras | --gpu | --python)
            [ $# -ge 2 ] || { echo "error: $1 needs a value (see $0 --help)" >&2; exit 2; }
            printf -v "${1#--}" '%s' "$2"
            shift 2
            ;;
        *) echo "error: unknown option '$1' (see $0 --help)" >&2; exit 2 ;;
    esac
done

fail() {
    echo "error: $1" >&2
    exit 1
}

for extra in ${extras//,/ }; do
    case "${extra}" in
        bench | dask | data | demo | dev | eval | hub | onnx | pesq) ;;
        *) fail "--extras ${extras}: '${extra}' is none of bench, dask, data, demo, dev, eval, hub, onnx, pesq" ;;
    esac
done
case "${gpu}" in
    "" | true | false) ;;
    *) fail "--gpu takes true or false, not '${gpu}'" ;;
esac

# What the lists ask for, in one word.
pins=$(cat "${root}/setup.py" "${lists}"/*.txt | cksum | tr ' ' '-')

# The Python versions that the toolkit runs on.
runs() { # $1: a Python
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

# PESQ alone is compiled: without a compiler, nothing of the installation may be begun.
can_compile() { # $1: a Python
    [[ ,${want_extras}, != *,pesq,* ]] || "$1" - <<'EOF' ||
import os, shutil, sys, sysconfig
compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
sys.exit(not (shutil.which(compiler) and os.path.exists(sysconfig.get_path("include") + "/Python.h")))
EOF
        fail "--extras pesq: no C compiler, or no headers of $1 (Debian: apt-get install gcc python3-dev); \
without it all measures but PESQ are there"
}

if [ -n "${python}" ]; then
    runs "${python}" || fail "--python ${python}: it does not run, or is not a Python 3.10 to 3.13"
fi

# --- An environment of the user's own -------------------------------------------------------------------------------

if [ -n "${HASRD_PYTHON:-}" ]; then
    python=$(command -v "${HASRD_PYTHON}") || fail "HASRD_PYTHON=${HASRD_PYTHON}: there is no such program"
    runs "${python}" || fail "HASRD_PYTHON=${python}: it does not run, or is not a Python 3.10 to 3.13"
    wanted=train,cpu,eval${extras:+,${extras}}
    checked=${tools}/.checked-$(echo "${python} ${wanted} ${pins}" | cksum | tr ' ' '-')
    if [ -e "${checked}" ]; then
        "${quiet}" || echo "HASRD_PYTHON=${python} was checked before and fits"
        exit 0
    fi
    if missing=$("${python}" "${tools}/check.py" "${wanted}" --imports 2>&1 >"${checked}.$$"); then
        cat "${checked}.$$"
        mv "${checked}.$$" "${checked}"
        exit 0
    fi
    rm -f "${checked}.$$"
    echo "error: HASRD_PYTHON=${python} lacks what the recipes need; this environment is yours, so nothing was changed:" >&2
    echo "${missing}" | sed 's/^/    /' >&2
    echo "This command installs it (uv: pip install uv; pip itself refuses a dependency of ESPnet):" >&2
    echo "    uv pip install --python '${python}' -e '${root}[${wanted}]' -c '${lists}/pins.txt'" \
        "--overrides '${lists}/overrides.txt' -b '${lists}/build.txt'" >&2
    exit 1
fi

# --- tools/venv -----------------------------------------------------------------------------------------------------

# The stamp is five lines: the folder, the pins, the extras, cpu or gpu, the build of torch.
read_stamp() {
    had_root='' had_pins='' had_extras='' had_faiss='' had_backend=''
    if [ -e "${stamp}" ]; then
        { read -r had_root; read -r had_pins; read -r had_extras; read -r had_faiss; read -r had_backend; } <"${stamp}"
    fi
    # What was chosen before stays, unless another choice is named now.
    want_extras=$(echo "eval,${had_extras},${extras}" | tr ',' '\n' | sed '/^$/d' | sort -u | paste -sd, -)
    case "${gpu}" in
        true) want_faiss=gpu ;;
        false) want_faiss=cpu ;;
        *) want_faiss=${had_faiss:-cpu} ;;
    esac
    want_backend=${HASRD_TORCH_BACKEND:-${had_backend:-default}}
}
# Whether tools/venv is of another version than --python asks for.
other_python() {
    [ -n "${python}" ] && [ "$("${venv}/bin/python" --version 2>&1)" != "$("${python}" --version 2>&1)" ]
}
up_to_date() {
    read_stamp
    ! other_python && [ "${had_root}" = "${root}" ] && [ "${had_pins}" = "${pins}" ] && [ "${had_extras}" = "${want_extras}" ] &&
        [ "${had_faiss}" = "${want_faiss}" ] && [ "${had_backend}" = "${want_backend}" ]
}
done_already() {
    "${quiet}" || echo "tools/venv is complete (${want_extras}); nothing to do"
    exit 0
}
if up_to_date; then done_already; fi

# Two recipes started at once: one installs, the other waits. The lock goes with the process, however it ends.
if command -v flock >/dev/null 2>&1; then
    exec 9>"${tools}/.install.lock"
    if ! flock -n 9; then
        echo "another process is installing into tools/venv; waiting for it" >&2
        flock 9
        if up_to_date; then done_already; fi
    fi
fi

# An interrupted installation may have left half a package, and a moved folder leaves scripts that point to the old
# place: both start afresh. Nothing is downloaded twice: uv keeps what it has.
if [ -d "${venv}" ]; then
    if [ -e "${marker}" ]; then
        echo "an earlier installation was interrupted; starting it again" >&2
        rm -rf "${venv}"
    elif [ "${had_root}" != "${root}" ] || ! runs "${venv}/bin/python" || other_python; then
        echo "tools/venv was made elsewhere or by another Python; making it again" >&2
        rm -rf "${venv}"
    fi
fi

if [ ! -d "${venv}" ]; then
    for name in python3.11 python3.10 python3.12 python3.13 python3; do
        if [ -n "${python}" ]; then break; fi
        # Some are only wrappers that fail: the first that runs is taken, also one further down PATH.
        while read -r candidate; do
            if runs "${candidate}"; then
                python=${candidate}
                break 2
            fi
        done < <(type -ap "${name}")
    done
    [ -n "${python}" ] || fail "no Python 3.10 to 3.13 found on PATH: install one (Debian: apt-get install python3 python3-venv), \
or set HASRD_PYTHON to one of your own"
    can_compile "${python}"
    mkdir -p "${venv}"
    touch "${marker}"
    echo "making tools/venv with ${python} ($("${python}" --version))"
    if uv --version >/dev/null 2>&1; then
        # "--allow-existing" keeps the marker.
        uv venv --quiet --allow-existing --python "${python}" "${venv}"
    elif ! message=$("${python}" -m venv "${venv}" 2>&1); then
        rm -rf "${venv}"
        fail "${python} cannot make virtual environments (Debian: apt-get install python3-venv): ${message//$'\n'/ }"
    fi
else
    can_compile "${venv}/bin/python"
fi
touch "${marker}"
rm -f "${stamp}"

if uv --version >/dev/null 2>&1; then
    uv=uv
else
    uv=${venv}/bin/uv
    if ! "${uv}" --version >/dev/null 2>&1; then
        echo "installing uv"
        "${venv}/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "${lists}/uv.txt" ||
            fail "pip could not install uv (its message is above): is the package registry reachable?"
    fi
fi

echo "installing the toolkit with $("${uv}" --version) (a few GB the first time; minutes on a fast line)"
# Big wheels on a slow line take longer than uv's own limit.
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-600}
wanted=train,${want_faiss},${want_extras}
backend=()
options=()
if [ "${want_backend}" != default ]; then
    backend=(--torch-backend "${want_backend}")
fi
if [ -n "${had_backend}" ] && [ "${had_backend}" != "${want_backend}" ]; then
    options+=(--reinstall-package torch --reinstall-package torchaudio)
fi
if [ -n "${had_faiss}" ] && [ "${had_faiss}" != "${want_faiss}" ]; then
    # Both packages own the same files: remove the one, then write the other's.
    "${uv}" pip uninstall --quiet --python "${venv}/bin/python" "faiss-${had_faiss}"
    options+=(--reinstall-package "faiss-${want_faiss}")
fi

# What these extras need on this Python, as lines name==version; and of it hashed.txt, the part of pins.txt with the hashes,
# and other.txt, what is not there: other builds of torch.
lists_of_extras=()
for extra in base ${wanted//,/ }; do
    lists_of_extras+=("${lists}/${extra}.txt")
done
"${uv}" pip compile --quiet --python "${venv}/bin/python" --no-header --no-annotate "${backend[@]}" \
    --constraints "${lists}/pins.txt" --overrides "${lists}/overrides.txt" \
    --output-file "${venv}/needed.txt" "${lists_of_extras[@]}" >/dev/null ||
    fail "uv could not choose the packages (its message is above); the same command goes on from there"
: >"${venv}/other.txt"
awk -v backend="${want_backend}" -v other="${venv}/other.txt" '
    NR == FNR { needed[$1]; next }
    /^[a-z0-9]/ {
        keep = $1 in needed && (backend == "default" || $1 !~ /^(torch==|torchaudio==|triton==|cuda-|nvidia-)/)
        if (keep) delete needed[$1]
    }
    keep
    END { for (line in needed) print line >other }
' "${venv}/needed.txt" "${lists}/pins.txt" >"${venv}/hashed.txt"

install() { # $@: options of uv, and what to install
    "${uv}" pip install --python "${venv}/bin/python" --no-deps --build-constraints "${lists}/build.txt" "$@" ||
        fail "uv could not install the toolkit (its message is above); the same command goes on from there"
}

if [ -s "${venv}/other.txt" ] && [ "${want_backend}" = default ]; then
    fail "pins.txt lacks $(paste -sd' ' "${venv}/other.txt"): write it again with tools/requirements/lock.sh"
fi
install "${options[@]}" --require-hashes --requirements "${venv}/hashed.txt"
if [ -s "${venv}/other.txt" ]; then
    echo "note: HASRD_TORCH_BACKEND=${want_backend}: without known hashes: $(sort "${venv}/other.txt" | paste -sd' ')"
    install "${options[@]}" "${backend[@]}" --requirements "${venv}/other.txt"
fi
install --editable "${root}"

"${venv}/bin/python" "${tools}/check.py" "${wanted}" --imports ||
    fail "what was installed does not work (see above); run 'rm -rf ${venv}' and the same command again"

printf '%s\n' "${root}" "${pins}" "${want_extras}" "${want_faiss}" "${want_backend}" >"${stamp}.tmp"
mv "${stamp}.tmp" "${stamp}"
rm -f "${marker}"
