"""The whole stack on an A1: `ros2 launch safe_locomotion real_a1.launch.py`."""

from safe_locomotion.nodes.launching import launch_description


def generate_launch_description():
    """The description that `ros2 launch` runs."""
    return launch_description("real", "a1")
