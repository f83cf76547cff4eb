"""Configuration: one ROS 2 parameter file per robot, read strictly into the stages' dataclasses.

An unknown key, a missing key and a value of the wrong type are errors. They name the place and the
valid keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from safe_locomotion.control.leg_control import LegGains
from safe_locomotion.control.mpc_problem import MpcParameters
from safe_locomotion.control.nominal_gait import GaitSettings
from safe_locomotion.control.reference import LocomotionParameters
from safe_locomotion.control.swing import SwingParameters
from safe_locomotion.errors import ConfigurationError, UnknownNameError
from safe_locomotion.estimation.estimator import EstimatorParameters
from safe_locomotion.operator.driving import DrivingParameters
from safe_locomotion.operator.velocity import CommandLimits
from safe_locomotion.policy.allow_list import ANY
from safe_locomotion.robot.limits import GateLimits
from safe_locomotion.robot.models import robot_file, robot_names
from safe_locomotion.runtime.realtime import RealtimeParameters
from safe_locomotion.safety.supervisor import SupervisorParameters
from safe_locomotion.safety.switching_rule import InterventionParameters
from safe_locomotion.safety.trigger_set import TriggerSetParameters
from safe_locomotion.shared_files import find_share
from safe_locomotion.strict_values import LOADER, build


@dataclass(frozen=True, kw_only=True)
class BridgeConfig:
    """Section `bridge_node`."""

    gains: LegGains
    limits: GateLimits
    realtime: RealtimeParameters


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """Section `policy_node`.

    Attributes:
        period_ns: robot time between two proposals of the nominal gait [ns].
        allowed_policies: policy files that may drive: `any`, `installed`, or a list of SHA-256 and
            keys. The launch files for hardware choose `installed`.
        explore: the robot learns: policies that explore may drive, with their noise. Else they
            are refused.
    """

    period_ns: int
    gait: GaitSettings
    allowed_policies: str = ANY
    explore: bool = False

    def __post_init__(self) -> None:
        """Refuse a period that is not positive."""
        _check_period("policy_node", self.period_ns)


@dataclass(frozen=True, kw_only=True)
class SupervisorConfig:
    """Section `supervisor_node`.

    Attributes:
        recovery_policy: `nominal`, which walks by `recovery`, or name or path of a gait policy.
        allowed_policies: policy files that may be the recovery policy, as in `policy_node`.
    """

    thresholds: SupervisorParameters
    trigger_set: TriggerSetParameters
    intervention: InterventionParameters
    recovery_policy: str
    recovery: GaitSettings
    command: CommandLimits
    allowed_policies: str = ANY


@dataclass(frozen=True, kw_only=True)
class MpcConfig:
    """Section `mpc_node`.

    Attributes:
        period_ns: robot time between two plans [ns].
    """

    period_ns: int
    locomotion: LocomotionParameters
    swing: SwingParameters
    solver: MpcParameters

    def __post_init__(self) -> None:
        """Refuse a period that is not positive."""
        _check_period("mpc_node", self.period_ns)


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """Parameters of every node of one robot, and how a person drives it.

    The bridge, the policy node and `teleop` read `driving`.
    """

    bridge: BridgeConfig
    estimator: EstimatorParameters
    policy: PolicyConfig
    supervisor: SupervisorConfig
    mpc: MpcConfig
    driving: DrivingParameters


EXPLAINED = "docs/tuning.md and the comments of config/a1.yaml explain the parameters"


def load_config(
    robot_or_file: str | Path, overrides: Mapping[str, Any] | None = None
) -> StackConfig:
    """Read `config/<robot>.yaml`, or a file by path.

    Args:
        robot_or_file: robot name or path of a parameter file.
        overrides: dotted keys to values, e.g. {"mpc.locomotion.body_height": 0.25}.

    Raises:
        ConfigurationError: the file is unreadable or incomplete, a key is unknown, or a value has
            the wrong type.
    """
    path = config_path(robot_or_file)
    try:
        document = yaml.load(path.read_text(), Loader=LOADER)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        # ValueError: text that is not UTF-8, a date that does not exist, a number too long.
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    _check_nodes(path, document)
    sections = {f.name: _section(path, document, f.name) for f in fields(StackConfig)}
    if not overrides:
        return build(StackConfig, sections, str(path))
    try:
        for key, value in overrides.items():
            _override(sections, key, value)
        return build(StackConfig, sections, str(path))
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; {EXPLAINED}") from error


def _check_period(node: str, period_ns: int) -> None:
    if not period_ns > 0:
        raise ConfigurationError(f"{node}: period_ns: must be positive (found {period_ns})")


def config_path(robot_or_file: str | Path) -> Path:
    """Path of a robot's parameter file; that of a robot of one's own lies beside its model.

    Raises:
        UnknownNameError: no such robot.
    """
    path = Path(robot_or_file)
    if path.suffix in (".yaml", ".yml"):
        return path
    name = str(robot_or_file)
    folder = find_share("config")
    found = folder / f"{name}.yaml"
    if found.exists():
        return found
    if name in robot_names():
        return robot_file(name, ".yaml")
    shipped = {p.stem for p in folder.glob("*.yaml")}
    raise UnknownNameError("robot", name, sorted(shipped | set(robot_names())))


def _check_nodes(path: Path, document: Any) -> None:
    nodes = [f"{f.name}_node" for f in fields(StackConfig)]
    for node, content in document.items() if isinstance(document, dict) else ():
        if node not in nodes:
            raise UnknownNameError(f"node in {path}", node, nodes)
        for key in content if isinstance(content, dict) else ():
            if key != "ros__parameters":
                raise UnknownNameError(f"key in {path}: {node}", key, ("ros__parameters",))


def _section(path: Path, document: Any, name: str) -> Any:
    try:
        return document[f"{name}_node"]["ros__parameters"]
    except (KeyError, TypeError):
        raise ConfigurationError(f"{path}: missing {name}_node: ros__parameters") from None


def _override(sections: dict[str, Any], key: str, value: Any) -> None:
    """Set one value; `build` then judges whether its key and type are right."""
    *parents, last = key.split(".")
    place: Any = sections
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise ConfigurationError(f"override {key}: {parent} is a value and has no keys")
    place[last] = value
