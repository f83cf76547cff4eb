"""The whole stack on any simulated robot, for instance one of one's own (docs/own_robot.md).

`ros2 launch safe_locomotion sim_robot.launch.py robot:=go2`
"""

from safe_locomotion.nodes.launching import launch_description


def generate_launch_description():
    """The description that `ros2 launch` runs."""
    return launch_description("sim", "")
