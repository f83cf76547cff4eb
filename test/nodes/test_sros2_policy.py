"""The SROS2 policy: it allows what the nodes do, and nothing else.

Each node is asked for its own publishers, subscriptions, services and clients, so none can be
forgotten. Parameters are reached by services.
"""

import importlib.util
from collections import defaultdict
from contextlib import ExitStack
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy")

from message_fuzz import LOOPS, fuzzed_loop
from places import ROOT
from ros_world import ros_tester

from safe_locomotion.backends.domains import claim_domain
from safe_locomotion.runtime.stack import StackOptions, stack
from safe_locomotion.ui.remote_operator import RemoteOperator
from safe_locomotion.ui.stack_view import StackView

ATTRIBUTES = {
    "publisher": ("topics", "publish"),
    "subscriber": ("topics", "subscribe"),
    "service": ("services", "reply"),
    "client": ("services", "request"),
}
TF = {"/tf", "/clock"}  # only where tf2_msgs is installed, and only in simulation


@pytest.fixture(scope="module")
def tool():
    """The program that writes the policy."""
    spec = importlib.util.spec_from_file_location("sros2_policy", ROOT / "tools/sros2_policy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def allowed(policy):
    """Full names by (enclave, node, what) in the text of a policy."""
    found = defaultdict(set)
    for enclave in ElementTree.fromstring(policy).iter("enclave"):
        for profile in enclave.iter("profile"):
            start = profile.get("ns").rstrip("/")
            for what, (kind, attribute) in ATTRIBUTES.items():
                for rule in profile.findall(f"{kind}[@{attribute}='ALLOW']"):
                    for item in rule:
                        name = item.text if item.text[0] == "/" else f"{start}/{item.text}"
                        found[enclave.get("path"), profile.get("node"), what].add(name)
    return found


def local(node):
    """Names of what a node has made itself, by what; rcl makes its publisher of the log."""
    return {
        "publisher": {"/rosout", *(p.topic_name for p in node.publishers)},
        "subscriber": {s.topic_name for s in node.subscriptions},
        "service": {s.service_name for s in node.services},
        "client": {c.service_name for c in node.clients},
    }


def in_graph(node, what):
    """Names that the middleware knows of a node."""
    names = getattr(node, f"get_{what}_names_and_types_by_node")
    return {name for name, _ in names(node.get_name(), node.get_namespace())}


def done_by(loop, folder):
    """Names that the middleware knows of the nodes of a loop, by process, node and what."""
    found = {}
    with fuzzed_loop(loop, folder) as fuzzed:
        for node in fuzzed.loop.nodes:
            for what, made in local(node).items():
                known = fuzzed.turn_until(lambda: made <= in_graph(node, what))  # noqa: B023
                assert known, (loop, node.get_name(), what, made - in_graph(node, what))
                found[process_of(loop), node.get_name(), what] = in_graph(node, what)
    return found


def process_of(loop):
    """Enclave of the process that runs a loop."""
    node = "recorder" if loop.startswith("recorder") else loop
    return f"/safe_locomotion/{node}_node"


def test_the_policy_is_that_of_its_table(tool):
    """`python tools/sros2_policy.py` brings it up to date."""
    assert tool.OUTPUT.read_text() == tool.policy()
    named = allowed(tool.policy("/a1"))
    path = "/safe_locomotion/bridge_node"
    assert {"/rosout", "/a1/imu/data"} <= named[path, "bridge_node", "publisher"]
    assert "/a1/bridge_node/get_parameters" in named[path, "bridge_node", "service"]


def test_each_process_of_the_stack_has_an_enclave(tool):
    """Whatever graph and watchers run."""
    found = {path for path, *_ in allowed(tool.policy())}
    for graph in ("nodes", "composed"):
        options = StackOptions(graph=graph, watchers=("monitor", "viewer"), record="/walks")
        for process in stack(options):
            assert not process.parameters or process.enclave in found


def test_the_policy_allows_what_the_nodes_do_and_nothing_else(tool, monkeypatch, tmp_path):
    """Each topic and service of each node of each process is in it, and the other way round.

    Each process has a domain of its own: in one domain, the middleware may still know a node of
    the same name that has ended, without its topics. The first free domain is not used, because
    the tests before this one have had it.
    """
    may = allowed(tool.OUTPUT.read_text())
    does = defaultdict(set)
    with ExitStack() as domains:
        domains.enter_context(claim_domain())
        for name in LOOPS:
            monkeypatch.setenv("ROS_DOMAIN_ID", str(domains.enter_context(claim_domain())))
            for key, names in done_by(name, tmp_path).items():
                does[key] |= names
    stages = {key: names for key, names in may.items() if not key[0].endswith("/operator")}
    assert {key: names for key, names in does.items() if names} == {
        key: names - (TF if names & TF else set()) | (does[key] & TF)
        for key, names in stages.items()
    }


@pytest.mark.parametrize(
    ("program", "name", "what", "least"),
    [
        (RemoteOperator, "operator", "client", 6),
        (RemoteOperator, "operator", "publisher", 2),
        (StackView, "top", "subscriber", 2),
    ],
)
def test_the_operator_may_do_what_our_programs_do(tool, ros_domain, program, name, what, least):
    """Keyboard, gamepad and `top`; what a person may do at the command line is more."""
    may = allowed(tool.OUTPUT.read_text())["/safe_locomotion/operator", name, what]
    running = program(ros_domain)
    try:
        with ros_tester() as tester:
            ask = getattr(tester.node, f"get_{what}_names_and_types_by_node")
            found = set()

            def seen():
                if name in tester.node.get_node_names():
                    found.update(topic for topic, _ in ask(name, "/"))
                return len(found) >= least

            assert tester.spin_until(seen)
            assert found <= may
    finally:
        running.close()
