"""The remote at the bridge: which velocity is heard, and which node acts on which word."""

from collections import deque
from math import nan
from typing import ClassVar

import pytest
import rclpy
from core_values import A1, low_state, stance_plan, verdict
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from ros_world import ros_tester
from std_msgs.msg import String

from safe_locomotion.backends import backend
from safe_locomotion.backends.backend import Counters
from safe_locomotion.nodes import conversions
from safe_locomotion.nodes.bridge import BridgeNode
from safe_locomotion.nodes.operator import (
    LINES_A_SECOND,
    BoundedLog,
    RequestServices,
    VelocityTopic,
)
from safe_locomotion.operator.pad import Pad
from safe_locomotion.operator.requests import REQUESTS
from safe_locomotion.operator.unitree_remote import encode_remote
from safe_locomotion.operator.velocity import CommandLimits
from safe_locomotion.safety.command_stage import CommandStage
from safe_locomotion.types import DAMPED, Mode, VelocityCommand

LIMITS = CommandLimits(vx=1.5, vy=0.8, wz=2.5, timeout=0.5)
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
ZERO = VelocityCommand()


class FakeSubscription:
    """Messages that wait in the transport, of which it keeps the newest."""

    def __init__(self, message_type, handler, depth):
        self.msg_type = message_type
        self.callback = handler
        self.handle = self
        self.waiting = deque(maxlen=depth)

    def take_message(self, message_type, raw):
        """The oldest message that waits."""
        assert raw and message_type is self.msg_type
        return (self.waiting.popleft(), {}) if self.waiting else None


class FakeNode:
    """Keeps subscriptions, timers and log lines."""

    def __init__(self):
        self.topics = {}
        self.timers = []
        self.said = []

    def create_subscription(self, message_type, topic, handler, qos, *, callback_group, raw):
        """Keep the subscription, which takes bytes and not from the executor."""
        assert raw and not callback_group.can_execute(None)
        self.topics[topic] = FakeSubscription(message_type, handler, qos.depth)
        return self.topics[topic]

    def create_timer(self, period_s, look, *, clock):
        """Keep what a timer calls."""
        self.timers.append(look)

    def arrive(self, topic, message):
        """A message arrives in the transport."""
        self.topics[topic].waiting.append(serialize_message(message))

    def create_service(self, _, name, handler):
        """Keep nothing: services are tested on the wire."""

    def get_logger(self):
        """A logger that keeps what it is told."""
        return self

    def info(self, text):
        """Keep a line."""
        self.said.append(text)


