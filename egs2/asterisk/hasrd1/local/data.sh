#!/usr/bin/env bash
# Copyright 2026 The hasrd authors
# Apache-2.0
# Telephone prompts of one voice a language: data/{train,valid,test}. Options go to hasrd.bin.prepare, for example
# --langs "en es fr it ru".
set -euo pipefail

. utils/guard.sh
. ./path.sh
. ./db.sh

# hasrd.sh says where the data directories go.
datadir=${datadir:-data}
attend python -m hasrd.bin.prepare asterisk --out "${datadir}" --root "${ASTERISK:-}" "$@"
