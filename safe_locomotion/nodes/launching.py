"""The stack as a `ros2 launch` description.

It needs `launch` and `launch_ros` of a ROS 2 distribution.
"""

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    Shutdown,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage

from launch import LaunchDescription
from safe_locomotion import PARENT
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.runtime.launch_arguments import (
    discovery_environment,
    launch_arguments,
    options_from_launch,
    unknown_arguments,
)
from safe_locomotion.runtime.stack import PACKAGE, Process, World, stack

RESPAWN_S = 2.0  #: until a watcher that ended is started again


class StackEndedError(SafeLocomotionError):
    """A process without which the stack cannot go on has failed."""


def launch_description(world: World, robot: str) -> LaunchDescription:
    """Launch description of one world and robot, with its `launch_arguments`."""
    arguments = launch_arguments(world, robot)

    def start(context: Any) -> list[Any]:
        values = {
            argument.name: LaunchConfiguration(argument.name).perform(context)
            for argument in arguments
        }
        advice = unknown_arguments(world, robot, context.launch_configurations)
        processes = stack(options_from_launch(world, robot, values))
        environment = {
            PARENT: str(os.getpid()),
            **discovery_environment(values, os.environ.get("ROS_DISTRO", "")),
        }
        return [
            *(LogInfo(msg=line) for line in advice),
            *(_action(process, values["namespace"], environment) for process in processes),
        ]

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


def _action(process: Process, namespace: str, environment: Mapping[str, str]) -> Any:
    """A process; if an essential one ends, the whole stack ends.

    The installed executables run, because `ros2` may run under another interpreter than theirs.
    The processes end with this one, also when it is killed.
    """
    ending: dict[str, Any] = {"on_exit": _end}
    if not process.essential:  # a watcher that fails comes back, and launch says so
        ending = {"prefix": " ".join(process.prefix), "respawn": True, "respawn_delay": RESPAWN_S}
    usual: dict[str, Any] = {
        "output": "screen",
        "additional_env": dict(environment),
        **ending,
    }
    if not process.parameters:
        command = [ExecutableInPackage(process.executable, PACKAGE), *process.arguments]
        return ExecuteProcess(cmd=command, name=process.name, **usual)
    return Node(
        package=PACKAGE,
        executable=process.executable,
        namespace=namespace or None,
        arguments=list(process.arguments),
        ros_arguments=["--params-file", _written(process), "--enclave", process.enclave],
        **usual,
    )


def _written(process: Process) -> str:
    """Path of a new file with the parameters of the process, as `launch_ros` makes them."""
    with tempfile.NamedTemporaryFile(
        mode="w", prefix=f"{process.name}_", suffix=".yaml", delete=False
    ) as file:
        file.write(process.parameter_file())
    return file.name


def _end(event: Any, context: Any) -> Any:
    """Shut down, unless a shut-down has ended the process.

    A second Shutdown would make Ctrl-C exit with 1.

    Raises:
        StackEndedError: the process failed. `ros2 launch` then exits with 1.
    """
    if context.is_shutdown:
        return None
    ending = f"{event.process_name} ended with status {event.returncode}"
    if event.returncode:
        raise StackEndedError(ending)
    return Shutdown(reason=ending)
