#!/bin/sh
# usage: tools/setup.sh run|robot|test|torch|colcon
#
# Brings a virtual environment to what the lock files say, and does nothing when it is there already:
#   run     .venv with everything the program needs, and the program itself, linked to this checkout
#   robot   .venv with what the computer of a robot needs: no simulator, no viewer, no plots
#   test    what `run` brings, and what `make test`, `make lint` and `make docs` need
#   torch   the same, and torch, which only tests of exported policies use
#   colcon  .venv-colcon, which builds the package as a ROS workspace would
# ROS 2 comes from the distribution that is sourced in this shell, or else from PyPI. PYTHON names the interpreter to use.
set -eu
cd "$(dirname "$0")/.."

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

supported() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        if supported "$python"; then
            echo "$python"
            return
        fi
    done
    fail "no Python 3.10 to 3.13 among: ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}" \
        "name one with: make setup PYTHON=/path/to/python"
}

# check_ros PYTHON: stops with the way out when this machine cannot have ROS 2 for that interpreter.
check_ros() {
    if [ -n "${ROS_DISTRO:-}" ]; then
        "$1" -c 'import rclpy' 2>/dev/null || fail \
            "ROS $ROS_DISTRO is sourced, but $1 cannot import its rclpy" \
            "use the distribution's interpreter (make setup PYTHON=/usr/bin/python3), or a shell without ROS"
    elif [ "$(uname -m)" != x86_64 ]; then
        fail "PyPI carries ROS 2 for x86-64 only; on $(uname -m) install a distribution and source its setup.bash first"
    fi
}

# create FOLDER PYTHON OPTION...
create() {
    folder=$1 python=$2
    shift 2
    rm -rf "$folder"
    "$python" -m venv "$@" "$folder" >"$folder.log" 2>&1 || "$python" -m virtualenv "$@" "$folder" >>"$folder.log" 2>&1 || {
        sed 's/^/    /' "$folder.log" >&2
        rm -rf "$folder" "$folder.log"
        fail "$python cannot make a virtual environment; on Debian and Ubuntu: sudo apt install python3-venv"
    }
    rm -f "$folder.log"
}

case "${1:-}" in
    run) folder=.venv locks="requirements/run.lock" ;;
    robot) folder=.venv locks="requirements/robot.lock" ;;
    test | torch) folder=.venv locks="requirements/run.lock requirements/test.lock requirements/docs.lock" ;;
    colcon) folder=.venv-colcon locks="requirements/colcon.lock" ;;
    *) fail "usage: $0 run|robot|test|torch|colcon" ;;
esac

# A PYTHONPATH from elsewhere would shadow the locked packages; the one that ROS sets is how rclpy is found.
[ -n "${ROS_DISTRO:-}" ] || unset PYTHONPATH
if [ "$folder" = .venv ] && [ -z "${ROS_DISTRO:-}" ]; then
    locks="$locks requirements/ros.lock"
fi

# The environment is thrown away when it was made for another place, interpreter or ROS, and completed when a file changed.
place="$PWD ${ROS_DISTRO:-pypi}"
state=$(cat requirements/*.lock setup.py tools/setup.sh tools/cyclonedds.sh | sha256sum)
usable() {
    [ -x "$folder/bin/python" ] && [ "$(cat "$folder/.place" 2>/dev/null)" = "$place" ] &&
        [ "$("${PYTHON:-$folder/bin/python}" --version)" = "$("$folder/bin/python" --version)" ]
}
if usable; then
    # Asking for less than what is there is fine: `run` is part of `test`, `test` of `torch`.
    case $1 in
        run) stamps="run test torch" ;;
        robot) stamps="robot run test torch" ;;
        test) stamps="test torch" ;;
        *) stamps=$1 ;;
    esac
    for stamp in $stamps; do
        [ "$(cat "$folder/.state-$stamp" 2>/dev/null)" = "$state" ] && exit 0
    done
else
    python=$(find_python)
    if [ "$folder" = .venv ]; then
        check_ros "$python"
        echo "Creating $folder with $("$python" --version) and installing packages: one to three minutes, this once."
        create "$folder" "$python" ${ROS_DISTRO:+--system-site-packages}
    else
        create "$folder" "$python"
    fi
    echo "$place" >"$folder/.place"
fi

pip() {
    "$folder/bin/python" -m pip --disable-pip-version-check "$@"
}

rm -f "$folder"/.state-*
# empy, which ROS needs, has no wheel; anything else without one would want a compiler, and is refused. So is a file that is
# not the one that was locked. Where PyPI has no wheel of Cyclone DDS either, it is built from its source.
wheels() {
    pip install -qq --no-deps --require-hashes --only-binary=:all: --no-binary=empy $(printf -- '--requirement %s ' "$@")
}
if [ "$folder" = .venv ] && [ "$(uname -m)" != x86_64 ]; then
    awk '/^[^ #]/ { left_out = /^cyclonedds==/ } !left_out' $locks >"$folder/.wheels"
    wheels "$folder/.wheels"
    tools/cyclonedds.sh "$PWD/$folder/bin/python" "$PWD/$folder/cyclonedds"
else
    wheels $locks
fi
if [ "$folder" = .venv ]; then
    pip install -qq --no-deps --no-build-isolation --editable .
fi
if [ "$1" = torch ]; then
    echo "$state" >"$folder/.state-test" # holds without torch, too
    # The build without CUDA has an index of its own, whose files have other hashes than PyPI's, so none are required here. A
    # machine that does not reach it may hold the wheel itself. Compiling a
    # library of this size would take longer than all tests with it.
    sed '/--hash=/d; s/ *\\$//' requirements/torch.lock >"$folder/.torch"
    pip install -qq --no-deps --only-binary=:all: --no-compile --timeout 15 --retries 0 \
        --extra-index-url https://download.pytorch.org/whl/cpu --requirement "$folder/.torch"
fi
echo "$state" >"$folder/.state-$1"
