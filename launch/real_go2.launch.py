"""The whole stack on a Go2: `ros2 launch safe_locomotion real_go2.launch.py interface:=eth0`.

`release_motion:=true` first lays the robot down and releases its own motion service.
"""

from safe_locomotion.nodes.launching import launch_description


def generate_launch_description():
    """The description that `ros2 launch` runs."""
    return launch_description("real", "go2")
