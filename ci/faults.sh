#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Kills, full disks, file systems that can only be read, and two runs at once, in every stage and command that writes:
# ci/faults.sh --help. Needs what tools/install.sh has made. Works in a mount namespace of its own, as root or as a user
# where the system lets users have one; else full and read-only disks are left out, and the table says so.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/.."
python=${HASRD_PYTHON:-tools/venv/bin/python}
export OMP_NUM_THREADS=1 PYTHONUTF8=1
export PYTHONPATH="${PWD}:${PWD}/ci:${PWD}/test/codec:${PWD}/test/egs2${PYTHONPATH:+:${PYTHONPATH}}"
for own in "unshare --mount" "unshare --mount --map-root-user"; do
    # shellcheck disable=SC2086
    if ${own} true 2>/dev/null; then
        exec ${own} "${python}" ci/faults.py --mounts "$@" </dev/null
    fi
done
exec "${python}" ci/faults.py "$@" </dev/null
