"""Several operators at one robot: a script lets go when another takes over; a key takes back."""

from geometry_msgs.msg import TwistStamped
from ros_world import ros_tester
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from safe_locomotion.cli.sim.demonstration import Watcher, demonstration
from safe_locomotion.messages import encode
from safe_locomotion.nodes.operator import HANDS, HANDS_QOS
from safe_locomotion.nodes.subscriptions import LATCHED
from safe_locomotion.types import GaitParameters, Mode, VelocityCommand, Verdict
from safe_locomotion.ui.remote_operator import RemoteOperator

GAIT = GaitParameters(
    frequency=2.0, swing_ratio=0.5, phase_offsets=(0.5, 0.5, 0.0), foot_y=(-0.13, 0.13, -0.13, 0.13)
)
STANDING = Verdict(
    stamp_ns=10**9,
    mode=Mode.STAND,
    mode_since_ns=0,
    active="recovery",
    gait=GAIT,
    command=VelocityCommand(),
    policy="",
)


class Keys:
    """A keyboard on which the test presses."""

    present = True
    pressed = ""

    def keys(self):
        pressed = self.pressed
        self.pressed = ""
        return pressed


def test_a_policy_that_nobody_answers_for_is_said(ros_domain, monkeypatch):
    """Requests wait for the policy node, not for ever; each gets its line, in their order."""
    monkeypatch.setattr("safe_locomotion.ui.remote_operator.DISCOVERY_S", 0.2)
    remote = RemoteOperator(ros_domain)
    try:
        remote.swap("a1_trot")
        remote.swap("nominal")
        assert remote.answers == []
        remote.spin(0.3)
        assert remote.answers == [
            "policy a1_trot: /policy_node does not answer",
            "policy nominal: /policy_node does not answer",
        ]
    finally:
        remote.close()


def test_the_demonstration_lets_go_of_the_robot_and_a_key_takes_it_back(ros_domain):
    """It publishes velocities until a name comes on `operator/hands`, and again after a key."""
    remote = RemoteOperator(ros_domain)
    keys = Keys()
    try:
        with ros_tester() as t:
            velocities = t.collect(TwistStamped, "cmd_vel", 10)
            hands = t.node.create_publisher(String, HANDS, HANDS_QOS)
            verdicts = t.node.create_publisher(JointState, "safety/verdict", LATCHED)
            verdicts.publish(encode.verdict(STANDING))
            watcher = Watcher(remote, keys, demonstration(0.4, 0.0, 0.0, "nominal", ()), print)

            def said():
                t.spin(0.01)
                return watcher.act()

            assert t.spin_until(lambda: "demonstration" in said() and velocities)
            assert t.spin_until(hands.get_subscription_count)
            hands.publish(String(data="browser"))
            assert t.spin_until(lambda: "the browser drives" in said())
            t.spin(0.2)
            velocities.clear()
            assert all("the browser drives" in said() for _ in range(10)) and velocities == []
            keys.pressed = "w"
            assert t.spin_until(lambda: "+0.1" in said() and velocities)
            assert velocities[-1].twist.linear.x == 0.1
    finally:
        remote.close()
