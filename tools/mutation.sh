#!/bin/sh
# usage: tools/mutation.sh [MODULE[=TEST,TEST...]...]
#
# Runs tools/mutation.py in an environment of its own: mutmut on top of what `make test` uses.
set -eu
cd "$(dirname "$0")/.."
folder=.venv-mutation
if [ ! -x $folder/bin/mutmut ]; then
    .venv/bin/python -m venv $folder
    $folder/bin/python -m pip install --quiet mutmut==3.8.1
    .venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
        >"$($folder/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tests.pth"
fi
exec $folder/bin/python tools/mutation.py "$@"
