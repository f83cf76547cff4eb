"""Write config/sros2/policy.xml: what each process may publish, hear, serve and call in ROS.

A test holds the table below against the graph of the running nodes, in both directions.

usage: sros2_policy.py [--namespace NS]; with a namespace the policy goes to standard output.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from safe_locomotion.messages.topics import TICKS, TOPICS
from safe_locomotion.nodes.bridge import BRIDGE_RESET
from safe_locomotion.nodes.operator import HANDS, REMOTE_REQUEST, REMOTE_VELOCITY
from safe_locomotion.nodes.tick_feed import DISPLAY, LOW_COMMAND
from safe_locomotion.operator.requests import REQUESTS
from safe_locomotion.runtime.stack import NODE_NAMES, PACKAGE, RECORDER, WATCHERS

OUTPUT = Path(__file__).resolve().parents[1] / "config/sros2/policy.xml"
VERSION = "0.2.0"  #: of the format, since ROS 2 Foxy
EACH_PUBLISHES = ("/rosout", "/parameter_events", "/diagnostics")
PARAMETER_SERVICES = (
    "describe_parameters",
    "get_parameter_types",
    "get_parameters",
    "get_type_description",
    "list_parameters",
    "set_parameters",
    "set_parameters_atomically",
)
LIFECYCLE_SERVICES = (
    "change_state",
    "get_available_states",
    "get_available_transitions",
    "get_state",
    "get_transition_graph",
)
SCENE = ("state_estimate", "safety/verdict", "mpc/plan", DISPLAY)
RECORDED = tuple(topic.name for topic in TOPICS if topic.name != "diagnostics" and not topic.made)
FRAMES = ("robot_description", "/tf")
STATES = "low_state"  #: of the bridge for the estimator, where it is a process of its own
OPERATOR = "operator"


@dataclass(frozen=True, kw_only=True)
class Access:
    """What one node may do besides what each node does.

    Attributes:
        publishes, hears: topics. Without a slash they lie in the namespace.
        serves, calls: services.
    """

    publishes: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    serves: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


ACCESS: dict[str, Access] = {
    "bridge_node": Access(
        publishes=(
            *(
                STATES,
                "joint_states",
                "imu/data",
                "foot_forces",
                "battery_state",
                "safety/hazards",
                "clock",
                LOW_COMMAND,
            ),
            *(REMOTE_VELOCITY, REMOTE_REQUEST, "bridge_node/transition_event"),
        ),
        hears=("safety/verdict", "mpc/plan"),
        serves=(BRIDGE_RESET, *(f"bridge_node/{name}" for name in LIFECYCLE_SERVICES)),
    ),
    "estimator_node": Access(publishes=("state_estimate", "odom", *FRAMES), hears=(STATES,)),
    "policy_node": Access(
        publishes=("policy/proposal", "policy/step"),
        hears=("state_estimate", "safety/feedback", "cmd_vel", REMOTE_VELOCITY, REMOTE_REQUEST),
    ),
    "supervisor_node": Access(
        publishes=("safety/verdict", "safety/feedback"),
        hears=(
            *("state_estimate", "policy/proposal", "safety/hazards"),
            *("cmd_vel", REMOTE_VELOCITY, REMOTE_REQUEST),
        ),
        serves=REQUESTS,
        calls=(BRIDGE_RESET,),
    ),
    "mpc_node": Access(publishes=("mpc/plan", DISPLAY), hears=("state_estimate", "safety/verdict")),
    "monitor_node": Access(publishes=("safety/markers", "safety/view", "/tf"), hears=SCENE),
    "viewer_node": Access(
        publishes=("cmd_vel", HANDS),
        hears=(*SCENE, "policy/proposal", "/diagnostics"),
        calls=(*REQUESTS, "policy_node/set_parameters"),
    ),
    "recorder_node": Access(
        hears=(*RECORDED, TICKS, REMOTE_REQUEST, "safety/feedback", "/diagnostics"),
        serves=("record",),
        calls=tuple(
            f"{name}_node/{service}"
            for name in NODE_NAMES
            for service in ("get_parameters", "list_parameters")
        ),
    ),
}
BY_HAND = ("cmd_vel", REMOTE_VELOCITY, REMOTE_REQUEST)
BRIDGE = ACCESS["bridge_node"]
#: The graph of one process: its control path is on no topic, so it hears people alone.
COMPOSED: dict[str, Access] = {
    "bridge_node": Access(
        publishes=(*(n for n in BRIDGE.publishes if n not in (LOW_COMMAND, STATES)), TICKS),
        serves=BRIDGE.serves,
    ),
    "estimator_node": Access(publishes=ACCESS["estimator_node"].publishes),
    "policy_node": Access(publishes=("policy/proposal",), hears=(REMOTE_REQUEST,)),
    "supervisor_node": Access(
        publishes=ACCESS["supervisor_node"].publishes, hears=BY_HAND, serves=REQUESTS
    ),
    "mpc_node": Access(publishes=("mpc/plan",)),
}
#: A person with a keyboard, a gamepad or the command line of ROS.
PERSON = Access(
    publishes=("cmd_vel", REMOTE_REQUEST),
    hears=(*RECORDED, *FRAMES, "clock", "/diagnostics", "safety/feedback", HANDS, DISPLAY),
    calls=(
        *REQUESTS,
        "record",
        *(f"bridge_node/{name}" for name in LIFECYCLE_SERVICES),
        *(f"{name}/{service}" for name in ACCESS for service in PARAMETER_SERVICES),
    ),
)


def enclaves() -> dict[str, dict[str, Access]]:
    """Nodes and their access by process; a process has the enclave of its name."""
    stages = [f"{name}_node" for name in NODE_NAMES]
    alone = [*stages, *(f"{name}_node" for name in (*WATCHERS, RECORDER))]
    return {
        **{name: {name: ACCESS[name]} for name in alone},
        "composed_node": COMPOSED,
        OPERATOR: {OPERATOR: PERSON, "top": PERSON},
    }


def rules(node: str, access: Access) -> Iterator[tuple[str, str, str, list[str]]]:
    """Kind of rule, kind of name, attribute, and the names of each rule of a node."""
    own = [f"{node}/{service}" for service in PARAMETER_SERVICES]
    yield "topics", "topic", "publish", sorted({*access.publishes, *EACH_PUBLISHES})
    if access.hears:
        yield "topics", "topic", "subscribe", sorted(set(access.hears))
    yield "services", "service", "reply", sorted({*access.serves, *own})
    if access.calls:
        yield "services", "service", "request", sorted(set(access.calls))


def policy(namespace: str = "/") -> str:
    """The policy as XML."""
    root = ElementTree.Element("policy", version=VERSION)
    listed = ElementTree.SubElement(root, "enclaves")
    for process, nodes in enclaves().items():
        enclave = ElementTree.SubElement(listed, "enclave", path=f"/{PACKAGE}/{process}")
        profiles = ElementTree.SubElement(enclave, "profiles")
        for node, access in nodes.items():
            profile = ElementTree.SubElement(profiles, "profile", ns=namespace, node=node)
            for kind, item, attribute, names in rules(node, access):
                _add(ElementTree.SubElement(profile, kind, {attribute: "ALLOW"}), item, names)
    ElementTree.indent(root)
    head = "<!-- Written by tools/sros2_policy.py; do not edit. See docs/sros2.md. -->"
    return f"{head}\n{ElementTree.tostring(root, encoding='unicode')}\n"


def _add(parent: ElementTree.Element, item: str, names: Iterable[str]) -> None:
    for name in names:
        ElementTree.SubElement(parent, item).text = name


def main() -> None:
    """Write the policy of the default namespace, or print that of another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", help="ROS namespace of all nodes, for instance /a1")
    namespace = parser.parse_args().namespace
    if namespace:
        sys.stdout.write(policy(namespace))
    else:
        OUTPUT.write_text(policy())


if __name__ == "__main__":
    main()
