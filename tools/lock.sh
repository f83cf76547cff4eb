#!/bin/sh
# usage: tools/lock.sh [--keep]
#
# Resolves the requirements of setup.py anew and writes exact versions, with the SHA-256 of their files, for Python 3.10 to
# 3.13 to requirements/*.lock. With --keep, packages that are locked already keep their versions.
set -eu
cd "$(dirname "$0")/.."
unset PYTHONPATH

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet uv

case "${1:-}" in
    "") upgrade=--upgrade ;;
    --keep) upgrade= ;;
    *) echo "usage: $0 [--keep]" >&2 && exit 1 ;;
esac

# Each package on one line with its hashes, and back.
joined() { sed -e ':more' -e '/\\$/N' -e 's/ *\\\n */ \\ /' -e 'tmore' "$1"; }
split() { sed 's/ \\ --hash/ \\\n    --hash/g'; }

# new SEEN JOINED: packages of JOINED that SEEN does not hold for the same machines, or for more of them.
new() {
    awk '{ line = $0; sub(/ \\ --hash.*/, ""); sub(/( and| ;) platform_python_implementation == .CPython. and sys_platform == .linux.$/, ""); pin = $1; marker = $0; sub(/^[^ ]+( ; )?/, "", marker) }
        NR == FNR { seen[pin] = seen[pin] "\n" marker; next }
        {
            known = 0
            count = (pin in seen) ? split(seen[pin], markers, "\n") : 0
            for (k = 2; k <= count; k++)
                if (markers[k] == "" || markers[k] == marker || index(marker, markers[k] " and ") == 1) known = 1
            if (!known) print line
        }' "$1" "$2"
}

# resolve NAME ARGUMENT...: writes requirements/NAME.lock without the packages that the locks before it already hold.
resolve() {
    name=$1
    shift
    [ -n "$upgrade" ] || cat requirements/*.lock >"$scratch/$name.lock"
    "$scratch/venv/bin/uv" pip compile --quiet --universal --python-version 3.10 --no-annotate --no-header $upgrade \
        --generate-hashes "$@" --output-file "$scratch/$name.lock"
    joined "$scratch/$name.lock" >"$scratch/joined"
    {
        echo "# Written by 'make lock'; do not edit."
        new "$scratch/seen" "$scratch/joined" | sed "s/ and $linux\( \\\\.*\|\)\$/\1/; s/ ; $linux\( \\\\.*\|\)\$/\1/" | split
    } >"requirements/$name.lock.new"
    cat "$scratch/joined" >>"$scratch/seen"
}

linux="platform_python_implementation == 'CPython' and sys_platform == 'linux'" # said of every line
echo "no such line" >"$scratch/seen"
resolve run setup.py --extra sim --extra robot --extra record --extra viewer --extra bench --extra sign
resolve ros setup.py --extra ros --constraint "$scratch/run.lock"
resolve test setup.py --extra test --constraint "$scratch/run.lock" --constraint "$scratch/ros.lock"
resolve docs setup.py --extra docs --constraint "$scratch/run.lock" --constraint "$scratch/test.lock"
resolve torch setup.py --extra torch --constraint "$scratch/run.lock" --constraint "$scratch/test.lock"
echo "no such line" >"$scratch/seen"
resolve robot setup.py --extra robot --extra record --extra sign --constraint "$scratch/run.lock"
echo "no such line" >"$scratch/seen"
resolve colcon requirements/colcon.in

for lock in requirements/*.lock.new; do
    mv "$lock" "${lock%.new}"
done
