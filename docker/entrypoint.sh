#!/bin/bash
# Runs a command with ROS, the environment and the built package on its paths.
set -e
here="$(dirname "$0")/.."
source "/opt/ros/$ROS_DISTRO/setup.bash"
source "$here/.venv/bin/activate"
source "$here/install/setup.bash"
exec "$@"
