#!/bin/sh
# Resolves the requirements of setup.py anew and writes exact versions for Python 3.10 to 3.13 to requirements/*.lock.
set -eu
cd "$(dirname "$0")/.."
unset PYTHONPATH

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet uv

# resolve NAME ARGUMENT...: writes requirements/NAME.lock without the lines that the locks before it already hold.
resolve() {
    name=$1
    shift
    "$scratch/venv/bin/uv" pip compile --quiet --universal --python-version 3.10 --no-annotate --no-header --upgrade \
        "$@" --output-file "$scratch/$name.lock"
    {
        echo "# Written by 'make lock'; do not edit."
        grep -vxF -f "$scratch/seen" "$scratch/$name.lock" | sed "s/ and $linux\$//; s/ ; $linux\$//"
    } >"requirements/$name.lock"
    cat "$scratch/$name.lock" >>"$scratch/seen"
}

linux="sys_platform == 'linux'" # said of every line
echo "no such line" >"$scratch/seen"
resolve run setup.py --extra sim --extra robot --extra record --extra viewer --extra bench
resolve ros setup.py --extra ros --constraint "$scratch/run.lock"
resolve test setup.py --extra test --constraint "$scratch/run.lock" --constraint "$scratch/ros.lock"
resolve docs setup.py --extra docs --constraint "$scratch/run.lock" --constraint "$scratch/test.lock"
resolve torch setup.py --extra torch --constraint "$scratch/run.lock" --constraint "$scratch/test.lock"
echo "no such line" >"$scratch/seen"
resolve colcon requirements/colcon.in
