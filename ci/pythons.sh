#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Installs the toolkit on the oldest and on the newest Python that it runs on, each in a copy of this repository, and runs
# a recipe end to end there, beside the tests of what differs between ESPnet's two releases. Where a machine lacks one of
# the two, that is said, and nothing is run.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/.."
unset PYTHONDONTWRITEBYTECODE HASRD_PYTHON
versions=(3.10 3.13)

find_python() { # $1: a version; prints a Python of it that runs
    local candidate
    while read -r candidate; do
        if [ "$("${candidate}" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ]; then
            echo "${candidate}"
            return
        fi
    done < <(type -ap "python$1"; ls -d "${HOME}"/.pyenv/versions/"$1".*/bin/python 2>/dev/null)
    return 1
}

declare -A pythons
for version in "${versions[@]}"; do
    if ! pythons[${version}]=$(find_python "${version}"); then
        echo "ci/pythons.sh: left out: there is no Python ${version} on this machine"
        exit 0
    fi
done

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "${work}"' EXIT

check() { # $1: a version
    local copy=${work}/${1}
    mkdir "${copy}"
    git ls-files -z --cached --others --exclude-standard | tar -cf - --null -T - | tar -xf - -C "${copy}"
    cd "${copy}"
    tools/install.sh --python "${pythons[$1]}" --extras data,demo,dev
    OMP_NUM_THREADS=1 PYTHONPATH=${copy} PYTHONUTF8=1 tools/venv/bin/python -m pytest test/egs2/test_recipe.py \
        test/data/test_archive.py test/espnet/test_archives.py test/train/test_entry.py \
        -k 'not killed and not broken and not bad_options' </dev/null
}

# Each has one core.
for version in "${versions[@]}"; do
    (check "${version}") >"${work}/${version}.log" 2>&1 &
done
status=0
for version in "${versions[@]}"; do
    wait -n || status=1
done
for version in "${versions[@]}"; do
    echo "--- Python ${version}"
    grep -v -E '^( \+|Downloading| Downloaded| +Building| +Built)' "${work}/${version}.log"
done
exit "${status}"
