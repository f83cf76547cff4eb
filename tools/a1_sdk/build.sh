#!/bin/sh
# usage: tools/a1_sdk/build.sh SDK [FOLDER]
#
# Compiles the Python module robot_interface for an A1 against SDK, a checkout of v3.3.1 of
# github.com/unitreerobotics/unitree_legged_sdk. It needs g++ and the headers of Python. The module
# goes into FOLDER, by default build/a1_sdk.
set -eu
cd "$(dirname "$0")/../.."
fail() {
    echo "error: $*" >&2
    exit 2
}
sdk=${1:-}
out=${2:-build/a1_sdk}
[ -n "$sdk" ] || fail "name the folder of the vendor's SDK, e.g. make a1-sdk SDK=~/unitree_legged_sdk"
[ -f "$sdk/include/unitree_legged_sdk/udp.h" ] || fail "$sdk: no unitree_legged_sdk here; clone it, then: git checkout v3.3.1"
grep -q A1 "$sdk/include/unitree_legged_sdk/quadruped.h" || fail "$sdk: this version knows no A1; git checkout v3.3.1"
case $(uname -m) in
    x86_64) library=unitree_legged_sdk_amd64 ;;
    aarch64) library=unitree_legged_sdk_arm64 ;;
    *) fail "the vendor has no library for $(uname -m)" ;;
esac
[ -f "$sdk/lib/lib$library.so" ] || fail "$sdk/lib/lib$library.so is missing; git checkout v3.3.1"
command -v g++ >/dev/null || fail "g++ is missing; sudo apt install g++ python3-dev"
sdk=$(cd "$sdk" && pwd)
python=.venv/bin/python
mkdir -p "$out"
[ -d "$out/headers/pybind11" ] || $python -m pip install --quiet --no-deps --target "$out/headers" pybind11==3.0.1
suffix=$($python -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
include=$($python -c 'import sysconfig; print(sysconfig.get_path("include"))')
g++ -O2 -std=c++17 -shared -fPIC -fvisibility=hidden -Wall -Wno-address-of-packed-member \
    -I"$sdk/include" -I"$include" -I"$out/headers/pybind11/include" tools/a1_sdk/robot_interface.cpp \
    -L"$sdk/lib" -l"$library" -Wl,-rpath,"$sdk/lib" -o "$out/robot_interface$suffix"
PYTHONPATH=$out $python -c 'import robot_interface; print(robot_interface.__doc__)'
echo "export PYTHONPATH=$(cd "$out" && pwd):\$PYTHONPATH"
