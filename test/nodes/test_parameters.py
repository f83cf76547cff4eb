"""What `ros2 param describe` shows of every parameter of a node."""

import pytest
import rclpy
from rclpy.parameter import Parameter

from safe_locomotion.nodes.bridge import BridgeNode
from safe_locomotion.nodes.estimator import EstimatorNode
from safe_locomotion.nodes.mpc import MpcNode
from safe_locomotion.nodes.parameter_texts import attribute_texts
from safe_locomotion.nodes.policy import PolicyNode
from safe_locomotion.nodes.supervisor import SupervisorNode
from safe_locomotion.safety.switching_rule import CRITERIA, InterventionParameters

OF_ROS = ("use_sim_time", "start_type_description_service")


@pytest.fixture(scope="module")
def described():
    """Descriptors of all parameters of the five nodes, by node class and name."""
    rclpy.init(args=["--ros-args", "-p", "bridge_node:silence_ms:=12.0"])
    found = {}
    for node_class in (BridgeNode, EstimatorNode, MpcNode, PolicyNode, SupervisorNode):
        node = node_class()
        names = [name for name in node.get_parameters_by_prefix("") if name not in OF_ROS]
        found[node_class] = dict(zip(names, node.describe_parameters(names), strict=True))
        refused = node.set_parameters([Parameter("robot", value="go1")])[0]
        assert not refused.successful
        node.destroy_node()
    rclpy.shutdown()
    return found


def test_every_parameter_says_what_it_is(described):
    """No parameter has an empty description, and numbers of the robot carry their unit."""
    for descriptors in described.values():
        assert len(descriptors) > 10
        for name, descriptor in descriptors.items():
            assert descriptor.description.strip(), name
    bridge = described[BridgeNode]
    assert bridge["silence_ms"].description.endswith("[ms of wall clock].")


def test_only_the_policy_may_change(described):
    """All other parameters are read at the start, and tools show them as read-only."""
    changeable = {
        name
        for descriptors in described.values()
        for name, descriptor in descriptors.items()
        if not descriptor.read_only
    }
    assert changeable == {"policy"}


def test_choices_are_named(described):
    """A parameter that is one of a few words names them."""
    criterion = described[SupervisorNode]["intervention.criterion"]
    assert criterion.additional_constraints == f"one of: {', '.join(CRITERIA)}"
    assert not described[SupervisorNode]["intervention.horizon"].additional_constraints


def test_rows_of_several_lines_and_of_several_names():
    """A row goes on in deeper lines; one row may describe several names; a base adds its own."""

    class Base:
        """Something.

        Attributes:
            x, y: of the foot
                in the world [m].

        Attributes end where the text goes on.
        """

    class Derived(Base):
        """More.

        Attributes:
            z: height [m].
        """

    both = "of the foot in the world [m]."
    assert attribute_texts(Derived) == {"x": both, "y": both, "z": "height [m]."}
    assert "is evaluated" not in attribute_texts(InterventionParameters)["criterion"]
