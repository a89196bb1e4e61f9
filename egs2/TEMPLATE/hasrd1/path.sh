# Copyright 2026 The hasrd authors
# Apache-2.0
# Environment of the recipes: sourced by every script (". ./path.sh"). The first time, it installs the toolkit into
# tools/venv; with HASRD_PYTHON=/path/to/python it takes that Python as it is.

HASRD_ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../.." && pwd)
export HASRD_ROOT

"${HASRD_ROOT}/tools/install.sh" --quiet || { return 1 2>/dev/null || exit 1; }

if [ -n "${HASRD_PYTHON:-}" ]; then
    _hasrd_bin=$(dirname "$(command -v "${HASRD_PYTHON}")")
else
    _hasrd_bin=${HASRD_ROOT}/tools/venv/bin
fi
# Sourced more than once (a script calls another): each entry is added once.
case ":${PATH}:" in
    ":${_hasrd_bin}:"*) ;;
    *) export PATH="${_hasrd_bin}:${PATH}" ;;
esac
case ":${PYTHONPATH:-}:" in
    *":${HASRD_ROOT}:"*) ;;
    *) export PYTHONPATH="${HASRD_ROOT}${PYTHONPATH:+:${PYTHONPATH}}" ;;
esac
unset _hasrd_bin

# Stages run many processes side by side; one thread each, unless a stage or the user asks for more.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
# A waiting thread sleeps in place of spinning: on a machine that others use too, a training step on two spinning threads
# was measured to take ten times as long.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
# Sorting by bytes, the order that Kaldi data directories are checked for; text stays UTF-8.
export LC_ALL=C
export PYTHONUTF8=1 PYTHONIOENCODING=UTF-8
export PYTHONUNBUFFERED=1
# Compiled files halve the import time of ESPnet's tasks.
unset PYTHONDONTWRITEBYTECODE
