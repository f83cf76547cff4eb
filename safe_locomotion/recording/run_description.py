"""Description of a run for its episodes: parameters of nodes, hashes of policies, software."""

from collections.abc import Sequence
from datetime import datetime, timezone
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.node import Node

from safe_locomotion import __version__
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.nodes.health import STEADY
from safe_locomotion.policy.file import find_policy, policy_folders
from safe_locomotion.recording.episode import EpisodeInfo
from safe_locomotion.runtime.stack import NODE_NAMES

ASK_EACH_S = 2.0
_VALUES = {
    ParameterType.PARAMETER_BOOL: "bool_value",
    ParameterType.PARAMETER_INTEGER: "integer_value",
    ParameterType.PARAMETER_DOUBLE: "double_value",
    ParameterType.PARAMETER_STRING: "string_value",
    ParameterType.PARAMETER_BOOL_ARRAY: "bool_array_value",
    ParameterType.PARAMETER_INTEGER_ARRAY: "integer_array_value",
    ParameterType.PARAMETER_DOUBLE_ARRAY: "double_array_value",
    ParameterType.PARAMETER_STRING_ARRAY: "string_array_value",
}


class RunDescription:
    """Asks the nodes for their parameters.

    Each node is asked until it answers. The policy node is asked again and again, because its
    policy can change.
    """

    def __init__(self, node: Node, robot: str) -> None:
        self._robot = robot
        self._parameters: dict[str, dict[str, Any]] = {}
        self._policies: dict[str, str] = {}
        self._lists: dict[str, Any] = {}
        self._gets: dict[str, Any] = {}
        for name in NODE_NAMES:
            self._lists[f"{name}_node"] = node.create_client(
                ListParameters, f"{name}_node/list_parameters"
            )
            self._gets[f"{name}_node"] = node.create_client(
                GetParameters, f"{name}_node/get_parameters"
            )
        node.create_timer(ASK_EACH_S, self._ask, clock=STEADY)

    def info(self, why: str, start_ns: int) -> EpisodeInfo:
        """Description of an episode, as far as it is known now."""
        policy = str(self._parameters.get("policy_node", {}).get("policy", ""))
        if policy:
            self.drives(policy)
        return EpisodeInfo(
            robot=self._robot,
            policy=policy,
            policies=dict(self._policies),
            parameters={name: dict(values) for name, values in self._parameters.items()},
            software=__version__,
            start_ns=start_ns,
            started=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            why=why,
        )

    def drives(self, policy: str) -> None:
        """Note the name or the path of a policy that drives."""
        if policy not in self._policies:
            given = str(self._parameters.get("policy_node", {}).get("policy_folder", ""))
            self._policies[policy] = _hash(policy, given)

    def _ask(self) -> None:
        for name, client in self._lists.items():
            if name not in self._parameters and client.service_is_ready():
                client.call_async(ListParameters.Request()).add_done_callback(
                    partial(self._on_names, name)
                )
        if "policy_node" in self._parameters:
            self._get("policy_node", sorted(self._parameters["policy_node"]))

    def _get(self, node: str, names: Sequence[str]) -> None:
        request = GetParameters.Request(names=list(names))
        self._gets[node].call_async(request).add_done_callback(
            partial(self._on_values, node, names)
        )

    def _on_names(self, node: str, future: Any) -> None:
        response = future.result()
        if response is not None:
            names = response.result.names
            self._get(node, [name for name in names if not name.startswith("qos_overrides.")])

    def _on_values(self, node: str, names: Sequence[str], future: Any) -> None:
        response = future.result()
        if response is not None:
            self._parameters[node] = dict(zip(names, map(_plain, response.values), strict=True))


def _plain(value: Any) -> Any:
    """Value of a parameter in types of JSON."""
    found = getattr(value, _VALUES[value.type]) if value.type in _VALUES else None
    return found if isinstance(found, bool | int | float | str) or found is None else list(found)


@lru_cache(maxsize=64)
def _hash(policy: str, folder: str) -> str:
    """sha256 of the file of a policy; "" without a file."""
    try:
        path = find_policy(policy, [*policy_folders(), *([Path(folder)] if folder else [])])
        return sha256(path.read_bytes()).hexdigest()
    except (SafeLocomotionError, OSError):
        return ""
