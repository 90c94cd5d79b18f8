#!/usr/bin/env bash
# Puts this checkout into a virtual environment of its own and prints the path of its `bench`.
#
#   BENCH_PYTHON   the Python to do it with, 3.11 or newer (python3)
#   BENCH_VENV     where to (the runner's temporary folder, else .venv beside this checkout's files)
#
# Editable: what runs is the checkout itself.
set -euo pipefail
home="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${BENCH_PYTHON:-python3}"
place="${BENCH_VENV:-${RUNNER_TEMP:+$RUNNER_TEMP/bench-venv}}"
place="${place:-$home/.venv}"

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "bench: $python is no Python 3.11 or newer; name one (python-version, BENCH_PYTHON)" >&2
  exit 2
fi
"$python" -m venv "$place" >&2
"$place/bin/pip" install --quiet --disable-pip-version-check \
  --constraint "$home/constraints.txt" --editable "$home" >&2
printf '%s\n' "$place/bin/bench"
