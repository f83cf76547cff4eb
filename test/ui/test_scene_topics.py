"""Topics behind a scene: taken from `display/ticks` where somebody offers it, from the topics themselves where nobody does."""

import time
from dataclasses import replace

import numpy as np
import pytest
from core_values import A1, START_NS, estimate, stance_plan, verdict
from ros_world import PATIENCE_S, ros_tester

pytest.importorskip("rclpy")

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, UInt8MultiArray

from safe_locomotion.config import load_config
from safe_locomotion.messages import encode
from safe_locomotion.messages.ticks import TickBatch
from safe_locomotion.nodes.subscriptions import LATCHED, NEWEST
from safe_locomotion.nodes.tick_feed import DISPLAY, DISPLAY_QOS, DisplayFeed
from safe_locomotion.types import Mode
from safe_locomotion.ui.scene_topics import SceneTopics

TICK_NS = 4_000_000


def until(step, condition):
    """Repeat `step` until its result fulfils the condition; the result."""
    end = time.monotonic() + PATIENCE_S
    while not condition(result := step()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return result


def said(k, **more):
    """Estimate, verdict and plan of tick k."""
    stamp_ns = START_NS + k * TICK_NS
    e = estimate(stamp_ns=stamp_ns, position=np.array((0.001 * k, 0.0, 0.27)))
    return (
        e,
        verdict(stamp_ns=stamp_ns, mode=Mode.WALK, **more),
        replace(stance_plan(), stamp_ns=stamp_ns),
    )


class Ticks:
    """What an MPC does on each of its ticks, with one rollout on a tick that no display shows."""

    def __init__(self, node):
        self.feed = DisplayFeed(node)
        self.k = 0

    def __call__(self):
        self.k += 1
        rollout = {"predicted": np.zeros((3, 12))} if self.k % 25 == 7 else {}
        e, v, plan = said(self.k, **rollout)
        self.feed.foresee(deserialize_message(encode.verdict(v), JointState))
        self.feed.settle(e, v, plan)


def test_displays_leave_the_topics_alone_where_they_are_fed(ros_domain):
    """Scenes from the topics first; with a feed nobody subscribes to these any more, the picture goes on with every rollout; and back."""
    with ros_tester() as stack, ros_tester() as display:
        topics = SceneTopics(display.node, A1, load_config("a1"))
        estimates = stack.node.create_publisher(Float64MultiArray, "state_estimate", NEWEST)
        verdicts = stack.node.create_publisher(JointState, "safety/verdict", LATCHED)

        def tick():
            e, v, _ = said(0)
            verdicts.publish(encode.verdict(v))
            estimates.publish(encode.state_estimate(e))
            return topics.look()

        first = until(tick, lambda scene: scene is not None and scene.mode is Mode.WALK)
        assert first.position == (0.0, 0.0, 0.27) and estimates.get_subscription_count() == 1
        ticks = Ticks(stack.node)

        def show():
            for _ in range(12):
                ticks()
            return topics.look()

        until(show, lambda scene: scene is not None and scene.position[0] > 0.0)
        until(
            show,
            lambda _: (
                not estimates.get_subscription_count() and not verdicts.get_subscription_count()
            ),
        )
        foreseen = until(show, lambda scene: scene is not None and scene.prediction is not None)
        assert (foreseen.prediction.stamp_ns - START_NS) // TICK_NS % 25 == 7 and foreseen.feet[
            0
        ].force[2] > 0.0
        stack.node.destroy_publisher(ticks.feed._out._publisher)
        until(tick, lambda scene: scene is not None and scene.position[0] == 0.0)


def test_a_feed_that_is_none_is_refused(ros_domain):
    """What is no batch of ticks is counted and told, and the looks go on."""
    with ros_tester() as stack, ros_tester() as display:
        topics = SceneTopics(display.node, A1, load_config("a1"))
        feed = stack.node.create_publisher(UInt8MultiArray, DISPLAY, DISPLAY_QOS)
        batch = TickBatch()

        def tick():
            feed.publish(UInt8MultiArray(data=[1, 2, 3]))
            e, _, plan = said(3)
            batch.add("state_estimate", 0, encode.state_estimate(e))
            batch.add("mpc/plan", 0, encode.PlanBytes()(plan))
            batch.add("joint_states", 0, b"not looked at")
            feed.publish(batch.take())
            return topics.look()

        scene = until(tick, lambda scene: scene is not None)
        assert scene.position[0] == 0.003 and scene.mode is None
        assert topics.streams[0].rejected


def test_a_feed_nobody_listens_to_sends_nothing(ros_domain):
    """Without a display the MPC neither packs nor publishes."""
    with ros_tester() as stack:
        ticks = Ticks(stack.node)
        ticks.feed._out.publish = lambda data: pytest.fail("published")
        for _ in range(100):
            ticks()
