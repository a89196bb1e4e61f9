#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
set -euo pipefail

help_message="Usage: egs2/TEMPLATE/hasrd1/setup.sh <folder>

Makes the folder of a recipe for a corpus of your own, for example egs2/my_corpus/hasrd1: run.sh and local/data.sh to
edit, conf/ with configurations to start from, and links to what all recipes share. What exists is left as it is."

template=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
case "${1:-}" in
    --help | -h) echo "${help_message}"; exit 0 ;;
    "" | -*) echo "${help_message}" >&2; exit 2 ;;
esac
mkdir -p "$1/local" "$1/conf"
cd "$1"

# Links stay valid when the whole repository is moved.
relative=$(realpath --relative-to . "${template}")
for name in path.sh cmd.sh db.sh hasrd.sh utils; do
    if [ ! -e "${name}" ]; then ln -sfn "${relative}/${name}" "${name}"; fi
done
cp -rn "${template}/conf/." conf/

if [ ! -e run.sh ]; then
    cat >run.sh <<'RUN'
#!/usr/bin/env bash
set -euo pipefail
folder=$(dirname "$(readlink -f "$0")")
. "${folder}/utils/guard.sh"
cd "${folder}"

# The sets that local/data.sh makes; further options: ./run.sh --help
exec ./hasrd.sh \
    --train_set train \
    --valid_set valid \
    --test_sets "test" \
    "$@"
RUN
    chmod +x run.sh
fi

if [ ! -e local/data.sh ]; then
    cat >local/data.sh <<'DATA'
#!/usr/bin/env bash
# Makes the data directories of this corpus: data/train, data/valid and data/test (hasrd.sh says where, by datadir), each
# with the files
#
#   wav.scp    <utterance> <path of an audio file: WAV or FLAC, 16 kHz, one channel>
#   text       <utterance> <words>
#   utt2spk    <utterance> <speaker>
#
# one utterance a line, sorted by utterance (LC_ALL=C sort). A speaker is in one set alone; for a corpus of one voice,
# add "--single_speaker true" to run.sh.
set -euo pipefail
. ./path.sh
. ./db.sh

# Where the corpus is: in db.sh or in the environment.
corpus=${MY_CORPUS:-}
datadir=${datadir:-data}
if [ -z "${corpus}" ]; then
    echo "error: MY_CORPUS is not set: write local/data.sh for your corpus (see its head), and set MY_CORPUS in db.sh" >&2
    exit 1
fi

for set in train valid test; do
    mkdir -p "${datadir}/${set}"
    # For files such as ${corpus}/train/<speaker>/<utterance>.wav with <utterance>.txt beside them:
    find "${corpus}/${set}" -name '*.wav' | while read -r file; do
        echo "$(basename "${file}" .wav) ${file}"
    done | sort >"${datadir}/${set}/wav.scp"
    while read -r utterance file; do
        echo "${utterance} $(basename "$(dirname "${file}")")"
    done <"${datadir}/${set}/wav.scp" >"${datadir}/${set}/utt2spk"
    while read -r utterance file; do
        echo "${utterance} $(tr '\n' ' ' <"${file%.wav}.txt")"
    done <"${datadir}/${set}/wav.scp" >"${datadir}/${set}/text"
done
DATA
    chmod +x local/data.sh
fi
echo "made $(pwd): write local/data.sh, then ./run.sh"
