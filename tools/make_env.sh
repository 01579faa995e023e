#!/usr/bin/env bash
# make_env.sh DIR: an environment in DIR with uv in it, unless a working one is there.
# $PYTHON says which interpreter; without it the first on PATH that is new enough.
set -euo pipefail
dir=$1
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

if "$dir/bin/python" -c "$new_enough" 2>/dev/null && "$dir/bin/uv" --version >/dev/null 2>&1; then
    exit 0
fi

if [ -n "${PYTHON:-}" ]; then
    candidates=("$PYTHON")
else
    candidates=(python3.11 python3.12 python3.13 python3.14 python3 python)
fi
python=
for candidate in "${candidates[@]}"; do
    # Running it is the only proof: a version manager's shim is on PATH even when it leads nowhere.
    if "$candidate" -c "$new_enough" >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "genro-storage needs Python 3.11 or newer; tried: ${candidates[*]}" >&2
    echo "Install one, or say where it is: make PYTHON=/path/to/python3.11 ..." >&2
    exit 1
fi

echo "creating $dir with $("$python" --version), and uv in it"
if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    "$python" -m venv --clear "$dir"
    "$dir/bin/python" -m pip install --quiet uv
else
    # Debian without python3-venv has no ensurepip; its pip can install into another environment.
    "$python" -m venv --clear --without-pip "$dir"
    "$python" -m pip --python "$dir/bin/python" install --quiet uv
fi
