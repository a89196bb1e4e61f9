#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Writes pins.txt again, for a maintainer who changed a list or wants newer versions (needs uv): the newest versions
# that fit together on every supported Python. The CUDA packages stay out: torch names its own.
set -euo pipefail
cd "$(dirname "$0")"

{
    echo "# Written by lock.sh from the lists beside it."
    cat base.txt train.txt cpu.txt gpu.txt eval.txt dev.txt bench.txt |
        uv pip compile --quiet --universal --python-version 3.10 --overrides overrides.txt \
            --no-annotate --no-header --no-strip-markers - |
        grep -v -E '^(cuda|nvidia|triton)'
} >pins.txt.tmp
mv pins.txt.tmp pins.txt
