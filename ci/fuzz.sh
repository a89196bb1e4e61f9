#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Damaged and hostile files for every reader of the package: ci/fuzz.sh --help. Needs what tools/install.sh has made.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/.."
python=${HASRD_PYTHON:-tools/venv/bin/python}
export OMP_NUM_THREADS=1 PYTHONPATH="${PWD}:${PWD}/test/codec${PYTHONPATH:+:${PYTHONPATH}}" PYTHONUTF8=1
exec "${python}" ci/fuzz.py "$@" </dev/null
