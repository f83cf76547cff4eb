"""Another process of the ROS domain forges verdicts and plans: the bridge moves no motor for it.

The control loop of the bridge runs in this process, and every tick is stepped by hand.
"""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from core_values import A1, stance_plan, verdict
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from ros_world import RosTester
from sensor_msgs.msg import JointState, MultiDOFJointState
from std_srvs.srv import Trigger

from safe_locomotion.backends.log import save_states
from safe_locomotion.messages import encode
from safe_locomotion.nodes.bridge import BridgeLoop
from safe_locomotion.nodes.operator import BRIDGE_RESET
from safe_locomotion.nodes.subscriptions import LATCHED, NEWEST
from safe_locomotion.pipeline import standing_state
from safe_locomotion.types import Mode

TICK_NS = 2_000_000
STATES = 12000
ATTACKED = 400  # commands, as in the attack that this test came from
TRIES = 3000  # 6 s: so long may another program stay unseen on a busy machine


class Sender:
    """A program that publishes verdicts and plans."""

    def __init__(self, name):
        self.tester = RosTester(name)
        node = self.tester.node
        self._verdict = node.create_publisher(JointState, "safety/verdict", LATCHED)
        self._plan = node.create_publisher(MultiDOFJointState, "mpc/plan", NEWEST)

    def say(self, mode, stamp_ns):
        """A verdict on the state of this stamp, and a plan of the tick before."""
        self._plan.publish(encode.PlanBytes()(stance_plan(stamp_ns=stamp_ns - TICK_NS)))
        said = verdict(mode=mode, stamp_ns=stamp_ns, mode_since_ns=TICK_NS, reasons=())
        self._verdict.publish(encode.verdict(said))


class World:
    """An active bridge on a recorded robot, and its supervisor."""

    def __init__(self, loop):
        self.loop = loop
        self.node = loop.nodes[0]
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.supervisor = Sender("supervisor")
        self.others = []
        self.stamp_ns = 0

    def stranger(self):
        """Another program."""
        self.others.append(Sender("stranger"))
        return self.others[-1]

    def tick(self, *said):
        """Messages of these (sender, mode), then one tick; the command that was sent."""
        self.stamp_ns += TICK_NS
        for sender, mode in said:
            sender.say(mode, self.stamp_ns)
        self.loop.step()
        self.loop.tidy()
        self.executor.spin_once(timeout_sec=0.0)
        return self.node.link.backend.commands[-1]

    def until(self, wanted, *said):
        """Ticks until a command is as wanted."""
        assert any(wanted(self.tick(*said)) for _ in range(TRIES)), self.node.gate.now

    def reset(self):
        """Ask the bridge as the supervisor does."""
        tester = self.supervisor.tester
        client = tester.node.create_client(Trigger, BRIDGE_RESET)
        assert tester.spin_until(client.service_is_ready)
        answer = client.call_async(Trigger.Request())
        for _ in range(TRIES):
            if answer.done():
                break
            self.executor.spin_once(timeout_sec=0.01)
            tester.executor.spin_once(timeout_sec=0.01)
        assert answer.result().success


def moves(command):
    """Whether the motors do anything but damp."""
    return bool(command.kp.any() or command.tau.any())


@contextmanager
def bridge(folder, domain):
    """A world whose bridge moves the motors by the supervisor's word."""
    recording = folder / "states.npz"
    noise = 0.001 * np.random.default_rng(0).normal(size=(STATES, 3))
    states = [standing_state(A1, (k + 1) * TICK_NS) for k in range(STATES)]
    save_states(
        recording,
        [replace(s, voltage=24.0, gyro=gyro) for s, gyro in zip(states, noise, strict=True)],
    )
    given = (
        "sdk:=mock",
        f"sdk_options.path:={recording}",
        "state_age_ms:=60000.0",
        "damping_s:=0.01",  # a fast machine would read the whole recording in half a second
    )
    rclpy.init(
        args=["--ros-args", *[part for text in given for part in ("-p", text)]],
        domain_id=domain,
        signal_handler_options=SignalHandlerOptions.NO,
    )
    world = World(BridgeLoop())
    try:
        world.node.reach("active")
        world.until(moves, (world.supervisor, Mode.STAND))
        yield world
    finally:
        world.executor.shutdown()
        world.loop.close()
        world.node.destroy_node()
        for sender in (world.supervisor, *world.others):
            sender.tester.close()
        rclpy.try_shutdown()


def test_forged_verdicts_move_nothing(ros_domain, tmp_path):
    """The supervisor says PASSIVE, a stranger says STAND: damping, and a hazard that latches."""
    with bridge(tmp_path, ros_domain) as world:
        own = (world.supervisor, Mode.PASSIVE)
        world.until(lambda command: not moves(command), own)
        forged = (world.stranger(), Mode.STAND)
        assert not any(moves(world.tick(own, forged)) for _ in range(ATTACKED))
        world.until(lambda _: "second_publisher" in world.node.hazards, own, forged)
        assert world.node.latch.causes == {"second_publisher"}
        world.until(lambda command: not moves(command), (world.supervisor, Mode.STAND))
        world.others.pop().tester.close()
        world.until(lambda _: not world.node.hazards, (world.supervisor, Mode.STAND))
        assert world.tick((world.supervisor, Mode.STAND)).reason == "not_reset"
        world.reset()
        world.until(moves, (world.supervisor, Mode.STAND))


def test_no_verdict_leads_out_of_a_fault_before_the_reset(ros_domain, tmp_path):
    """Even the bound publisher cannot; after the reset the robot stands again."""
    with bridge(tmp_path, ros_domain) as world:
        world.until(lambda command: not moves(command), (world.supervisor, Mode.FAULT))
        for mode in Mode:
            for _ in range(20):
                assert not moves(world.tick((world.supervisor, mode)))
        world.until(lambda sent: sent.reason == "not_reset", (world.supervisor, Mode.STAND))
        world.reset()
        world.until(moves, (world.supervisor, Mode.STAND))


def test_two_supervisors_refuse_activation(ros_domain, tmp_path):
    """The bridge does not choose one of them."""
    with bridge(tmp_path, ros_domain) as world:
        world.node.trigger_deactivate()
        world.stranger()
        world.until(lambda _: world.node.count_publishers("safety/verdict") == 2)
        world.until(
            lambda _: world.node.verdict.mode is Mode.PASSIVE, (world.supervisor, Mode.PASSIVE)
        )
        world.node.trigger_activate()
        assert "two programs publish on safety/verdict" in str(world.node.failure)
        assert not world.node.link.active
