#!/bin/sh
# usage: tools/cyclonedds.sh PYTHON FOLDER
#
# Builds Cyclone DDS from its source into FOLDER, and its Python package for the interpreter PYTHON. PyPI has no wheel of
# that package for aarch64, so `make setup` and `make setup-robot` call this there. CYCLONEDDS_SOURCE may name another
# place of the source, such as a checkout on a machine without a network.
set -eu
cd "$(dirname "$0")/.."

# The version of the lock, and the commit that carries its tag: what git fetches by this name cannot be anything else.
version=11.0.1
commit=e54e991f75a3e67f8e628da3171122e36ea5b872
source=${CYCLONEDDS_SOURCE:-https://github.com/eclipse-cyclonedds/cyclonedds}
packages="git cmake gcc g++ python3-dev"

fail() {
    printf 'cyclonedds: %s\n' "$@" >&2
    exit 1
}

python=$1 folder=$2
for tool in git cmake gcc; do
    command -v "$tool" >/dev/null || fail "$tool is missing: sudo apt install $packages"
done
"$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null ||
    fail "Python.h is missing: sudo apt install $packages"

if ! [ "$(cat "$folder/.commit" 2>/dev/null)" = "$commit" ]; then
    echo "Building Cyclone DDS $version from its source, this once."
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    rm -rf "$folder"
    git init --quiet "$scratch/source"
    git -C "$scratch/source" fetch --quiet --depth 1 "$source" "$commit" || fail "no commit $commit in $source"
    git -C "$scratch/source" -c advice.detachedHead=false checkout --quiet FETCH_HEAD
    # Without its compiler of IDL, its tools and encryption: the Python package needs the library alone.
    cmake -S "$scratch/source" -B "$scratch/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$folder" \
        -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_IDLC=OFF -DBUILD_DDSPERF=OFF -DENABLE_SSL=OFF -DENABLE_SECURITY=OFF \
        -DENABLE_LTO=OFF -DENABLE_ICEORYX=OFF >"$scratch/log" 2>&1 &&
        cmake --build "$scratch/build" --parallel --target install >>"$scratch/log" 2>&1 || {
        tail -n 20 "$scratch/log" >&2
        fail "the build failed; its last lines are above"
    }
    mkdir -p "$folder/bin" # the search of the Python package asks for one
    echo "$commit" >"$folder/.commit"
fi
# The line of the lock, with its hashes. The path of the library is linked into the module, so no wheel of another place may
# come from the cache.
awk '/^[^ #]/ { ours = /^cyclonedds==/ } ours' requirements/robot.lock >"$folder/requirement"
CYCLONEDDS_HOME=$folder LDFLAGS="-Wl,-rpath,$folder/lib" "$python" -m pip --disable-pip-version-check install -qq --no-deps --no-build-isolation \
    --no-cache-dir --require-hashes --no-binary=cyclonedds --requirement "$folder/requirement"
