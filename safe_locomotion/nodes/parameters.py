"""ROS parameters of a node: its robot, its settings, and overrides of its configuration section.

`config.load_config` reads the configuration file, not ROS. So a missing file or an unknown key
stops the start-up instead of warning, and an integer may stand for a floating-point number.
"""

from array import array
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node

from safe_locomotion.config import StackConfig, load_config
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.nodes.parameter_texts import descriptors
from safe_locomotion.pipeline import Pipeline
from safe_locomotion.robot.models import RobotModel, load_robot
from safe_locomotion.strict_values import build

DECLARE_FROM_OVERRIDES = {"automatically_declare_parameters_from_overrides": True}
_OF_ROS = ("use_sim_time", "start_type_description_service")
_OPTIONS = "sdk_options."

ROBOT = ParameterDescriptor(
    description="robot of models/robots", read_only=True, dynamic_typing=True
)
FILE = ParameterDescriptor(
    description="parameter file instead of the robot's own; empty for none",
    read_only=True,
    dynamic_typing=True,
)

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class NodeParameters(Generic[S]):
    """The parameters with which a node was started.

    Attributes:
        robot: model named by the parameter `robot`.
        config: the whole configuration file with this node's overrides. The file is the parameter
            `config_file`, by default the robot's own.
        settings: how this process runs; none of them is a limit of the robot.
        options: the parameters `sdk_options.NAME`, for the backend.
    """

    robot: RobotModel
    config: StackConfig
    settings: S
    options: Mapping[str, Any]

    def pipeline(self) -> Pipeline:
        """All stages of this robot under this configuration."""
        return Pipeline(self.robot, self.config)


def read_parameters(
    node: Node, settings: type[S], changeable: Set[str] = frozenset()
) -> NodeParameters[S]:
    """Read and declare the parameters of `node`.

    Later changes are refused, unless the parameter is in `changeable`. A node without a section of
    its own in the configuration file takes overrides of all sections, as in
    `supervisor.trigger_set.use`.

    Raises:
        ConfigurationError: robot, file or parameter is unknown, or a value has the wrong type.
    """
    given = {
        name: _plain(p.value)
        for name, p in node.get_parameters_by_prefix("").items()
        if _is_ours(name)
    }
    section = node.get_name().removesuffix("_node")
    has_section = section in {f.name for f in fields(StackConfig)}
    robot_name = str(given.pop("robot", "a1"))
    config_file = str(given.pop("config_file", ""))
    options = {
        name.removeprefix(_OPTIONS): given.pop(name)
        for name in list(given)
        if name.startswith(_OPTIONS)
    }
    own = {f.name: given.pop(f.name) for f in fields(settings) if f.name in given}  # type: ignore[arg-type]
    robot = load_robot(robot_name)
    overrides = {f"{section}.{name}" if has_section else name: v for name, v in given.items()}
    config = load_config(_existing(config_file) or robot_name, overrides)
    read = NodeParameters(
        robot=robot,
        config=config,
        settings=build(settings, own, f"parameters of {node.get_name()}"),
        options=options,
    )
    values = {"robot": robot_name, "config_file": config_file, **asdict(read.settings)}
    described = {"robot": ROBOT, "config_file": FILE} | descriptors(settings, changeable)
    if has_section:
        values |= _flat(getattr(config, section))
        described |= descriptors(type(getattr(config, section)), changeable)
    _declare(node, values, described)
    node.add_on_set_parameters_callback(lambda changes: _refuse_unless(changes, changeable))
    return read


def _existing(config_file: str) -> str:
    if config_file and not Path(config_file).is_file():
        raise ConfigurationError(
            f"config_file {config_file!r} does not exist; leave it empty for the robot's own file"
        )
    return config_file


def _is_ours(name: str) -> bool:
    return name not in _OF_ROS and not name.startswith("qos_overrides.")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, array | tuple) else value


def _flat(section: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted names of a section's values."""
    values: dict[str, Any] = {}
    for f in fields(section):
        value = getattr(section, f.name)
        if hasattr(value, "__dataclass_fields__"):
            values |= _flat(value, f"{prefix}{f.name}.")
        else:
            values[prefix + f.name] = value
    return values


def _declare(
    node: Node, values: Mapping[str, Any], described: Mapping[str, ParameterDescriptor]
) -> None:
    for name, value in values.items():
        shown = (
            [float(v) for v in value]
            if isinstance(value, tuple | list) or hasattr(value, "tolist")
            else value
        )
        if not isinstance(shown, bool | int | float | str | list):
            continue
        if node.has_parameter(name):  # given at the start
            node.set_descriptor(name, described[name])
        else:
            node.declare_parameter(name, shown, described[name])


def _refuse_unless(changes: list[Any], changeable: Set[str]) -> SetParametersResult:
    fixed = [change.name for change in changes if change.name not in changeable]
    if not fixed:
        return SetParametersResult(successful=True)
    allowed = (
        f"; only {', '.join(sorted(changeable))} may change while it runs" if changeable else ""
    )
    return SetParametersResult(
        successful=False, reason=f"{', '.join(fixed)}: read at start-up, restart the node{allowed}"
    )
