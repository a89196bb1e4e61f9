#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Writes pins.txt again, for a maintainer who changed a list (needs uv): versions that fit together on every supported
# Python. What is pinned stays as it is where it fits; --upgrade takes the newest of all. The CUDA packages stay out:
# torch names its own.
set -euo pipefail
cd "$(dirname "$0")"

# uv keeps the versions of the file that it writes to.
cp pins.txt pins.txt.tmp
cat base.txt train.txt cpu.txt gpu.txt eval.txt pesq.txt dev.txt bench.txt |
    uv pip compile --quiet --universal --python-version 3.10 --overrides overrides.txt "$@" \
        --no-annotate --no-header --no-strip-markers --output-file pins.txt.tmp - >/dev/null
{
    echo "# Written by lock.sh from the lists beside it."
    grep -v -E '^(cuda|nvidia|triton)' pins.txt.tmp
} >pins.txt
rm pins.txt.tmp
