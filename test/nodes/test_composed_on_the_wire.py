"""The composed process makes a robot on the real wire stand and walk, and leaves it in damping."""

import json
import os
import signal
import sys

import pytest
from places import HELPERS
from ros_world import children, ros_tester
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from safe_locomotion.nodes import conversions, decisions
from safe_locomotion.nodes.subscriptions import LATCHED, NEWEST
from safe_locomotion.runtime.stack import StackOptions, stack
from safe_locomotion.types import Mode

ROBOT = str(HELPERS / "wire_robot.py")
NODES = {"bridge_node", "estimator_node", "policy_node", "supervisor_node", "mpc_node"}


def composed(sdk_domain, **options):
    """Command line of the composed process."""
    options = StackOptions(
        graph="composed", lock_step=True, sdk_options={"domain": sdk_domain}, **options
    )
    return stack(options)[1].command()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stands_walks_and_is_left_in_damping(tmp_path, number, ros_domain, wire_domain):
    """Services and cmd_vel move the robot. A signal damps it before the process ends with status 0.

    Meanwhile the control thread has real-time scheduling, or a warning says that it was refused and
    how to get it.
    """
    sdk_domain = wire_domain
    file = tmp_path / "robot.json"
    with (
        ros_tester() as t,
        children(
            [sys.executable, ROBOT, str(sdk_domain), "300", str(file)],
            composed(sdk_domain, realtime=True),
        ) as (robot, stack_),
    ):
        verdicts = t.collect(JointState, "safety/verdict", LATCHED)
        joints = t.collect(JointState, "joint_states", NEWEST)
        velocity = t.node.create_publisher(conversions.TwistStamped, "cmd_vel", 1)

        def mode():
            return decisions.verdict_from(verdicts[-1]).mode if verdicts else None

        assert t.spin_until(lambda: mode() is Mode.PASSIVE and joints)
        assert t.spin_until(lambda: set(t.node.get_node_names()) >= NODES)
        assert t.call(Trigger, "stand").success
        assert t.spin_until(lambda: mode() is Mode.STAND)
        scheduled = os.sched_getscheduler(stack_.pid) == os.SCHED_FIFO
        assert t.call(Trigger, "walk").success
        assert t.spin_until(lambda: mode() is Mode.WALK)
        for _ in range(6):
            velocity.publish(conversions.twist_message(conversions.VelocityCommand(vx=0.3), 0))
            t.spin(0.1)
        assert decisions.verdict_from(verdicts[-1]).command.vx == pytest.approx(0.3)
        stack_.send_signal(number)
        assert stack_.wait(10) == 0
        assert scheduled or "SCHED_FIFO 50 refused" in stack_.stderr.read()
        robot.terminate()
        robot.wait(10)
    result = json.loads(file.read_text())
    last = result["commands"][-50:]
    assert result["max_height"] > 0.25
    assert len(last) == 50 and all(kp == 0.0 and kd > 0.0 and tau == 0.0 for _, kp, kd, tau in last)
    assert result["rejected"] == {}


def test_inactive_is_read_only(tmp_path, ros_domain, wire_domain):
    """An inactive bridge publishes states, refuses to stand and sends no command."""
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState

    sdk_domain = wire_domain
    file = tmp_path / "robot.json"
    with (
        ros_tester() as t,
        children(
            [sys.executable, ROBOT, str(sdk_domain), "300", str(file), "--real-time"],
            composed(sdk_domain, autostart="inactive"),
        ) as (robot, _),
    ):
        joints = t.collect(JointState, "joint_states", NEWEST)
        assert t.spin_until(lambda: len(joints) > 20)
        answer = t.call(Trigger, "stand")
        assert not answer.success and "not active" in answer.message
        robot.send_signal(signal.SIGUSR1)
        t.spin(0.3)
        activate = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_ACTIVATE))
        assert t.call(ChangeState, "bridge_node/change_state", activate).success
        t.spin(0.5)
        deactivate = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
        assert t.call(ChangeState, "bridge_node/change_state", deactivate).success
        t.spin(0.3)
        robot.send_signal(signal.SIGUSR1)
        t.spin(0.5)
        robot.terminate()
        robot.wait(10)
    result = json.loads(file.read_text())
    before, after = result["marks"]
    assert before["commands"] == 0
    assert result["commands"] and after["commands"] == len(result["commands"])
    assert all(kp == 0.0 for _, kp, _, _ in result["commands"])
