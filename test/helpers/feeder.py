"""A stack that walks on the spot, for tests of the recorder.

It publishes everything that a real stack publishes, at full rate and in real time.

Run as `python feeder.py GRAPH SECONDS [FELL_AT]`: GRAPH is ticks or topics. The robot walks from
0.5 s on, and falls at FELL_AT.
"""

import sys
import time
from dataclasses import replace

import numpy as np
import rclpy
from sensor_msgs.msg import Imu, JointState, MultiDOFJointState
from std_msgs.msg import Float64MultiArray

from safe_locomotion.config import load_config
from safe_locomotion.messages.topics import TICKS
from safe_locomotion.nodes import decisions
from safe_locomotion.nodes.subscriptions import LATCHED, NEWEST
from safe_locomotion.nodes.tick_feed import CycleMessages, TickFeed
from safe_locomotion.pipeline import Cycle, Pipeline, standing_state
from safe_locomotion.robot.models import load_robot
from safe_locomotion.types import Feedback, Mode, VelocityCommand

PERIOD_NS = 2_000_000
WALK_AT = 250
LISTENERS_S = 20.0
LATENCY_S = 1e-3
TYPES = {
    "joint_states": JointState,
    "imu/data": Imu,
    "foot_forces": Float64MultiArray,
    "state_estimate": Float64MultiArray,
    "safety/verdict": JointState,
    "policy/proposal": JointState,
    "policy/step": Float64MultiArray,
    "mpc/plan": MultiDOFJointState,
    "low_command": JointState,
}


class Topics:
    """Publishes what `TickFeed` packs, each message on its own topic, like five processes."""

    def __init__(self, node):
        self.out = {
            topic: node.create_publisher(
                kind, topic, LATCHED if topic == "safety/verdict" else NEWEST
            )
            for topic, kind in TYPES.items()
        }
        self.messages = CycleMessages()

    def keep(self, cycle, latency):
        for topic, _, data in self.messages.of(cycle, latency):
            self.out[topic].publish(data)

    def settle(self):
        pass

    def close(self):
        pass

    def heard(self):
        return self.out["joint_states"].get_subscription_count() > 0


class Ticks(TickFeed):
    """The feed of the composed graph."""

    def __init__(self, node):
        super().__init__(node)
        self.node = node

    def heard(self):
        return self.node.count_subscribers(TICKS) > 0


def one_cycle():
    """One tick of the stages of a robot that stands."""
    pipeline = Pipeline(load_robot("a1"), load_config("a1"))
    for k in range(8):
        state = standing_state(load_robot("a1"), (k + 1) * PERIOD_NS)
        c = pipeline.step(state, VelocityCommand())
    learned = {
        "observation": np.arange(10, dtype=np.float32),
        "action": np.arange(9.0),
        "policy": "learner",
    }
    margins = tuple((f"m{k}", 0.1 * k) for k in range(6))
    return c._replace(
        proposal=replace(c.proposal, **learned),
        verdict=replace(c.verdict, margins=margins, predicted=np.ones((11, 12))),
    )


def at(c, stamp_ns, k, mode):
    """The same cycle on another tick.

    The policy acts on every 4th tick, the MPC on every 2nd, the rollout on every 50th.
    """
    return Cycle(
        state=replace(c.state, stamp_ns=stamp_ns),
        estimate=replace(c.estimate, stamp_ns=stamp_ns),
        proposal=replace(c.proposal, stamp_ns=stamp_ns) if k % 4 == 0 else None,
        verdict=replace(
            c.verdict,
            stamp_ns=stamp_ns,
            mode=mode,
            predicted=None if k % 50 else c.verdict.predicted,
        ),
        plan=replace(c.plan, stamp_ns=stamp_ns) if k % 2 == 0 else None,
        command=replace(c.command, stamp_ns=stamp_ns),
    )


def main():
    """Publish until the time is over."""
    graph = sys.argv[1]
    seconds = float(sys.argv[2])
    fell_at = float((*sys.argv, "inf")[3])
    rclpy.init()
    node = rclpy.create_node("feeder")
    feed = {"ticks": Ticks, "topics": Topics}[graph](node)
    modes = node.create_publisher(JointState, "safety/feedback", LATCHED)
    cycle = one_cycle()
    start_ns = time.time_ns() // PERIOD_NS * PERIOD_NS
    patience = time.monotonic() + LISTENERS_S
    while not feed.heard() and time.monotonic() < patience:
        time.sleep(0.05)
    time.sleep(0.5)
    start = time.monotonic()
    mode = Mode.STAND
    for k in range(int(seconds * 500)):
        wanted = Mode.FALLEN if k >= fell_at * 500 else Mode.WALK if k >= WALK_AT else Mode.STAND
        stamp_ns = start_ns + k * PERIOD_NS
        if wanted is not mode:
            mode = wanted
            modes.publish(
                decisions.feedback_message(stamp_ns, Feedback(mode=mode, policy="learner"))
            )
        feed.keep(at(cycle, stamp_ns, k, mode), LATENCY_S)
        feed.settle()
        time.sleep(max(0.0, start + (k + 1) * PERIOD_NS * 1e-9 - time.monotonic()))
    feed.close()
    time.sleep(0.5)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
