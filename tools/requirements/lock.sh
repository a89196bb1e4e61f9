#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Writes pins.txt again, for a maintainer who changed a list (needs uv): versions that fit together on every supported
# Python, one of each package wherever one runs on all of them, and the hashes of their files. What is pinned stays as it
# is where it fits; --upgrade takes the newest of all. The hashes in uv.txt and build.txt are written again, too.
set -euo pipefail
cd "$(dirname "$0")"
trap 'rm -f ./*.tmp' EXIT

lock() { # $1: the file to write; the others: options, and the list
    uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-annotate \
        --no-header --no-strip-markers --output-file "$@" >/dev/null
}

# uv keeps the versions of the file that it writes to; those of some Pythons alone would keep a package in two versions.
awk '/^[^ ]/ { keep = !/python_full_version/ } keep' pins.txt >pins.txt.tmp
cat base.txt train.txt cpu.txt gpu.txt eval.txt pesq.txt hub.txt onnx.txt dask.txt data.txt demo.txt dev.txt bench.txt |
    lock pins.txt.tmp --fork-strategy fewest --overrides overrides.txt "$@" -
{
    echo "# Written by lock.sh from the lists beside it."
    cat pins.txt.tmp
} >pins.txt

for list in uv build; do
    lock "${list}.hashed.tmp" <(sed 's/ *--hash=[^ ]*//; s/ *\\$//' "${list}.txt")
    { grep '^#' "${list}.txt"; cat "${list}.hashed.tmp"; } >"${list}.tmp"
    mv "${list}.tmp" "${list}.txt"
done
