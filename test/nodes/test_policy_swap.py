"""Policy swaps by the ROS parameter `policy` of the composed process, while a robot walks."""

import sys
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from places import HELPERS
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter
from ros_world import children, ros_tester
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from walking_policies import write_gait, write_runaway, write_trot

from safe_locomotion.nodes import conversions, decisions
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.runtime.stack import StackOptions, stack
from safe_locomotion.types import Mode, VelocityCommand
from safe_locomotion.ui.remote_operator import RemoteOperator

pytestmark = pytest.mark.alone

ROBOT = str(HELPERS / "wire_robot.py")


class Operator:
    """An operator with a parameter client, the services and a joystick."""

    def __init__(self, tester):
        self.tester = tester
        self.verdicts = tester.collect(JointState, "safety/verdict", LATCHED)
        self.diagnostics = tester.collect(DiagnosticArray, "/diagnostics", 10)
        self.velocity = tester.node.create_publisher(conversions.TwistStamped, "cmd_vel", 1)

    def verdict(self):
        return decisions.verdict_from(self.verdicts[-1]) if self.verdicts else None

    def until(self, condition):
        """Keep walking at 0.3 m/s until a verdict fulfils the condition."""

        def met():
            self.velocity.publish(conversions.twist_message(VelocityCommand(vx=0.3), 0))
            verdict = self.verdict()
            return verdict is not None and condition(verdict)

        return self.tester.spin_until(met)

    def walk(self):
        """From lying to walking."""
        assert self.until(lambda v: v.mode is Mode.PASSIVE)
        assert self.tester.call(Trigger, "stand").success
        assert self.until(lambda v: v.mode is Mode.STAND)
        assert self.tester.call(Trigger, "walk").success
        assert self.until(lambda v: v.mode is Mode.WALK and v.policy == "nominal")

    def set(self, policy):
        """Answer to a change of the parameter."""
        request = SetParameters.Request(
            parameters=[Parameter("policy", value=policy).to_parameter_msg()]
        )
        return self.tester.call(SetParameters, "policy_node/set_parameters", request).results[0]

    def news(self):
        """What the policy's rows of `/diagnostics` said, once they have said it."""
        rows = self.diagnostics
        self.until(
            lambda v: any("failed" in status.message for array in rows for status in array.status)
        )
        return [status.message for array in rows for status in array.status]

    def parameter(self):
        answer = self.tester.call(
            GetParameters, "policy_node/get_parameters", GetParameters.Request(names=["policy"])
        )
        return answer.values[0].string_value


@pytest.fixture
def operator(tmp_path, ros_domain, wire_domain):
    """An operator of a composed stack whose policies lie in a folder of the test's own."""
    write_gait(tmp_path / "paces.onnx")
    write_trot(tmp_path / "trots.onnx")
    write_runaway(tmp_path / "runs.onnx")
    write_trot(tmp_path / "foreign.onnx", robot="go1")
    overrides = {
        "policy_node": {"policy_folder": str(tmp_path)},
        "supervisor_node": {"intervention.criterion": "off"},
    }
    options = StackOptions(
        graph="composed", lock_step=True, sdk_options={"domain": wire_domain}, overrides=overrides
    )
    command = stack(options)[1].command()
    with (
        ros_tester() as t,
        children(
            [sys.executable, ROBOT, str(wire_domain), "300", str(tmp_path / "robot.json")], command
        ) as (_, stack_),
    ):
        yield Operator(t)
        assert stack_.poll() is None


def answers(domain, *policies):
    """Lines that the user of `safe-locomotion sim` sees after asking for policies."""
    remote = RemoteOperator(domain)
    try:
        end = time.monotonic() + 30.0
        while remote.mode is None and time.monotonic() < end:
            remote.spin(0.05)
        for policy in policies:
            remote.swap(policy)
        while len(remote.answers) < len(policies) and time.monotonic() < end:
            remote.spin(0.05)
        return remote.answers
    finally:
        remote.close()


def test_policies_take_over_from_each_other_while_the_robot_walks_and_refused_ones_change_nothing(
    operator, tmp_path, ros_domain
):
    """Success, refusal and roll-back.

    The policy shows in the verdicts, with its joint targets, and the robot walks on. A policy for
    another robot, an unknown name and a path outside are refused: the reason comes in one line and
    the running policy goes on. The user of a simulation gets the same answers as lines. A policy
    that fails its trial is replaced by the last good one, and the parameter follows.
    """
    operator.walk()
    for name, joint in (("trots", True), ("paces", False)):
        answer = operator.set(name)
        assert answer.successful, answer.reason
        assert operator.until(lambda v, name=name: v.policy == name), operator.verdict()
        assert (operator.verdict().joints is not None) is joint
        assert operator.verdict().mode is Mode.WALK
        assert operator.parameter() == name
    outside = write_gait(tmp_path.parent / "outside.onnx")
    for value, words in (
        ("foreign", ("robot", "expected a1", "found go1")),
        ("moonwalk", ("unknown policy 'moonwalk'", "nominal", "paces", "trots")),
        (str(outside), ("inside", str(tmp_path))),
    ):
        answer = operator.set(value)
        assert not answer.successful
        assert all(word in answer.reason for word in words), answer.reason
        assert "\n" not in answer.reason
        assert operator.parameter() == "paces"
    stamp = operator.verdict().stamp_ns
    assert operator.until(lambda v: v.stamp_ns > stamp and v.policy == "paces")
    refused, taken = answers(ros_domain, "foreign", "nominal")
    assert refused.startswith("policy foreign: ") and "found go1" in refused
    assert taken == "policy nominal: taken"
    assert operator.until(lambda v: v.policy == "nominal" and v.joints is None)
    assert operator.set("runs").successful
    assert any(
        "runs failed its trial (policy_out_of_range); nominal is back" in row
        for row in operator.news()
    )
    assert operator.until(lambda v: v.policy == "nominal" and operator.parameter() == "nominal"), (
        operator.parameter()
    )
