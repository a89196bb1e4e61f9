#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Sets up and runs the tests: ci/test.sh [options of pytest], by hand as well as in CI. Tests on real speech take it
# from LIBRISPEECH, or from a folder data/LibriSpeech in a folder beside this repository.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/.."

# Slow imports are compiled once, not in every process.
unset PYTHONDONTWRITEBYTECODE

# PESQ is compiled: its tests are skipped where there is no compiler.
tools/install.sh --extras dask,data,demo,dev,eval,onnx,pesq || tools/install.sh --extras dask,data,demo,dev,eval,onnx
python=${HASRD_PYTHON:-tools/venv/bin/python}

if [ -z "${LIBRISPEECH:-}" ]; then
    for folder in ../*/data/LibriSpeech; do
        if [ -d "${folder}" ]; then
            LIBRISPEECH=$(cd "${folder}" && pwd)
            export LIBRISPEECH
            break
        fi
    done
fi
echo "LIBRISPEECH=${LIBRISPEECH:-(unset: tests on its speech are skipped)}"

"${python}" -m ruff check
"${python}" -m ruff format --check

# Two test processes of one thread each; one of them runs the tests of a file, which share what takes long to make.
export OMP_NUM_THREADS=1 PYTHONPATH="${PWD}${PYTHONPATH:+:${PYTHONPATH}}" PYTHONUTF8=1
exec "${python}" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@" </dev/null
