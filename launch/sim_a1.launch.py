"""The whole stack on the simulated A1: `ros2 launch safe_locomotion sim_a1.launch.py`."""

from safe_locomotion.nodes.launching import launch_description


def generate_launch_description():
    return launch_description("sim", "a1")
