"""The processes of the stack, with their parameters and arguments.

Plain data for launch files, command line and tests. The simulated stack and the one on hardware
differ in one process, the simulated robot, and in a few parameters of the bridge.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from safe_locomotion.errors import ConfigurationError, UnknownNameError

Value = bool | int | float | str
Graph = Literal["nodes", "composed"]
World = Literal["sim", "real"]

PACKAGE = "safe_locomotion"
NODE_NAMES = ("bridge", "estimator", "policy", "supervisor", "mpc")
NICENESS = 5  #: of watchers; the viewer, which can stop the robot, keeps a third of a core
WATCHERS = ("monitor", "viewer")  #: nodes that only watch, each a process of its own
RECORDER = "recorder"  #: a watcher that needs a folder
WATCHER_MODULES = {
    "monitor": "ui.monitor_node",
    "viewer": "ui.viewer.viewer_node",
    RECORDER: "recording.recorder_node",
}
GRAPHS = ("nodes", "composed")
SDKS = ("unitree_sdk2", "legged_sdk", "mock")
CMD_VEL_TYPES = ("TwistStamped", "Twist")
BRIDGE_STATES = ("unconfigured", "inactive", "active")
SIMULATION_DOMAIN = 1  #: of the SDK's DDS, by the convention of the vendor
ROBOT_DOMAIN = 0  #: the same on hardware
LOOPBACK = "lo"
SIMULATED_ONLY = ("laikago",)  #: robots to which no SDK of today speaks
WITH_LOCK_STEP = ("bridge", "supervisor")
WITH_POLICIES = ("policy", "supervisor")
WITH_CMD_VEL = ("policy", "supervisor", "viewer")


@dataclass(frozen=True, kw_only=True)
class Process:
    """One operating-system process.

    Attributes:
        name: for messages to the user.
        executable: under `lib/safe_locomotion` of an installation.
        module: the same for `python -m`.
        arguments: of its command line.
        parameters: ROS parameters by node name; empty for a process that is no ROS node.
        essential: whether the whole stack ends when it ends.
    """

    name: str
    executable: str
    module: str
    arguments: tuple[str, ...] = ()
    parameters: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    essential: bool = True

    @property
    def prefix(self) -> tuple[str, ...]:
        """Words in front of its command: where cores are short, the control path comes first.

        That holds from the first import of a watcher on. In the batch class, a watcher that wakes
        up for a message does not push the sender off its core.
        """
        return () if self.essential else ("chrt", "--batch", "0", "nice", "-n", str(NICENESS))

    @property
    def enclave(self) -> str:
        """Name by which SROS2 knows what the process may do; see `config/sros2/policy.xml`."""
        return f"/{PACKAGE}/{self.name}"

    def ros_arguments(self) -> list[str]:
        """`--ros-args` and the parameters, each addressed to its node.

        Strings are quoted, so that YAML keeps them strings.
        """
        settings = [
            f"{node}:{name}:={yaml_scalar(value)}"
            for node, parameters in self.parameters.items()
            for name, value in parameters.items()
        ]
        if not settings:
            return []
        return ["--ros-args", *(word for setting in settings for word in ("-p", setting))]

    def parameter_file(self) -> str:
        """The parameters as a file for `--params-file`, which reaches the nodes in any namespace.

        `ros_arguments` reaches them only where they have no namespace.
        """
        lines = []
        for node, parameters in self.parameters.items():
            lines += [f"/**/{node}:", "  ros__parameters:"]
            lines += [f"    {name}: {yaml_scalar(value)}" for name, value in parameters.items()]
        return "\n".join(lines) + "\n"

    def command(self) -> list[str]:
        """Command line that starts this process with the running Python."""
        return [sys.executable, "-m", self.module, *self.arguments, *self.ros_arguments()]


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """The user's choices about the stack.

    Attributes:
        robot: a robot of `models/robots`.
        world: simulated robot or hardware.
        graph: five processes or one.
        sdk: backend of the bridge.
        sdk_options: passed to the backend by name, e.g. {"domain": 1, "interface": "lo"}.
        config_file: parameter file instead of the robot's own.
        policy: for the policy node.
        cmd_vel_type: TwistStamped or Twist.
        lock_step: robot and stages wait for each other.
        autostart: lifecycle state that the bridge reaches at the start.
        realtime: whether the bridge asks for the section `realtime` of its parameter file; None:
            on hardware, not in simulation.
        overrides: parameters by node name on top of all this.
        robot_arguments: command line of the simulated robot.
        watchers: which of `WATCHERS` run too.
        record: absolute folder for episodes; empty for no recorder.
        trust_domain: on hardware, graph `nodes` too: the user trusts each program of the ROS
            domain, because the processes command the robot through topics.
        allowed_policies: policy files that may drive: `any`, `installed`, or a list of SHA-256 and
            keys; None for what the configuration says in simulation, and `installed` on hardware.
    """

    robot: str = "a1"
    world: World = "sim"
    graph: Graph = "composed"
    sdk: str = "unitree_sdk2"
    sdk_options: Mapping[str, Value] = field(default_factory=dict)
    config_file: str = ""
    policy: str = "nominal"
    cmd_vel_type: str = "TwistStamped"
    lock_step: bool = False
    autostart: str = "active"
    realtime: bool | None = None
    overrides: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    robot_arguments: tuple[str, ...] = ()
    watchers: tuple[str, ...] = ()
    record: str = ""
    trust_domain: bool = False
    allowed_policies: str | None = None


def stack(options: StackOptions) -> tuple[Process, ...]:
    """Processes of the stack, the robot first and those that only watch last.

    Raises:
        ConfigurationError: an option does not exist, or hardware has no network interface.
    """
    _check(options)
    parameters = _parameters(options)
    if options.graph == "composed":
        nodes: tuple[Process, ...] = (_node("composed", parameters),)
    else:
        nodes = tuple(
            _node(name, {f"{name}_node": parameters[f"{name}_node"]}) for name in NODE_NAMES
        )
    watchers = (
        *(_watcher(name, options) for name in options.watchers),
        *((_recorder(options),) if options.record else ()),
    )
    return (*((_simulated_robot(options),) if options.world == "sim" else ()), *nodes, *watchers)


def _check(options: StackOptions) -> None:
    for what, name, choices in (
        ("graph", options.graph, GRAPHS),
        ("sdk", options.sdk, SDKS),
        ("world", options.world, ("sim", "real")),
        *(("watcher", name, WATCHERS) for name in options.watchers),
    ):
        if name not in choices:
            raise UnknownNameError(what, name, choices)
    known = [f"{name}_node" for name in (*NODE_NAMES, *WATCHERS, RECORDER)]
    for node in options.overrides:
        if node not in known:
            raise UnknownNameError("node", node, known)
    if options.world == "real" and options.robot in SIMULATED_ONLY and options.sdk != "mock":
        raise ConfigurationError(
            f"robot {options.robot!r} exists in simulation only, because no SDK of today speaks to"
            " it; use world sim, or sdk mock"
        )
    if options.world == "real" and options.graph == "nodes" and not options.trust_domain:
        raise ConfigurationError(
            "graph nodes on hardware: any program of the ROS domain could command the robot through"
            " the topics between the processes; use graph:=composed, or confirm by"
            " trust_domain:=true"
        )
    if (
        options.world == "real"
        and options.sdk == "unitree_sdk2"
        and not options.sdk_options.get("interface")
    ):
        raise ConfigurationError(
            "sdk unitree_sdk2 needs the network interface that leads to the robot,"
            " e.g. interface:=eth0"
        )


def _parameters(options: StackOptions) -> dict[str, dict[str, Value]]:
    """Parameters of the five nodes by node name."""
    parameters: dict[str, dict[str, Value]] = {
        f"{name}_node": {"robot": options.robot} for name in NODE_NAMES
    }
    for name, given in parameters.items():
        if options.config_file:
            given["config_file"] = options.config_file
        if name.removesuffix("_node") in WITH_LOCK_STEP:
            given["lock_step"] = options.lock_step
        if name.removesuffix("_node") in WITH_CMD_VEL:
            given["cmd_vel_type"] = options.cmd_vel_type
    parameters["policy_node"]["policy"] = options.policy
    allowed = options.allowed_policies or ("installed" if options.world == "real" else "")
    if allowed:
        for name in WITH_POLICIES:
            parameters[f"{name}_node"]["allowed_policies"] = allowed
    realtime = options.world == "real" if options.realtime is None else options.realtime
    parameters["bridge_node"] |= {
        "sdk": options.sdk,
        "autostart": options.autostart,
        "use_realtime": realtime,
        "clock": options.world == "sim",
    }
    parameters["bridge_node"] |= {
        f"sdk_options.{name}": value for name, value in _sdk_options(options).items()
    }
    for node, changed in options.overrides.items():
        if node in parameters:
            parameters[node] |= changed
    return parameters


def _sdk_options(options: StackOptions) -> dict[str, Value]:
    if options.sdk == "legged_sdk":
        return {"robot": options.robot} | dict(options.sdk_options)
    if options.sdk == "mock":
        return dict(options.sdk_options)
    domain = SIMULATION_DOMAIN if options.world == "sim" else ROBOT_DOMAIN
    usual: dict[str, Value] = (
        {"domain": domain} if options.world == "real" else {"domain": domain, "interface": LOOPBACK}
    )
    return usual | dict(options.sdk_options)


def _node(name: str, parameters: Mapping[str, Mapping[str, Value]]) -> Process:
    module = f"{PACKAGE}.{WATCHER_MODULES.get(name, f'nodes.{name}')}"
    return Process(
        name=f"{name}_node", executable=f"{name}_node", module=module, parameters=parameters
    )


def _watcher(name: str, options: StackOptions) -> Process:
    given: dict[str, Value] = {"robot": options.robot}
    if options.config_file:
        given["config_file"] = options.config_file
    if name in WITH_CMD_VEL:
        given["cmd_vel_type"] = options.cmd_vel_type
    given |= options.overrides.get(f"{name}_node", {})
    return replace(_node(name, {f"{name}_node": given}), essential=False)


def _recorder(options: StackOptions) -> Process:
    source = "ticks" if options.graph == "composed" else "topics"
    given: dict[str, Value] = {
        "directory": options.record,
        "source": source,
        "cmd_vel_type": options.cmd_vel_type,
    }
    process = _watcher(RECORDER, options)
    parameters = {
        **process.parameters[f"{RECORDER}_node"],
        **given,
        **options.overrides.get(f"{RECORDER}_node", {}),
    }
    return replace(process, parameters={f"{RECORDER}_node": parameters})


def _simulated_robot(options: StackOptions) -> Process:
    sdk_options = _sdk_options(options)
    usual = [
        "--robot",
        options.robot,
        "--domain",
        str(sdk_options["domain"]),
        "--interface",
        str(sdk_options["interface"]),
    ]
    lock_step = ["--lock-step"] if options.lock_step else []
    arguments = (*usual, *lock_step, *options.robot_arguments)
    return Process(
        name="sim_robot", executable="sim_robot", module=f"{PACKAGE}.sim", arguments=arguments
    )


def yaml_scalar(value: Value) -> str:
    """A value as YAML that ROS reads with the same type: `off` stays a string, 1.0 a float."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


def robot_sdk(robot: str) -> str:
    """The SDK that a robot of this model speaks; its simulator always speaks unitree_sdk2."""
    return "unitree_sdk2" if robot == "go2" else "legged_sdk"
