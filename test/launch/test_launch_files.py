"""The launch files run against small stand-ins for `launch` and `launch_ros`.

The real ones exist only in ROS distributions.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml
from places import ROOT

from safe_locomotion import PARENT
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.runtime.launch_arguments import launch_arguments, options_from_launch
from safe_locomotion.runtime.stack import stack

LAUNCH = ROOT / "launch"
FILES = {
    **{f"sim_{robot}": ("sim", robot) for robot in ("a1", "go1", "go2", "laikago")},
    "sim_robot": ("sim", ""),
    **{f"real_{robot}": ("real", robot) for robot in ("a1", "go1", "go2")},
}
NEEDED = {
    "real_go2": {"interface": "eth0"},
    "sim_robot": {"robot": "go2"},
}  #: arguments without a usable default


class Recorded:
    """Keeps how it was called."""

    def __init__(self, *args, **kwargs):
        self.args = args
        self.kwargs = kwargs


def actions(name):
    """A stand-in class of that name."""
    return type(name, (Recorded,), {})


class LaunchConfiguration(Recorded):
    def perform(self, context):
        """The argument's value."""
        return context.values[self.args[0]]


@pytest.fixture
def ros_launch(monkeypatch):
    """Stand-ins with the names that our launch code imports."""
    modules = {
        name: ModuleType(name)
        for name in (
            "launch",
            "launch.actions",
            "launch.substitutions",
            "launch_ros",
            "launch_ros.actions",
            "launch_ros.substitutions",
        )
    }
    modules["launch"].LaunchDescription = actions("LaunchDescription")
    for name in (
        "DeclareLaunchArgument",
        "ExecuteProcess",
        "LogInfo",
        "OpaqueFunction",
        "Shutdown",
    ):
        setattr(modules["launch.actions"], name, actions(name))
    modules["launch.substitutions"].LaunchConfiguration = LaunchConfiguration
    modules["launch_ros.actions"].Node = actions("Node")
    modules["launch_ros.substitutions"].ExecutableInPackage = actions("ExecutableInPackage")
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "safe_locomotion.nodes.launching", raising=False)
    yield
    sys.modules.pop("safe_locomotion.nodes.launching", None)


