"""Arguments of the launch files: text in, options of a stack out."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.runtime.stack import (
    BRIDGE_STATES,
    CMD_VEL_TYPES,
    GRAPHS,
    SDKS,
    WATCHERS,
    Graph,
    StackOptions,
    Value,
    World,
    robot_sdk,
)

BOOLEANS = {"true": True, "false": False}
DISCOVERY: dict[str, dict[str, str]] = {
    "localhost": {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
    "subnet": {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"},
    "environment": {},
}
"""Environment of the nodes for each choice of `discovery`."""
HUMBLE = {"localhost": {"ROS_LOCALHOST_ONLY": "1"}, "subnet": {"ROS_LOCALHOST_ONLY": "0"}}
"""The same where ROS does not know the range yet."""
ALLOWED_WORDS = ("any", "installed")  #: of `allowed_policies`; anything else is a path
NONE = "none"  #: an empty list; `ros2 launch` takes no empty value


@dataclass(frozen=True)
class LaunchArgument:
    """An argument of `ros2 launch`: a text that `options_from_launch` checks."""

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


def _flag(name: str, default: str, description: str) -> LaunchArgument:
    return LaunchArgument(name, default, description, tuple(BOOLEANS))


COMMON = (
    LaunchArgument("graph", "composed", "one process or five", GRAPHS),
    LaunchArgument("config_file", "", "parameter file instead of config/<robot>.yaml"),
    LaunchArgument("policy", "nominal", "name of the policy that proposes"),
    LaunchArgument("cmd_vel_type", "TwistStamped", "type of cmd_vel", CMD_VEL_TYPES),
    LaunchArgument("autostart", "active", "lifecycle state of the bridge", BRIDGE_STATES),
    LaunchArgument(
        "watchers", "monitor", f"what else runs: some of {', '.join(WATCHERS)}, or {NONE}"
    ),
    LaunchArgument("record", "", "folder in which each walk is recorded; empty for none"),
    LaunchArgument(
        "record_quota",
        "0",
        "MB that all episodes may take; the oldest are then deleted; 0 deletes none",
    ),
    LaunchArgument("namespace", "", "ROS namespace of all nodes; empty for none"),
    LaunchArgument(
        "wire_domain", "", "DDS domain of the robot's SDK; empty for 1 in simulation, 0 on hardware"
    ),
    _flag("viewer", "false", "watch and drive from a browser"),
    LaunchArgument(
        "viewer_host", "127.0.0.1", "address that the viewer listens on; 0.0.0.0 is any"
    ),
    LaunchArgument("viewer_port", "8080", "port that the viewer listens on, or the next free one"),
)
SIMULATED = (
    _flag("realtime", "false", "ask for real-time scheduling"),
    _flag("lock_step", "false", "the robot waits for the stack"),
    LaunchArgument("robot_arguments", "", "more arguments for the simulated robot"),
)
HARDWARE = (
    _flag("realtime", "true", "ask for real-time scheduling"),
    _flag("trust_domain", "false", "allow graph:=nodes, which trusts each program of the domain"),
    LaunchArgument(
        "discovery",
        "localhost",
        "which programs the ROS nodes find: of this machine, of its networks, or as the"
        " environment says",
        tuple(DISCOVERY),
    ),
    LaunchArgument(
        "allowed_policies",
        "installed",
        "policy files that may drive: installed, any, or a list of SHA-256 and keys",
    ),
    LaunchArgument("interface", "", "network interface to the robot (unitree_sdk2)"),
    LaunchArgument(
        "tick_unit", "", "unit of the robot's clock (legged_sdk): us, ms, auto; empty for its usual"
    ),
    LaunchArgument(
        "tolerate",
        "",
        "what a simulator on lo may leave out of its states: some of crc, tick, mode",
    ),
    LaunchArgument("mock_log", "", "log of states that sdk:=mock replays, .npz"),
    _flag(
        "release_motion",
        "false",
        "first lay the robot down and release its own motion service (unitree_sdk2)",
    ),
)

NAMED = LaunchArgument("robot", "", "robot of the package, or of one's own, see docs/own_robot.md")


def launch_arguments(world: World, robot: str) -> tuple[LaunchArgument, ...]:
    """Arguments of a launch file for this world and robot; without a robot, one more names it."""
    if world == "sim":
        return (*(() if robot else (NAMED,)), *COMMON, *SIMULATED)
    sdk = LaunchArgument("sdk", robot_sdk(robot), "SDK that the robot speaks", SDKS)
    return (*COMMON, sdk, *HARDWARE)


def options_from_launch(world: World, robot: str, values: Mapping[str, str]) -> StackOptions:
    """Stack options from the text values of `launch_arguments`.

    Raises:
        ConfigurationError: an argument or a value does not exist.
    """
    known = {argument.name: argument for argument in launch_arguments(world, robot)}
    for name, value in values.items():
        if name not in known:
            raise UnknownNameError("launch argument", name, known)
        if known[name].choices and value not in known[name].choices:
            raise UnknownNameError(name, value, known[name].choices)
    given = {name: argument.default for name, argument in known.items()} | dict(values)
    graph: Graph = "nodes" if given["graph"] == "nodes" else "composed"
    viewer: dict[str, Value] = {
        "host": given["viewer_host"],
        "port": _number("viewer_port", given["viewer_port"]),
    }
    return StackOptions(
        robot=robot or _named(given["robot"]),
        world=world,
        graph=graph,
        sdk=given.get("sdk", "unitree_sdk2"),
        sdk_options=_sdk_options(given),
        config_file=given["config_file"],
        policy=given["policy"],
        cmd_vel_type=given["cmd_vel_type"],
        lock_step=BOOLEANS[given.get("lock_step", "false")],
        autostart=given["autostart"],
        realtime=BOOLEANS[given["realtime"]],
        robot_arguments=tuple(given.get("robot_arguments", "").split()),
        watchers=_watchers(given),
        record=_absolute(given["record"]) if given["record"] else "",
        overrides={
            "viewer_node": viewer,
            "recorder_node": {"quota_mb": float(_number("record_quota", given["record_quota"]))},
        },
        trust_domain=BOOLEANS[given.get("trust_domain", "false")],
        allowed_policies=_allowed(given.get("allowed_policies")),
    )


def _sdk_options(given: Mapping[str, str]) -> dict[str, Value]:
    options: dict[str, Value] = {}
    if given["wire_domain"]:
        if given.get("sdk", "unitree_sdk2") != "unitree_sdk2":
            raise ConfigurationError("wire_domain: only sdk unitree_sdk2 has DDS domains")
        options["domain"] = _number("wire_domain", given["wire_domain"])
    for name in ("tick_unit", "tolerate", "interface"):
        if given.get(name):
            options[name] = given[name]
    if given.get("sdk") == "mock" and not given["mock_log"]:
        raise ConfigurationError(
            "sdk mock needs the log that it replays, e.g. mock_log:=states.npz; the bridge writes"
            " one with log_dir and log_states"
        )
    if given.get("mock_log"):
        options |= {"path": _absolute(given["mock_log"]), "realtime": True}
    if BOOLEANS[given.get("release_motion", "false")]:
        options["release_motion"] = True
    return options


def discovery_environment(given: Mapping[str, str], distribution: str) -> dict[str, str]:
    """Environment variables by which the nodes find each other, and nobody else.

    Simulated stacks have no such argument: the robot's network is not there.

    Args:
        given: launch arguments.
        distribution: of ROS 2, e.g. "humble".
    """
    choice = given.get("discovery", "environment")
    known = HUMBLE if distribution == "humble" else {}
    return dict(known.get(choice, DISCOVERY[choice]))


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())


def _allowed(given: str | None) -> str | None:
    """Which policies may drive; a path is that of this shell."""
    return given if given in (None, *ALLOWED_WORDS) else _absolute(given)


def _watchers(given: Mapping[str, str]) -> tuple[str, ...]:
    """Those named by `watchers`, and the viewer where it is asked for."""
    named = tuple(given["watchers"].replace(",", " ").split())
    if named == (NONE,):
        named = ()
    if BOOLEANS[given["viewer"]] and "viewer" not in named:
        return (*named, "viewer")
    return named


def _named(robot: str) -> str:
    if not robot:
        raise ConfigurationError("launch argument robot: name one, for instance robot:=go2")
    return robot


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ConfigurationError(f"{name}: must be a number (found {text!r})")
    return int(text)


def unknown_arguments(world: World, robot: str, given: Iterable[str]) -> list[str]:
    """A line of advice for each argument that looks like a misspelt one of ours.

    `ros2 launch` takes any argument, and other launch files that include ours have arguments of
    their own, so names that resemble none of ours are nobody's mistake.
    """
    known = [argument.name for argument in launch_arguments(world, robot)]
    lines = []
    for name in given:
        close = difflib.get_close_matches(name, known, n=1)
        if name not in known and close:
            lines.append(f"launch argument {name!r} does not exist; did you mean {close[0]!r}?")
    return lines
