"""What ROS 2 Humble, the distribution of JetPack 6, lacks: names that newer ones have."""

import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter

from safe_locomotion.cli.doctor.software import check_discovery
from safe_locomotion.cli.sim.run import ros_environment
from safe_locomotion.nodes.policy import PolicyNode
from safe_locomotion.policy.stage import PolicyStage


@pytest.fixture
def policy_node(ros_domain, monkeypatch):
    """A policy node on an rclpy that does not tell when parameters have changed, and its stage."""
    monkeypatch.delattr(Node, "add_post_set_parameters_callback")
    rclpy.init()
    node = PolicyNode()
    stage = PolicyStage(node.parameters.robot, node.parameters.config.policy.gait)
    node.serve(stage)
    yield node, stage
    node.destroy_node()
    rclpy.shutdown()


def test_policies_are_swapped_by_parameter(policy_node):
    """A policy that loads is handed over; a refused one changes nothing."""
    node, stage = policy_node
    assert stage.taken
    (refused,) = node.set_parameters([Parameter("policy", value="moonwalk")])
    assert not refused.successful and "unknown policy 'moonwalk'" in refused.reason
    assert stage.taken
    (taken,) = node.set_parameters([Parameter("policy", value="a1_trot")])
    assert taken.successful
    assert not stage.taken
    assert node.get_parameter("policy").value == "a1_trot"


def test_a_change_that_is_refused_as_a_whole_hands_nothing_over(policy_node):
    """A policy beside a parameter that may not change stays out of force."""
    node, stage = policy_node
    wanted = [Parameter("policy", value="a1_trot"), Parameter("robot", value="go1")]
    result = node.set_parameters_atomically(wanted)
    assert not result.successful and "read-only parameter: robot" in result.reason
    assert stage.taken
    assert node.get_parameter("policy").value == "nominal"


def test_ros_is_kept_on_this_machine_by_the_name_that_humble_knows(monkeypatch):
    """Humble has no discovery range."""
    monkeypatch.setenv("ROS_DISTRO", "humble")
    assert ros_environment(7) == {"ROS_DOMAIN_ID": "7", "ROS_LOCALHOST_ONLY": "1"}
    assert "ROS_LOCALHOST_ONLY=1" in check_discovery({"ROS_DISTRO": "humble"}).mend
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert ros_environment(7)["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE=" in check_discovery({}).mend