def described(name):
    """Entities of a launch file."""
    spec = importlib.util.spec_from_file_location(name, LAUNCH / f"{name}.launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description().args[0]


def started(name, **values):
    """Processes that the launch file starts with these arguments."""
    entities = described(name)
    defaults = {
        e.args[0]: e.kwargs["default_value"]
        for e in entities
        if type(e).__name__ == "DeclareLaunchArgument"
    }
    given = defaults | values
    context = SimpleNamespace(values=given, launch_configurations=given)
    return entities[-1].kwargs["function"](context)


def written(action):
    """Parameters in the file that an action gives its process."""
    flag, path, *enclave = action.kwargs["ros_arguments"]
    assert flag == "--params-file"
    assert enclave == ["--enclave", f"/safe_locomotion/{action.kwargs['executable']}"]
    file = Path(path)
    try:
        return yaml.safe_load(file.read_text())
    finally:
        file.unlink()


def test_every_launch_file_is_tested():
    """No launch file is left out here."""
    assert {path.name.removesuffix(".launch.py") for path in LAUNCH.glob("*.launch.py")} == set(
        FILES
    )


@pytest.mark.parametrize("name", FILES)
def test_arguments_are_those_of_the_stack(ros_launch, name):
    """Each argument of the description is declared with its default and choices."""
    declared = {
        e.args[0]: e.kwargs for e in described(name) if type(e).__name__ == "DeclareLaunchArgument"
    }
    for argument in launch_arguments(*FILES[name]):
        kwargs = declared.pop(argument.name)
        assert kwargs["default_value"] == argument.default and kwargs["description"]
        assert tuple(kwargs.get("choices", ())) == argument.choices
    assert not declared


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("graph", ["nodes", "composed"])
def test_processes_are_those_of_the_stack(ros_launch, monkeypatch, name, graph):
    """The launch file starts exactly the described processes with the described words."""
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    world, robot = FILES[name]
    trust = {"trust_domain": "true"} if world == "real" else {}
    given = {"graph": graph, **NEEDED.get(name, {}), **trust}
    expected = stack(options_from_launch(world, robot, given))
    found = started(name, **given)
    assert len(found) == len(expected)
    for action, process in zip(found, expected, strict=True):
        assert ("on_exit" in action.kwargs) == process.essential
        if process.parameters:
            assert (
                action.kwargs["package"] == "safe_locomotion"
                and action.kwargs["executable"] == process.executable
            )
            assert action.kwargs["arguments"] == [*process.arguments]
            assert written(action) == {
                f"/**/{node}": {"ros__parameters": dict(parameters)}
                for node, parameters in process.parameters.items()
            }
        else:
            executable, *words = action.kwargs["cmd"]
            assert executable.args == (process.executable, "safe_locomotion")
            assert words == [*process.arguments]
        reach = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"} if world == "real" else {}
        assert action.kwargs["additional_env"] == {PARENT: str(os.getpid()), **reach}


def test_a_process_that_ends_ends_the_stack_once(ros_launch):
    """The first process to end shuts the launch down, but not a second time.

    One that fails fails the launch, so that `ros2 launch` exits with another status than 0.
    """
    on_exit = started("real_a1")[0].kwargs["on_exit"]
    ended = SimpleNamespace(process_name="composed_node", returncode=0)
    failed = SimpleNamespace(process_name="composed_node", returncode=1)
    assert type(on_exit(ended, SimpleNamespace(is_shutdown=False))).__name__ == "Shutdown"
    with pytest.raises(SafeLocomotionError, match="composed_node ended with status 1"):
        on_exit(failed, SimpleNamespace(is_shutdown=False))
    assert on_exit(failed, SimpleNamespace(is_shutdown=True)) is None
    monitor = started("real_a1")[-1].kwargs  # may end, and comes back
    assert "on_exit" not in monitor and monitor["respawn"] and monitor["respawn_delay"] > 0.0
    assert "respawn" not in started("real_a1")[0].kwargs


def test_a_misspelt_argument_is_said(ros_launch):
    """`ros2 launch` takes any argument; ours warn of names that resemble one of their own."""
    advice, *others = started("sim_a1", polcy="a1_trot", map_frame="map")
    assert advice.kwargs["msg"] == "launch argument 'polcy' does not exist; did you mean 'policy'?"
    assert {type(action).__name__ for action in others} == {"ExecuteProcess", "Node"}


def test_a_launch_file_without_a_robot_asks_for_one(ros_launch):
    """`sim_robot` starts the robot that its argument names, and refuses to start without it."""
    assert "go2" in started("sim_robot", robot="go2")[0].kwargs["cmd"]
    with pytest.raises(SafeLocomotionError, match="robot:=go2"):
        started("sim_robot")


def test_the_namespace_is_that_of_every_node(ros_launch):
    """Each node gets the namespace; without one, it keeps that of a launch file around ours."""
    for given, expected in (("", None), ("a1", "a1")):
        nodes = [
            action
            for action in started("sim_a1", graph="nodes", namespace=given)
            if type(action).__name__ == "Node"
        ]
        assert len(nodes) == 6
        assert {node.kwargs["namespace"] for node in nodes} == {expected}


@pytest.mark.parametrize(
    ("given", "distribution", "expected"),
    [
        ({}, "kilted", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}),
        ({"discovery": "subnet"}, "jazzy", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}),
        ({"discovery": "environment"}, "kilted", {}),
        ({}, "humble", {"ROS_LOCALHOST_ONLY": "1"}),
        ({"discovery": "subnet"}, "humble", {"ROS_LOCALHOST_ONLY": "0"}),
        ({"discovery": "environment"}, "humble", {}),
    ],
)
def test_nodes_on_hardware_are_found_from_this_machine_alone(
    ros_launch, monkeypatch, given, distribution, expected
):
    """Unless the user says otherwise; each process gets the variables of its distribution."""
    monkeypatch.setenv("ROS_DISTRO", distribution)
    for action in started("real_a1", **given):
        environment = dict(action.kwargs["additional_env"])
        assert environment.pop(PARENT)
        assert environment == expected


@pytest.mark.skipif(shutil.which("ros2") is None, reason="needs the ros2 of a distribution")
@pytest.mark.parametrize("name", FILES)
def test_ros2_reads_every_launch_file(name):
    """The real `ros2 launch` loads the file and shows each argument."""
    command = ["ros2", "launch", str(LAUNCH / f"{name}.launch.py"), "--show-args"]
    paths = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    shown = subprocess.run(
        command, cwd="/", env=environment, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    for argument in launch_arguments(*FILES[name]):
        assert f"'{argument.name}':" in shown.stdout