def test_the_remote_comes_before_cmd_vel_and_lets_go_after_the_timeout():
    """It is heard while it drives and for the timeout after its last command; then cmd_vel is."""
    node = FakeNode()
    velocity = VelocityTopic(node, LIMITS, "TwistStamped")
    program = VelocityCommand(vx=1.0)
    remote = VelocityCommand(vx=-0.2, wz=0.5)

    def hear(topic, command):
        node.arrive(topic, conversions.twist_message(command, 0))

    hear("cmd_vel", program)
    assert velocity.current(START) == program
    hear("remote/cmd_vel", remote)
    hear("cmd_vel", program)
    assert velocity.current(START + 1) == remote
    hear("remote/cmd_vel", ZERO)
    hear("cmd_vel", program)
    assert velocity.current(START + 2) == ZERO
    hear("cmd_vel", program)
    assert velocity.current(START + 2 + SECOND // 2) == ZERO
    hear("cmd_vel", program)
    assert velocity.current(START + 3 + SECOND // 2) == program


def test_a_remote_velocity_that_is_no_number_is_zero():
    """As on cmd_vel."""
    node = FakeNode()
    velocity = VelocityTopic(node, LIMITS, "Twist")
    message = TwistStamped()
    message.twist.linear.x = nan
    node.arrive("remote/cmd_vel", message)
    assert velocity.current(START) == ZERO


@pytest.mark.parametrize("word", [*REQUESTS, "record", "next_policy", "", "jump"])
def test_the_supervisor_acts_on_its_own_words(word):
    """The five requests go to the control thread, refusals are logged; other words do nothing."""

    class Direct:
        def ask(self, call, timeout_s):
            return call()

    node = FakeNode()
    asked = []
    RequestServices(node, Direct(), lambda name: asked.append(name) or "not now", lambda: None)
    node.arrive("remote/request", String(data=word))
    node.timers[-1]()
    assert asked == ([word] if word in REQUESTS else [])
    assert node.said == ([f"remote: {word} refused: not now"] if word in REQUESTS else [])


def test_of_a_flood_of_velocities_each_tick_takes_one():
    """The transport keeps the newest; the rest costs the control thread nothing."""
    node = FakeNode()
    velocity = VelocityTopic(node, LIMITS, "TwistStamped")
    for k in range(100):
        for vx in (1.0, 0.5, 0.01 * k):
            for topic in ("cmd_vel", "remote/cmd_vel"):
                node.arrive(topic, conversions.twist_message(VelocityCommand(vx=vx), 0))
        assert velocity.current(START + k).vx == pytest.approx(0.01 * k)
    assert velocity.stream.received == velocity.remote_stream.received == 100


def test_without_a_robot_velocities_are_looked_at_too():
    """So malformed ones are counted, and the row of the topic says that somebody speaks."""
    node = FakeNode()
    velocity = VelocityTopic(node, LIMITS, "TwistStamped")
    node.arrive("cmd_vel", conversions.twist_message(ZERO, 0))
    node.topics["remote/cmd_vel"].waiting.append(b"no message")
    node.timers[-1]()
    assert velocity.stream.received == 1 and velocity.remote_stream.rejected == 1


def test_of_a_flood_of_requests_each_word_acts_once_in_a_look_and_lines_are_bounded():
    """Ten wait at most, whatever arrives."""
    node = FakeNode()
    asked = []

    class Direct:
        def ask(self, call, timeout_s):
            return call()

    RequestServices(node, Direct(), lambda name: asked.append(name) or "not now", lambda: None)
    for _ in range(20):
        for _ in range(1000):
            node.arrive("remote/request", String(data="walk"))
        node.arrive("remote/request", String(data="sit"))
        node.timers[-1]()
    assert asked == ["walk", "sit"] * 20
    assert len(node.said) == LINES_A_SECOND


def test_lines_that_were_left_out_are_counted():
    """Five in any second; the next one says how many are missing."""
    now = 50.0
    said = []
    log = BoundedLog(said.append, lambda: now)
    for k in range(LINES_A_SECOND + 3):
        log(f"line {k}")
    assert said == [f"line {k}" for k in range(LINES_A_SECOND)]
    now += 0.999
    log("too early")
    assert len(said) == LINES_A_SECOND
    now += 0.002
    log("later")
    log("and later")
    assert said[LINES_A_SECOND:] == ["later (4 lines before were left out)", "and later"]


def test_next_policy_goes_round_and_other_words_do_nothing(ros_domain):
    """From nominal to the next that is installed; the parameter says so."""
    from safe_locomotion.nodes.policy import PolicyNode
    from safe_locomotion.policy.file import installed_policies
    from safe_locomotion.policy.stage import PolicyStage

    rclpy.init(domain_id=ros_domain, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = PolicyNode()
        policy = node.parameters.config.policy
        node.serve(PolicyStage(node.parameters.robot, policy.gait, period_ns=policy.period_ns))
        node.follow_remote("stand")
        assert node.get_parameter("policy").value == "nominal"
        node.follow_remote("next_policy")
        assert node.get_parameter("policy").value == installed_policies("a1")[0]
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


class Quiet:
    """A robot that hands over the states it is given and takes no command."""

    states: ClassVar[list] = []
    counters = Counters()

    def __init__(self, stop_kd):
        """The gain of damping is not used."""

    def read(self, timeout_s):
        """The next state."""
        return self.states.pop(0)

    def close(self):
        """Nothing is open."""


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode not in DAMPED])
def test_the_bridge_alone_damps_for_a_supervisor_that_does_not_hear(mode, ros_domain, monkeypatch):
    """It damps from the second state on and after letting go, and tells the others at once."""
    monkeypatch.setitem(backend.BACKENDS, "quiet", (__name__, "Quiet"))
    rclpy.init(
        args=["--ros-args", "-p", "sdk:=quiet"],
        domain_id=ros_domain,
        signal_handler_options=SignalHandlerOptions.NO,
    )
    try:
        node = BridgeNode()
        limits = node.parameters.config.bridge.limits
        stage = CommandStage(A1, node.parameters.config.bridge.gains, limits)
        node.link.open()
        for k in range(60):
            pressed = frozenset({"L2", "B"}) if 20 <= k < 40 else frozenset()
            stamp_ns = START + k * 2_000_000
            remote = encode_remote(Pad(pressed=pressed))
            Quiet.states.append(low_state(stamp_ns=stamp_ns, remote=remote))
            node.verdict = verdict(stamp_ns=stamp_ns, mode=mode, mode_since_ns=stamp_ns - SECOND)
            state = node.read()
            stage.gate.report(node.hazards)
            command = stage.update(state, node.verdict, stance_plan(stamp_ns=stamp_ns))
            node.write(state, command)
            assert (command.reason == "estop") is (k >= 21), (mode, k, command.reason)
            assert ("estop" in node.hazards) is (k >= 21)
            assert k < 21 or not (command.kp.any() or command.tau.any())
        assert node.gate.counts["estop"] == 1
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


def test_a_velocity_of_the_other_type_is_said(ros_domain):
    """ROS tells nobody that the types differ, so the row of `cmd_vel` says it and what to set."""
    with ros_tester() as t, ros_tester() as program:
        velocity = VelocityTopic(t.node, LIMITS, "TwistStamped")
        row = velocity.rows()[0]
        assert "Twist is sent" not in row().message
        program.node.create_publisher(Twist, "cmd_vel", 1)
        assert t.spin_until(lambda: row().level == DiagnosticStatus.WARN)
        assert row().message.endswith("cmd_vel_type:=Twist")
