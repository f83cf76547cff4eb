"""The whole stack on the simulated Go1: `ros2 launch safe_locomotion sim_go1.launch.py`."""

from safe_locomotion.nodes.launching import launch_description


def generate_launch_description():
    """The description that `ros2 launch` runs."""
    return launch_description("sim", "go1")
