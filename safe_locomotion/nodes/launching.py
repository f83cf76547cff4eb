"""The stack as a `ros2 launch` description.

It needs `launch` and `launch_ros` of a ROS 2 distribution.
"""

from typing import Any

from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from safe_locomotion.runtime.launch_arguments import launch_arguments, options_from_launch
from safe_locomotion.runtime.stack import PACKAGE, Process, World, stack


def launch_description(world: World, robot: str) -> LaunchDescription:
    """Launch description of one world and robot, with its `launch_arguments`."""
    arguments = launch_arguments(world, robot)

    def start(context: Any) -> list[Any]:
        values = {
            argument.name: LaunchConfiguration(argument.name).perform(context)
            for argument in arguments
        }
        return [_action(process) for process in stack(options_from_launch(world, robot, values))]

    declared = [
        DeclareLaunchArgument(
            a.name,
            default_value=a.default,
            description=a.description,
            **({"choices": a.choices} if a.choices else {}),
        )
        for a in arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def _action(process: Process) -> Any:
    """A process; if an essential one ends, the whole stack ends.

    The parameters go as arguments, addressed to their nodes and with their types, because one
    process may hold five nodes.
    """
    ending = {"on_exit": _end} if process.essential else {"prefix": " ".join(process.prefix)}
    if not process.parameters:
        return ExecuteProcess(cmd=process.command(), name=process.name, output="screen", **ending)
    words = [*process.arguments, *process.ros_arguments()]
    return Node(
        package=PACKAGE, executable=process.executable, arguments=words, output="screen", **ending
    )


def _end(event: Any, context: Any) -> Any:
    """Shut down, unless a shut-down has ended the process.

    A second Shutdown would make Ctrl-C exit with 1.
    """
    if context.is_shutdown:
        return None
    return Shutdown(reason=f"{event.process_name} ended with status {event.returncode}")
