#!/bin/sh
# Print the first interpreter that is Python >= 3.11 and can make virtual environments; PYTHON=... decides.
set -u
works() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python}; do
    if command -v "$candidate" >/dev/null 2>&1 && works "$candidate"; then
        command -v "$candidate"
        exit 0
    fi
done
if [ -n "${PYTHON:-}" ]; then
    echo "PYTHON=$PYTHON is not a Python 3.11 or later with venv; point PYTHON at one" >&2
else
    echo "no Python 3.11 or later with venv found; install one, or run: make PYTHON=/path/to/python3.11 ..." >&2
fi
exit 1
